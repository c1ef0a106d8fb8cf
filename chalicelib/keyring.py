"""The keys of signed deliveries, and the secrets of callers. None is stored: each is derived from the master key and
the id of what it belongs to."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from threading import Lock
from typing import Generic, TypeVar

from chalicelib import log
from chalicelib.ports import Callers, Clock, Keys, Store, Vault
from chalicelib.signing import derive, fingerprint
from chalicelib.task import MAX_USER_NAME, Caller, SigningSecret

FRESH = 5
"""Seconds for which keys are remembered, and so until another process refuses one that was removed."""

MAX_READS_AT_ONCE = 20
"""Reads of the store that unknown keys and user names may cause at once, and then one a second: a key that another
process has just made is found, and a flood of unknown ones does not become a flood of reads."""

_KEY_ID = re.compile("key_[0-9a-f]{24}")
"""What `admin.create_caller` makes. Nothing else is looked up."""

SIGNING, CALLING = "signing-secret", "caller"
"""What the master key is used for; another use gives other keys."""

SECRET_PREFIX = "kks_"  # noqa: S105 - it is what a secret begins with, and none
"""What the secret of a caller begins with: whoever finds one somewhere knows what it is."""

T = TypeVar("T")


class DerivedKeys:
    """The port Keyring. What is remembered belongs to this process."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._master_keys: tuple[bytes, ...] = ()
        self._keys = _Remembered(lambda: self._keys_of(store.signing_secrets()), clock)
        self._callers = _Remembered(lambda: self._secrets_of(store.callers()), clock)
        self._misses = _Misses(clock)

    def make(self, secret_id: str) -> bytes:
        """See `Keyring.make`."""
        return signing_key(self._made(), secret_id)

    def make_secret(self, key_id: str) -> str:
        """See `Keyring.make_secret`."""
        return calling_key(self._made(), key_id)

    def keys(self) -> Keys:
        """See `Keyring.keys`."""
        return self._keys.now()

    def callers(self) -> Callers:
        """See `Keyring.callers`."""
        return self._callers.now()

    def caller(self, key_id: str) -> tuple[Caller, str] | None:
        """See `Keyring.caller`."""
        found = self._callers.now().get(key_id)
        if found is None and _KEY_ID.fullmatch(key_id) and self._misses.may_read(key_id):
            found = self._callers.anew().get(key_id)
        return found

    def caller_named(self, user_name: str) -> Caller | None:
        """See `Keyring.caller_named`."""
        found = _named(self._callers.now(), user_name)
        if found is None and 0 < len(user_name) <= MAX_USER_NAME and self._misses.may_read(f"name:{user_name}"):
            found = _named(self._callers.anew(), user_name)
        return found

    def forget(self) -> None:
        """See `Keyring.forget`."""
        for remembered in (self._keys, self._callers, self._misses):
            remembered.forget()

    def _made(self) -> bytes:
        """The master key, which is there by now."""
        self._vault.make()
        master_key = self._vault.read()
        assert master_key is not None, "it was made"
        return master_key

    def _keys_of(self, found: Sequence[SigningSecret]) -> Keys:
        """The keys by source app, the newest first."""
        keys: dict[str, tuple[bytes, ...]] = {}
        for it in found:
            key = self._derived(partial(signing_key, secret_id=it.secret_id), it.fingerprint)
            if key is None:
                _log_void("signing_secret.void", it, secret_id=it.secret_id)
            else:
                keys[it.source_app] = (key, *keys.get(it.source_app, ()))
        return keys

    def _secrets_of(self, found: Sequence[Caller]) -> Callers:
        """The callers with their secrets, by the id of their keys."""
        callers: dict[str, tuple[Caller, str]] = {}
        for it in found:
            secret = self._derived(partial(_calling_key, key_id=it.key_id), it.fingerprint)
            if secret is None:
                _log_void("caller.void", it, key_id=it.key_id)
            else:
                callers[it.key_id] = (it, secret.decode())
        return callers

    def _derived(self, derived: Callable[[bytes], bytes], wanted: str) -> bytes | None:
        """What was shown once, derived from the master key with which it was made; None when that one is gone.

        The vault is read once, and once more when none of its keys fits: they may have been changed since.
        """
        for read_anew in (False, True):
            if read_anew or not self._master_keys:
                self._master_keys = self._vault.read_all()
            for master_key in self._master_keys:
                if fingerprint(key := derived(master_key)) == wanted:
                    return key
        return None


def _log_void(event: str, it: SigningSecret | Caller, **which: str) -> None:
    """Something that was shown once is void: the master key is another, or gone."""
    log.event(event, metrics={"VoidSecrets": 1}, source_app=it.source_app, **which)


def signing_key(master_key: bytes, secret_id: str) -> bytes:
    """The key of a signing secret that was made under this master key."""
    return derive(master_key, SIGNING, secret_id)


def calling_key(master_key: bytes, key_id: str) -> str:
    """The secret of a caller that was made under this master key: 43 characters after its prefix, of which none needs
    care in a shell, a URL or a file of settings."""
    return SECRET_PREFIX + base64.urlsafe_b64encode(derive(master_key, CALLING, key_id)).decode().rstrip("=")


def _calling_key(master_key: bytes, key_id: str) -> bytes:
    return calling_key(master_key, key_id).encode()


def _named(callers: Callers, user_name: str) -> Caller | None:
    return next((it for it, _ in callers.values() if user_name and it.user_name == user_name), None)


class _Remembered(Generic[T]):
    """Something that is read anew when it is `FRESH` seconds old, by one; the others go on with that of before."""

    def __init__(self, read: Callable[[], T], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._found: list[T] = []
        self._at = -inf
        self._generation = 0

    def now(self) -> T:
        """What was found at most some seconds ago. Raises what reading raises."""
        found, now = self._found, self._clock.now()
        if not found or not self._at <= now < self._at + FRESH:
            return self.anew()
        return found[0]

    def anew(self) -> T:
        """What is found now. It is remembered, unless `forget` was called meanwhile: it may be of before that."""
        generation, self._at = self._generation, self._clock.now()
        found = self._read()
        if generation == self._generation:
            self._found = [found]
        return found

    def forget(self) -> None:
        """Remember nothing: this process has changed it."""
        self._generation += 1
        self._found = []


class _Misses:
    """Which misses may read the store again: of each name one in `FRESH` seconds, and of all names so many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._left: float = MAX_READS_AT_ONCE
        self._at = -inf
        self._looked_up: dict[str, float] = {}

    def may_read(self, name: str) -> bool:
        """Whether the store is read for this name. What is remembered is no more than what was read for of late."""
        with self._lock:
            now = self._clock.now()
            recent = {it: at for it, at in self._looked_up.items() if at <= now < at + FRESH}
            self._left = min(MAX_READS_AT_ONCE, self._left + max(0, now - self._at))
            self._at, self._looked_up = now, recent
            if name in recent or self._left < 1:
                return False
            self._left -= 1
            recent[name] = now
            return True

    def forget(self) -> None:
        """Every name may be looked up again: this process has made one."""
        self._looked_up = {}
