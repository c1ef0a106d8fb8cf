"""Signatures of deliveries by Standard Webhooks (https://www.standardwebhooks.com), with several keys at a time. Pure.

Signed is `<webhook-id>.<webhook-timestamp>.<body>`, by HMAC-SHA256. The header has one signature for each key, so that
a receiver can change from one to another without losing a delivery.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from chalicelib.errors import SettingsError

PREFIX = "whsec_"
"""What a key begins with, as text."""


def as_text(key: bytes) -> str:
    """A key as it is handed to people and programs."""
    return PREFIX + base64.b64encode(key).decode()


def from_text(secret: str) -> bytes:
    """The key in such a text. Raises ValueError when it is none."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX}")
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: str, body: bytes) -> str:
    """The header `webhook-signature`: a signature by each key. `timestamp`: whole seconds since the epoch."""
    return " ".join(f"v1,{base64.b64encode(_signed(key, webhook_id, timestamp, body)).decode()}" for key in keys)


def verify(keys: Sequence[bytes], webhook_id: str, timestamp: str, body: bytes, signature: str) -> bool:
    """Whether one of the signatures in the header is by one of the keys. Each is compared in the same time.

    How old the timestamp may be is for the caller to say.
    """
    wanted = sign(keys, webhook_id, timestamp, body).encode().split()
    given = signature.encode().split()
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _signed(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, b".".join((webhook_id.encode(), timestamp.encode(), body)), hashlib.sha256)


def derive(master_key: bytes, purpose: str, name: str) -> bytes:
    """A key of 32 bytes for a purpose and a name, which tells nothing of the master key, nor of any other."""
    return hmac.digest(master_key, f"kkbida\0{purpose}\0{name}".encode(), hashlib.sha256)


def fingerprint(key: bytes) -> str:
    """12 hex digits by which a key is recognised, and from which nothing can be signed."""
    return hashlib.sha256(b"fingerprint\0" + key).hexdigest()[:12]


# ── the master key ───────────────────────────────────────────────────────────────────────────────

MASTER_KEY_BYTES = 32


MAX_MASTER_KEYS = 20
"""Of one vault: the Parameter Store keeps 4,096 characters in a standard parameter."""


def written(*master_keys: bytes) -> str:
    """Master keys as text, to be kept: one a line."""
    return "\n".join(base64.b64encode(it).decode() for it in master_keys)


def master_keys_of(text: str, where: str) -> tuple[bytes, ...]:
    """The master keys in a text that was read from `where`, the current one first.

    Raises SettingsError when a line is none; it is not shown.
    """
    lines = text.split()
    if not 1 <= len(lines) <= MAX_MASTER_KEYS:
        raise SettingsError(f"{where} holds no master key: {MASTER_KEY_BYTES} bytes in base64, one key a line.")
    return tuple(_master_key_of(it, where) for it in lines)


def _master_key_of(line: str, where: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except ValueError:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise SettingsError(f"{where} holds no master key: {MASTER_KEY_BYTES} bytes in base64, one key a line.")
    return key
