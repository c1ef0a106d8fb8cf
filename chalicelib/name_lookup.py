"""Looks names up by the system's resolver, which cannot be stopped: a look-up that hangs is left behind in its thread.

Names are chosen by callers, so the names of one of them may hang. They use up a share, not all there is:

* Requests for one name wait for one look-up.
* The names of one registered domain have MAX_OF_DOMAIN look-ups at a time, those that hang included.
* A look-up that is waited for has a place among MAX_AWAITED, and gives it back when all have given it up. Then it
  hangs, and counts among MAX_HANGING.
* The last RESERVED places are for names that have been found before: what was delivered to goes on.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from chalicelib.deadline import Deadline

Resolver = Callable[[str], Sequence[str]]
"""From a name to its addresses. Raises OSError when it has none."""

MAX_OF_DOMAIN = 16
MAX_AWAITED = 128
MAX_HANGING = 384
"""Look-ups at a time; each holds a thread and a socket, of which Lambda has 1,024 (AWS Lambda quotas)."""

RESERVED = 32
"""Places beyond either limit for names that have been found before."""

MAX_KNOWN_NAMES = 10_000


def look_up(name: str) -> list[str]:
    """The addresses of a name, by the system's resolver, in its order. Raises OSError when there are none."""
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def registered_domain(name: str) -> str:
    """The part of a name that has one owner, about: two labels, or three below one such as `co.uk` or `com.cn`.

    The public suffix list would tell exactly, and has 10,000 entries. Where this is wrong, owners share a share.
    """
    labels = name.removesuffix(".").split(".")
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3  # noqa: PLR2004
    return ".".join(labels[-3:] if below_country else labels[-2:])


@dataclass(slots=True, eq=False)
class _LookUp:
    name: str
    domain: str
    answer: Future[Sequence[str]] = field(default_factory=Future)
    waiting: int = 0


class NameLookup:
    """Any number of threads may ask at a time."""

    def __init__(self, resolve: Resolver = look_up) -> None:
        self._resolve = resolve
        self._changed = threading.Condition()
        self._awaited: dict[str, _LookUp] = {}
        self._hanging = 0
        self._of_domain: Counter[str] = Counter()
        self._known: dict[str, None] = {}

    def addresses(self, name: str, by: Deadline) -> Sequence[str]:
        """The addresses of a name, as found while this waits. Raises OSError when it has none, TimeoutError when the
        time is over."""
        look_up = self._joined(name, by)
        try:
            return look_up.answer.result(by.left())
        except TimeoutError:
            self._forget(name)
            raise
        finally:
            self._leave(look_up)

    def _joined(self, name: str, by: Deadline) -> _LookUp:
        """The look-up of a name that is under way, or a new one once there is room. Raises TimeoutError."""
        with self._changed:
            while (found := self._awaited.get(name) or self._begun(name)) is None:
                if not self._changed.wait(by.left()):
                    raise TimeoutError
            found.waiting += 1
            return found

    def _begun(self, name: str) -> _LookUp | None:
        new = _LookUp(name, registered_domain(name))
        if not self._has_room(new):
            return None
        threading.Thread(target=self._ask, args=(new,), name="look-up", daemon=True).start()
        self._awaited[name] = new
        self._of_domain[new.domain] += 1
        return new

    def _has_room(self, new: _LookUp) -> bool:
        reserved = 0 if new.name in self._known else RESERVED
        return (
            self._of_domain[new.domain] < MAX_OF_DOMAIN
            and len(self._awaited) < MAX_AWAITED - reserved
            and self._hanging < MAX_HANGING - reserved
        )

    def _ask(self, look_up: _LookUp) -> None:
        try:
            answer = self._resolve(look_up.name)
        except OSError as error:
            self._end(look_up)
            look_up.answer.set_exception(error)
        except UnicodeError:
            self._end(look_up)
            look_up.answer.set_exception(OSError(errno.EINVAL, "not a name of the DNS"))
        else:
            self._end(look_up, found=bool(answer))
            look_up.answer.set_result(answer)

    def _end(self, look_up: _LookUp, *, found: bool = False) -> None:
        with self._changed:
            if self._awaited.get(look_up.name) is look_up:
                del self._awaited[look_up.name]
            else:
                self._hanging -= 1
            self._of_domain[look_up.domain] -= 1
            if not self._of_domain[look_up.domain]:
                del self._of_domain[look_up.domain]
            if found:
                self._remember(look_up.name)
            self._changed.notify_all()

    def _leave(self, look_up: _LookUp) -> None:
        with self._changed:
            look_up.waiting -= 1
            if not look_up.waiting and self._awaited.get(look_up.name) is look_up:
                del self._awaited[look_up.name]
                self._hanging += 1
                self._changed.notify_all()

    def _remember(self, name: str) -> None:
        self._known.pop(name, None)
        self._known[name] = None
        if len(self._known) > MAX_KNOWN_NAMES:
            del self._known[next(iter(self._known))]

    def _forget(self, name: str) -> None:
        with self._changed:
            self._known.pop(name, None)
