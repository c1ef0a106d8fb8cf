"""Rotation of the master key: a new one comes first, what was sealed is sealed anew, and an old one that nothing needs
any more is dropped.

Signing secrets of deliveries and secrets of callers are derived from the master key with which they were made; they
cannot be moved to another one without changing. So an old key stays as long as one of them is used.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from chalicelib.keyring import calling_key, signing_key
from chalicelib.ports import Store, Vault
from chalicelib.sealing import key_id
from chalicelib.signing import MASTER_KEY_BYTES, fingerprint


def uses(store: Store, vault: Vault) -> Mapping[str, list[str]]:
    """By the id of each master key, the current one first: what needs it. A key that is missing is named too."""
    master_keys = vault.read_all()
    found: dict[str, list[str]] = {key_id(it): [] for it in master_keys}
    for channel_id, sealed_under in store.sealed_under().items():
        found.setdefault(sealed_under or "none", []).append(f"channel {channel_id}")
    for it in master_keys:
        needs = found[key_id(it)]
        needs += [
            f"signing secret {secret.secret_id} of {secret.source_app}"
            for secret in store.signing_secrets()
            if fingerprint(signing_key(it, secret.secret_id)) == secret.fingerprint
        ]
        needs += [
            f"caller {caller.key_id} of {caller.source_app}"
            for caller in store.callers()
            if fingerprint(calling_key(it, caller.key_id).encode()) == caller.fingerprint
        ]
    return found


def rotate(store: Store, vault: Vault) -> str:
    """Put a new master key first, and seal everything under it; its id. Raises Unavailable.

    Should it be cut off, old and new keys are in the vault, and `Store.reseal` goes on.
    """
    vault.make()
    old = vault.read_all()
    new = secrets.token_bytes(MASTER_KEY_BYTES)
    vault.replace(old, (new, *old))
    store.reseal()
    return key_id(new)


def drop(store: Store, vault: Vault) -> tuple[list[str], Mapping[str, list[str]]]:
    """Drop the older master keys that nothing needs: their ids; and those that are kept, with what needs them."""
    master_keys, needed = vault.read_all(), uses(store, vault)
    older = master_keys[1:]
    kept = tuple(it for it in older if needed[key_id(it)])
    dropped = [key_id(it) for it in older if it not in kept]
    if dropped:
        vault.replace(master_keys, (*master_keys[:1], *kept))
    return dropped, {key_id(it): needed[key_id(it)] for it in kept}
