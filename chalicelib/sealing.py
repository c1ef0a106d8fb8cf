"""Encryption at rest: what is secret and must be read again is stored under a key that is derived from the master key.

    v1.<id of the master key>.<base64url of nonce and ciphertext>

XChaCha20-Poly1305 of libsodium (PyNaCl), with a random nonce of 24 bytes, which may be drawn any number of times. What
the text belongs to, such as `channel <id>`, is associated data: a text that is copied to another record does not open.
The vault may hold several master keys, the current one first; the id says which one a text was sealed under.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping

from chalicelib.errors import Unavailable
from chalicelib.ports import Vault
from chalicelib.records import dumps, pack, unpack
from chalicelib.signing import derive, fingerprint
from chalicelib.task import Channel

PURPOSE = "seal"
"""What the master key is used for; another use gives other keys."""

VERSION = "v1"
NONCE_BYTES = 24

_SEALED = re.compile(r"v1\.([0-9a-f]{12})\.([A-Za-z0-9_-]{54,})")

SECRETS = ("url", "secret")
"""Members of a channel that are stored sealed."""


class NoVault:
    """In the place of a vault where nothing secret is stored, such as for counting."""

    where = "this process"

    def read(self) -> bytes | None:
        """None."""
        return None

    def read_all(self) -> tuple[bytes, ...]:
        """None at all."""
        return ()

    def make(self) -> None:
        """Raises Unavailable."""
        raise Unavailable("No master key can be made here.")

    def replace(self, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> bool:  # noqa: ARG002 - see Vault
        """Raises Unavailable."""
        raise Unavailable("No master key can be made here.")


def key_id(master_key: bytes) -> str:
    """12 hex digits by which a master key is named; they tell nothing of it."""
    return fingerprint(derive(master_key, PURPOSE, ""))


def key_id_of(sealed: str) -> str:
    """The id of the master key that a text was sealed under; empty when it is no sealed text."""
    found = _SEALED.fullmatch(sealed)
    return found[1] if found else ""


class Sealer:
    """Seals and opens texts, and the rows of channels. Keys are read from the vault when one is not known yet."""

    def __init__(self, vault: Vault | None = None) -> None:
        self._vault = vault or NoVault()
        self._keys: Mapping[str, bytes] = {}

    def current(self) -> str:
        """The id of the key that is sealed under, which is made if it is the first. Raises Unavailable."""
        if self._vault.read() is None:
            self._vault.make()
        master_keys = self._vault.read_all()
        self._keys = {key_id(it): derive(it, PURPOSE, "") for it in master_keys}
        return key_id(master_keys[0])

    def seal(self, plain: str, of: str) -> str:
        """The text, sealed under the current key. `of`: what it belongs to. Raises Unavailable."""
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt  # noqa: PLC0415 - 20 ms, seldom needed

        current, nonce = self.current(), secrets.token_bytes(NONCE_BYTES)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(plain.encode(), of.encode(), nonce, self._keys[current])
        return f"{VERSION}.{current}.{base64.urlsafe_b64encode(nonce + sealed).decode().rstrip('=')}"

    def open(self, sealed: str, of: str) -> str:
        """The text that was sealed. Raises Unavailable when its key is missing, or it was not sealed for this."""
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt  # noqa: PLC0415 - as above
        from nacl.exceptions import CryptoError  # noqa: PLC0415 - as above

        found = _SEALED.fullmatch(sealed)
        if found is None:
            raise Unavailable(f"Cannot decrypt the {of}: what is stored is not an encrypted text.")
        raw = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
        nonce, ciphertext = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                ciphertext, of.encode(), nonce, self._key(found[1], of)
            ).decode()
        except CryptoError:
            raise Unavailable(f"Cannot decrypt the {of}: it was changed, or it belongs to another record.") from None

    def _key(self, which: str, of: str) -> bytes:
        if which not in self._keys:
            self._keys = {key_id(it): derive(it, PURPOSE, "") for it in self._vault.read_all()}
        if which not in self._keys:
            raise Unavailable(
                f"Master key {which} is missing in {self._vault.where}: the {of} is encrypted under it. Put that key "
                "back, as another line."
            )
        return self._keys[which]

    def row(self, channel: Channel) -> str:
        """A channel as it is stored: its address and its secret are sealed."""
        row = pack(channel)
        kept = {name: row.pop(name) for name in SECRETS if name in row}
        return dumps({**row, "sealed": self.seal(dumps(kept), _owner(channel.channel_id))})

    def channel(self, text: str) -> Channel:
        """The channel in a row. Raises Unavailable when it cannot be opened."""
        row = json.loads(text)
        if sealed := row.pop("sealed", None):
            row |= json.loads(self.open(sealed, _owner(row["channel_id"])))
        return unpack(Channel, row)

    def opens(self, text: str) -> bool:
        """Whether a channel's row can be opened."""
        try:
            self.channel(text)
        except Unavailable:
            return False
        return True

    def is_current(self, text: str) -> bool:
        """Whether a channel's row is sealed under the current key. No key is made for that."""
        master_keys = self._vault.read_all()
        return bool(master_keys) and key_of_row(text) == key_id(master_keys[0])


def key_of_row(text: str) -> str:
    """The id of the master key that a channel's row is sealed under; empty when it is not sealed."""
    return key_id_of(json.loads(text).get("sealed", ""))


def _owner(channel_id: str) -> str:
    return f"channel {channel_id}"
