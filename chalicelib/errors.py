"""Everything that can go wrong, as one tree.

    KkbidaError
    ├── SettingsError             the process is set up wrongly and does not start
    ├── Refusal                   the caller gets a problem+json; nothing was stored
    │   ├── InvalidRequest        400  invalid_request       every fault, each with its JSON pointer
    │   ├── Unauthorized          401  unauthorized          nothing says who asks
    │   │   ├── SignatureIncomplete    signature_incomplete
    │   │   ├── SignatureStale         signature_stale
    │   │   ├── SignatureWrong         signature_wrong
    │   │   ├── DigestWrong            digest_wrong
    │   │   ├── Replayed               replayed
    │   │   ├── SessionOver            session_over
    │   │   └── LoginFailed            login_failed
    │   ├── Forbidden             403  forbidden             who asks may not do this
    │   │   ├── WrongNetwork           wrong_network
    │   │   ├── CsrfTokenWrong         csrf
    │   │   └── ForeignSite            foreign_site          the local run only
    │   ├── NotFound              404  not_found
    │   ├── NoSuchRoute           404  no_such_route
    │   ├── MethodNotAllowed      405  method_not_allowed
    │   ├── IdempotencyConflict   409  idempotency_conflict
    │   ├── WrongStatus           409  wrong_status
    │   ├── Conflict              409  conflict              what is there does not allow it
    │   │   ├── TooMany                too_many
    │   │   ├── NameTaken              name_taken
    │   │   └── LastAdmin              last_admin
    │   ├── TooLarge              413  too_large
    │   ├── UnsupportedMediaType  415  unsupported_media_type
    │   ├── HeadTooLarge          431  head_too_large        the local run only
    │   ├── LockedOut             429  locked_out            carries the seconds to wait
    │   ├── InternalError         500  internal_error
    │   │   └── ResponseTooLarge       response_too_large    what was asked is done; the answer cannot be returned
    │   └── Unavailable           503  unavailable           carries the seconds to wait
    │       └── DatabaseUnusable       database_unusable     one computer only: its file is gone or damaged
    ├── SendFailed                a request that left (or tried to) brought no reply; has a kind
    └── LostLease                 an attempt came back after its claim had passed to somebody else

Callers decide by class or by `code`, never by the text of a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class KkbidaError(Exception):
    """The root: whatever kkbida raises on purpose."""


class SettingsError(KkbidaError):
    """A setting is missing or has a value that cannot be used; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (a JSON pointer, or `header:Name`) and what."""

    pointer: str
    detail: str


class Refusal(KkbidaError):
    """A request that is refused whole. `detail` is for people, `code` for programs."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong inside kkbida"

    def __init__(self, detail: str = "", *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = faults


def kinds_of(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    """A refusal, and all that are below it in the tree."""
    yield refusal
    for child in refusal.__subclasses__():
        yield from kinds_of(child)


class InvalidRequest(Refusal):
    """The request cannot be understood or breaks a rule; every fault that was found is listed."""

    status = 400
    code = "invalid_request"
    title = "The request is not valid"


class Unauthorized(Refusal):
    """Nothing in the request says who asks: it is neither signed by a caller nor part of an operator's session."""

    status = 401
    code = "unauthorized"
    title = "Who is asking is not known"


class SignatureIncomplete(Unauthorized):
    """The signature cannot be read, or does not cover all that it must; the detail says what is missing."""

    code = "signature_incomplete"
    title = "The signature is not complete"


class SignatureStale(Unauthorized):
    """The signature was made too long ago, or in the future: look at the clock, and sign each try anew."""

    code = "signature_stale"
    title = "The signature was not made just now"


class SignatureWrong(Unauthorized):
    """The signature is not the one that the named key makes over what came; or there is no such key any more."""

    code = "signature_wrong"
    title = "The signature is not right"


class DigestWrong(Unauthorized):
    """The body is not the one that Content-Digest says."""

    code = "digest_wrong"
    title = "The digest is not that of the body"


class Replayed(Unauthorized):
    """The very same request came before. Send a new one, with a nonce of its own."""

    code = "replayed"
    title = "This request was used before"


class SessionOver(Unauthorized):
    """The session of the cookie has expired, or was ended: log in again."""

    code = "session_over"
    title = "The session is over"


class LoginFailed(Unauthorized):
    """The name or the password is wrong. Which of them, nobody is told."""

    code = "login_failed"
    title = "Name or password is wrong"


class Forbidden(Refusal):
    """Who asks is known, and may not do this; the detail says what would be needed."""

    status = 403
    code = "forbidden"
    title = "Who is asking may not do this"


class WrongNetwork(Forbidden):
    """The key is right, and may not be used from this address."""

    code = "wrong_network"
    title = "This key may not be used from here"


class CsrfTokenWrong(Forbidden):
    """A request of a session that changes something must have the session's `csrf_token` in `X-CSRF-Token`."""

    code = "csrf"
    title = "The header X-CSRF-Token is not right"


class ForeignSite(Forbidden):
    """The request comes from another site, by way of somebody's browser."""

    code = "foreign_site"
    title = "Only pages and programs of this computer may ask"


class NotFound(Refusal):
    """There is no such task, channel or other record (or it was removed after its retention)."""

    status = 404
    code = "not_found"
    title = "There is no such thing"


class NoSuchRoute(Refusal):
    """The path is none of the API's."""

    status = 404
    code = "no_such_route"
    title = "There is no such path"


class MethodNotAllowed(Refusal):
    """The path exists, and does not take this method."""

    status = 405
    code = "method_not_allowed"
    title = "This path does not take this method"


class IdempotencyConflict(Refusal):
    """The idempotency key was used before, for a request with other content."""

    status = 409
    code = "idempotency_conflict"
    title = "The idempotency key belongs to another request"


class WrongStatus(Refusal):
    """The task's status does not allow this action; the detail names the status and what it allows."""

    status = 409
    code = "wrong_status"
    title = "The task's status does not allow this"


class Conflict(Refusal):
    """What is there does not allow it, or somebody else was faster: look again."""

    status = 409
    code = "conflict"
    title = "What is there does not allow this"


class TooMany(Conflict):
    """There are as many of these as there may be; the detail says how many, and what to do."""

    code = "too_many"
    title = "There are as many as there may be"


class NameTaken(Conflict):
    """There is one of this name."""

    code = "name_taken"
    title = "There is one of this name"


class LastAdmin(Conflict):
    """Nobody could undo it: the last admin who may log in is not disabled, demoted or removed."""

    code = "last_admin"
    title = "This is the last admin"


class TooLarge(Refusal):
    """The request is larger than the API takes."""

    status = 413
    code = "too_large"
    title = "The request is too large"


class HeadTooLarge(Refusal):
    """The request line and the headers are larger than the local server takes; the detail says how much that is."""

    status = 431
    code = "head_too_large"
    title = "The headers of the request are too large"


class UnsupportedMediaType(Refusal):
    """The body is not JSON, or does not say that it is."""

    status = 415
    code = "unsupported_media_type"
    title = "The body must be application/json"


class LockedOut(Refusal):
    """Too many tries to log in have failed. This one was not looked at; `Retry-After` says when one is."""

    status = 429
    code = "locked_out"
    title = "Too many tries have failed"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class InternalError(Refusal):
    """A fault of kkbida itself; it is in the log under the same request id."""


class ResponseTooLarge(InternalError):
    """The answer is larger than AWS Lambda returns (6,291,556 bytes). What was asked for may be done: look before you
    repeat it. Ask for less at a time, such as a smaller `limit`, and report it: every answer should fit."""

    code = "response_too_large"
    title = "The answer is too large to be returned"


class Unavailable(Refusal):
    """The store cannot take it just now, or its answer got lost. Send the same again, with the same Idempotency-Key,
    after the seconds in `Retry-After`."""

    status = 503
    code = "unavailable"
    title = "kkbida cannot take this just now"

    def __init__(self, detail: str = "", *, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class DatabaseUnusable(Unavailable):
    """The files of the embedded database were removed, replaced or damaged, and the process does not write to them any
    more. What to do is in the detail. The request may have been stored before that was noticed: once kkbida runs again,
    send it with the same Idempotency-Key."""

    code = "database_unusable"
    title = "The database file cannot be used"


ASK_LATER = (LockedOut, Unavailable)
"""Refusals that say when to ask again, in `retry_after`."""


class Kind(StrEnum):
    """Why an attempt failed, for people and for programs; stable."""

    REPLY = "reply"  # a reply came, and a rule of the expectation did not hold
    DNS = "dns"  # the host's name has no address
    FORBIDDEN = "forbidden_address"  # the address is one that kkbida does not connect to
    REFUSED = "refused"  # nobody listens there
    CONNECT_TIMEOUT = "connect_timeout"  # no connection within the cap
    TLS = "tls"  # the handshake or the certificate failed
    READ_TIMEOUT = "read_timeout"  # connected, then silence longer than the cap
    TOTAL_TIMEOUT = "total_timeout"  # bytes came, but not all of them within the attempt's time
    TOO_LARGE = "too_large"  # the reply is larger than kkbida reads
    BROKEN = "broken_connection"  # the connection broke, or what came is not HTTP
    INTERRUPTED = "interrupted"  # our own process died during the attempt; its effect is unknown


class SendFailed(KkbidaError):
    """No reply came. `kind` says why; the message is one sentence for people, without secrets.

    `phases`: milliseconds of each phase of the attempt, up to the one in which it failed (see `Attempt`).
    """

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.phases: tuple[int | None, ...] = ()


class LostLease(KkbidaError):
    """The attempt's claim is over: another attempt began, or the task became final. Nothing was recorded."""
