"""Who is asking, and whether they may: a caller by its signature (`message_signature.py`); or, where the API is opened
by the setting `open_api`, anyone."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib import message_signature
from chalicelib.call import Call
from chalicelib.errors import (
    Forbidden,
    Replayed,
    SignatureIncomplete,
    SignatureStale,
    SignatureWrong,
    Unauthorized,
    WrongNetwork,
)
from chalicelib.message_signature import Signature
from chalicelib.ports import World
from chalicelib.task import Right

WINDOW = 300
"""Seconds by which the clock of a caller may be wrong, and a request may be late."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking.

    `name`: for the audit trail; `address`: where the request came from. `source_app`: the only one that it acts for,
    None for all. `nonce`: of a signed request.
    """

    name: str
    address: str
    rights: frozenset[Right] = frozenset()
    source_app: str | None = None
    nonce: str | None = None

    @property
    def account(self) -> str:
        """Whose idempotency and ordering keys these are: an app's, whichever of its keys it calls with."""
        return self.name if self.source_app is None else f"app:{self.source_app}"

    def only(self, source_app: str | None) -> str | None:
        """The app to look at when this one is asked for. Raises Forbidden for one of others."""
        if self.source_app is not None and source_app not in (None, self.source_app):
            raise Forbidden(f"{self.name} sees the tasks of {self.source_app} only.")
        return source_app if self.source_app is None else self.source_app

    def key_of(self, index: int | None = None) -> str | None:
        """The idempotency key of a signed submission that has none: the same request again is the same task."""
        if self.nonce is None:
            return None
        return f"nonce:{self.nonce}" if index is None else f"nonce:{self.nonce}:{index}"


NOBODY = Identity("nobody", "")
"""Who asks where everybody may ask."""


def identify(world: World, method: str, call: Call, right: Right, *, same_again: bool) -> Identity:
    """Who asks, and may.

    `same_again`: the same call again does no more than once, by its idempotency key. Others that change something, and
    are signed, are taken once. Raises Unauthorized, Forbidden, or one of their kinds.
    """
    if not call.headers.keys() & {"signature", "signature-input"}:
        return _require(_unsigned(world, call), right)
    signature = _checked(world, method, call)
    who = _require(_caller(world, method, call, signature), right)
    if method != "GET" and not same_again:
        _require_new(world, signature)
    return who


def _unsigned(world: World, call: Call) -> Identity:
    if not world.settings.open_api:
        raise Unauthorized("Sign the request by RFC 9421 with the key of a caller; docs/signing.md says how.")
    return Identity("anyone", call.address, frozenset(Right))


def _require(who: Identity, right: Right) -> Identity:
    if right not in who.rights:
        raise Forbidden(f"This needs the right to {right}; {who.name} has {', '.join(sorted(who.rights)) or 'none'}.")
    return who


# ── a signed request ─────────────────────────────────────────────────────────────────────────────


def _checked(world: World, method: str, call: Call) -> Signature:
    """The signature, as far as anybody can check it: it is recent, covers what it must, and the digest is the body's.

    Raises SignatureIncomplete, SignatureStale or DigestWrong.
    """
    signature = message_signature.read(call.headers)
    if missing := [name for name in _must_cover(call) if name not in signature.covered]:
        raise SignatureIncomplete(f"The signature of this {method} must cover {', '.join(missing)} as well.")
    now = world.clock.now()
    if abs(now - signature.created) > WINDOW or (signature.expires is not None and signature.expires < now):
        raise SignatureStale(
            f"It was made at {signature.created}, and now is {int(now)}; {WINDOW} seconds are let pass."
        )
    if "content-digest" in signature.covered:
        message_signature.check_digest(call.headers.get("content-digest", ""), call.body)
    return signature


def _must_cover(call: Call) -> Iterator[str]:
    yield from ("@method", "@path", "@query")
    if call.body:
        yield from ("content-digest", "content-type")
    if "idempotency-key" in call.headers:  # else whoever saw a request could make a second task of it
        yield "idempotency-key"


_NOBODYS_SECRET = secrets.token_urlsafe(32)
"""What signatures of unknown keys are compared with, so that they take as long as others."""


def _caller(world: World, method: str, call: Call, signature: Signature) -> Identity:
    """The caller whose signature it is. Raises SignatureIncomplete, SignatureWrong or WrongNetwork."""
    values = {**call.headers, "@method": method, "@path": call.url_path, "@authority": call.headers.get("host", "")}
    bases = [
        message_signature.base_of(signature, {**values, "@query": query})
        for query in message_signature.queries_of(call.query)
    ]
    caller, secret = world.keyring.callers().get(signature.key_id, (None, _NOBODYS_SECRET))
    right = [hmac.compare_digest(message_signature.sign(secret, base), signature.value) for base in bases]
    if caller is None or not any(right):
        signed = bases[0].decode("utf-8", "replace")
        raise SignatureWrong(f"No key of that id has signed what came. It was compared over these lines:\n{signed}")
    if not _is_within(call.address, caller.networks):
        raise WrongNetwork(f"The key {caller.key_id} may not be used from {call.address or 'an unknown address'}.")
    rights = frozenset(Right(scope) for scope in caller.scopes)
    return Identity(f"caller:{caller.key_id}", call.address, rights, caller.source_app, signature.nonce)


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the networks; where there is none, any does."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in ipaddress.ip_network(network) for network in networks)


def _require_new(world: World, signature: Signature) -> None:
    """Raises Replayed when this nonce was used by this key before."""
    until = signature.created + 2 * WINDOW  # by then it is stale
    if not world.store.use_once(f"{signature.key_id}:{signature.nonce}", until):
        raise Replayed
