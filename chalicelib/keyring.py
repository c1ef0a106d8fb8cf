"""The keys of signed deliveries. None is stored: each is derived from the master key and the id of its secret."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from chalicelib import log
from chalicelib.ports import Clock, Keys, Store, Vault
from chalicelib.signing import derive, fingerprint
from chalicelib.task import SigningSecret

FRESH = 5
"""Seconds for which keys are remembered, and so until a secret that was removed signs nothing any more."""

PURPOSE = "signing-secret"
"""What the master key is used for here; another use gives other keys."""


class DerivedKeys:
    """The port Keyring. What is remembered belongs to this process."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._master_key: bytes | None = None
        self._keys: Keys | None = None
        self._read_at = -inf

    def make(self, secret_id: str) -> bytes:
        """See `Keyring.make`."""
        self._vault.make()
        master_key = self._vault.read()
        assert master_key is not None, "it was made"
        return derive(master_key, PURPOSE, secret_id)

    def keys(self) -> Keys:
        """See `Keyring.keys`. While one reads them anew, the others go on with those of before."""
        now = self._clock.now()
        if self._keys is None or not self._read_at <= now < self._read_at + FRESH:
            self._read_at = now
            self._keys = self._derived(self._store.signing_secrets())
        return self._keys

    def _derived(self, found: Sequence[SigningSecret]) -> Keys:
        """The keys by source app. One that is not what was shown once is void: the master key is another, or gone."""
        keys: dict[str, tuple[bytes, ...]] = {}
        self._master_key = self._master_key or (self._vault.read() if found else None)
        for secret in found:
            key = derive(self._master_key, PURPOSE, secret.secret_id) if self._master_key else b""
            if fingerprint(key) == secret.fingerprint:
                keys[secret.source_app] = (key, *keys.get(secret.source_app, ()))
            else:
                log.event("signing_secret.void", metrics={"VoidSecrets": 1}, secret_id=secret.secret_id)
        return keys
