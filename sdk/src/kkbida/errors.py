"""Everything that the SDK raises on purpose, as one tree.

    KkbidaError
    ├── Refused                    kkbida answered, and said no; carries the problem: status, code, detail, faults
    │   ├── InvalidRequest         400, 413, 415   the request breaks a rule; `faults` lists each
    │   ├── Unauthorized           401             who asks is not known, or the signature is not right
    │   ├── LockedOut              429             too many tries to log in have failed
    │   ├── Forbidden              403             who asks is known, and may not
    │   ├── NotFound               404
    │   └── Conflict               409
    │       ├── IdempotencyConflict                the key was used for a task with other content
    │       └── WrongStatus                        the task's status does not allow it
    ├── Unavailable                429, 502, 503, 504, still so when the patience was used up
    ├── Unreachable                no whole reply came
    ├── Unintelligible             what came is not an answer of kkbida's
    ├── Unsendable                 what was given cannot be sent; also a ValueError
    ├── NotFinalYet                `wait` gave up waiting; carries the task as it stands
    └── NotGenuine                 a delivery that is not kkbida's, or too old

Decide by class or by `code`, never by the text of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kkbida.tasks import WholeTask


class KkbidaError(Exception):
    """The root: whatever the SDK raises on purpose."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (a JSON pointer, `query:name` or `header:Name`) and what."""

    pointer: str
    detail: str


class Problem(KkbidaError):
    """An answer that is no success, as RFC 9457 has it.

    `status` is that of HTTP, `code` is stable and for programs ("" if there is none), `detail` is for people,
    `faults` is everything that was found wrong, `shown` the whole document.
    """

    def __init__(self, status: int, shown: Mapping[str, Any]) -> None:
        self.status = status
        self.shown = shown
        self.code = str(shown.get("code", ""))
        self.detail = str(shown.get("detail") or shown.get("title") or shown.get("message") or "no reason was given")
        self.faults = tuple(_faults(shown))
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        named = [f"{fault.pointer}: {fault.detail}" for fault in self.faults]
        return f"{self.status} {self.code}: ".replace(" :", ":") + "; ".join([self.detail, *named])


def _faults(shown: Mapping[str, Any]) -> list[Fault]:
    listed = shown.get("errors")
    found = [it for it in listed if isinstance(it, Mapping)] if isinstance(listed, list) else []
    return [Fault(str(it.get("pointer", "")), str(it.get("detail", ""))) for it in found]


class Refused(Problem):
    """kkbida answered, and said no. The same again would be refused again."""


class InvalidRequest(Refused):
    """The request cannot be understood, is too large or breaks a rule; `faults` lists each that was found."""


class Unauthorized(Refused):
    """Who asks is not known, the signature is not right, or the login is over; `code` says which."""


class LockedOut(Refused):
    """Too many tries to log in have failed; `Retry-After` said when the next one is looked at."""


class Forbidden(Refused):
    """Who asks is known, and may not do this, or not from here."""


class NotFound(Refused):
    """There is no such task, channel or other record, or no such path."""


class Conflict(Refused):
    """What is there does not allow it."""


class IdempotencyConflict(Conflict):
    """The idempotency key was used before, for a task with other content."""


class WrongStatus(Conflict):
    """The task's status does not allow this; the detail names the status and what it allows."""


class Unavailable(Problem):
    """kkbida, or a gateway before it, could not take it in all the time that there was. Try again later.

    A `Task` that is submitted again is the same task, whatever became of the tries before.
    """


class Unreachable(KkbidaError):
    """No whole reply came. `never_sent`: it is certain that nothing arrived, because there was no connection."""

    def __init__(self, detail: str, *, never_sent: bool = False) -> None:
        super().__init__(detail)
        self.never_sent = never_sent


class Unintelligible(KkbidaError):
    """What came is not an answer of kkbida's, but of a proxy, a gateway or another program. Is the URL that of its API?

    `status` is that of HTTP, `url` the one that answered; 0 and "" where they are not known.
    """

    def __init__(self, detail: str, *, status: int = 0, url: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.url = url


class MissingMember(Unintelligible, KeyError):
    """An answer has not what each answer of kkbida's has."""

    __str__ = Exception.__str__


class Unsendable(KkbidaError, ValueError):
    """What was given cannot be sent: a number that JSON has not, a character that UTF-8 or a header has not, ...

    Nothing was sent.
    """


class NotFinalYet(KkbidaError, TimeoutError):
    """`wait` gave up waiting. The task goes on; `task` is how it stood when it was last looked at."""

    def __init__(self, task: WholeTask) -> None:
        super().__init__(f"task {task.task_id} is still {task.status} after {task.attempts_made} attempts")
        self.task = task


class NotGenuine(KkbidaError):
    """A delivery that was not signed with one of the secrets, or is too old or incomplete. Answer 401 or 400."""


_BY_CODE: Mapping[str, type[Problem]] = {
    "idempotency_conflict": IdempotencyConflict,
    "wrong_status": WrongStatus,
    "locked_out": LockedOut,
}

_BY_STATUS: Mapping[int, type[Problem]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def problem(status: int, shown: Mapping[str, Any]) -> Problem:
    """The exception for an answer with such a status and document."""
    kind = _BY_CODE.get(str(shown.get("code", "")))
    return (kind or _BY_STATUS.get(status, Refused))(status, shown)
