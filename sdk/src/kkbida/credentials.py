"""Who is asking: a caller with a key, an operator who has logged in, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from kkbida.signing import signed
from kkbida.wire import Request

SESSION_COOKIE, DEVICE_COOKIE = "kkbida_session", "kkbida_device"

READING = ("GET", "HEAD")
"""Methods that change nothing."""


class Credentials(Protocol):
    """Says in a request who is asking."""

    def sign(self, request: Request, *, created: int, nonce: str) -> Request:
        """The request, with what shows who asks."""


@dataclass(frozen=True)
class Nobody:
    """For an API that is open, such as that of a local run."""

    def sign(self, request: Request, *, created: int, nonce: str) -> Request:  # noqa: ARG002 - like the others
        """The request as it is."""
        return request


@dataclass(frozen=True)
class CallerKey:
    """A caller's key. The secret signs, and is not sent."""

    key_id: str
    secret: str = field(repr=False)

    def sign(self, request: Request, *, created: int, nonce: str) -> Request:
        """The request, signed."""
        return signed(request, key_id=self.key_id, secret=self.secret, created=created, nonce=nonce)


@dataclass(frozen=True)
class OperatorSession:
    """An operator's login: its cookie, and the token without which a session changes nothing.

    `device` opens nothing: shown at the next login, it lets nobody else's failures lock this one out.
    """

    name: str
    cookie: str = field(repr=False)
    csrf_token: str = field(repr=False)
    device: str = field(default="", repr=False)

    def sign(self, request: Request, *, created: int, nonce: str) -> Request:  # noqa: ARG002 - like the others
        """The request with the cookie, and with the token if it may change something."""
        token = {} if request.method in READING else {"x-csrf-token": self.csrf_token}
        return replace(request, headers={**request.headers, "cookie": f"{SESSION_COOKIE}={self.cookie}", **token})
