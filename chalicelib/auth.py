"""Who is asking. Until callers and operators exist, everybody or nobody, by the setting `open_api`."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.errors import Unauthorized
from chalicelib.settings import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: a name for the audit trail and for idempotency keys, and the address the request came from."""

    name: str
    address: str


NOBODY = Identity("nobody", "")
"""Who asks where everybody may ask."""


def identify(settings: Settings, address: str) -> Identity:
    """The identity behind a request. Raises Unauthorized unless the API is opened (`KKBIDA_OPEN_API=1`)."""
    if not settings.open_api:
        raise Unauthorized(
            "This API is closed: callers and operators cannot be set up yet. "
            "KKBIDA_OPEN_API=1 opens it to everybody who can reach it."
        )
    return Identity("anyone", address)
