"""The client, and how it reaches kkbida over HTTP."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError as NoConnection
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from kkbida import operations
from kkbida.credentials import CallerKey, Credentials, Nobody
from kkbida.errors import Unreachable
from kkbida.talk import Outcome, Patience, Send, Sleep, Speaker
from kkbida.tasks import Attempt, BatchResult, Changes, Filter, ListedTask, Task, WholeTask
from kkbida.version import USER_AGENT
from kkbida.wire import MAX_REPLY_BYTES, MAX_REPLY_SECONDS, Json, Reply, Request, Transport

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from kkbida.operations import Operation
    from kkbida.talk import Talk

Result = TypeVar("Result")

CONNECT_SECONDS, REPLY_SECONDS = 5.0, 35.0
"""A try's own limits. API Gateway answers within 29 seconds, whatever happens behind it."""

NO_COOKIES = DefaultCookiePolicy(allowed_domains=[])
"""Takes none and sends none: whoever has a session says so in each request."""

WAIT_SECONDS = 300.0
"""How long `wait` waits unless said."""

PAGE = 100
"""Tasks that `list` fetches at a time."""

NO_CHANGES, NO_FILTER, PATIENT = Changes(), Filter(), Patience()


@dataclass(frozen=True)
class Address:
    """Where an API is: scheme and host, and what stands before its paths."""

    origin: str
    base: str


def address(url: str) -> Address:
    """The address in a URL such as `https://abc.execute-api.eu-west-1.amazonaws.com/prod`. Raises ValueError."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("the URL of the API has a name or a password before its host, which would not be used")
    good = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    if not good or not (parts.path.isascii() and parts.path.isprintable()) or parts.port == 0:
        raise ValueError(f"{url!r} is not the URL of an API; it looks like https://kkbida.example or .../prod")
    return Address(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"))


def speaker(base: str, key_id: str, secret: str, credentials: Credentials | None, patience: Patience) -> Speaker:
    """Who talks for a client: the caller with the key, or whoever is named, or nobody. Raises ValueError."""
    if bool(key_id) != bool(secret):
        raise ValueError("give both key_id and secret, or neither")
    caller = CallerKey(key_id, secret) if key_id else Nobody()
    return Speaker(base, credentials or caller, patience)


class Client:
    """Hands tasks over, and asks about them. Threads may share one, and so may forked processes.

    `url` is that of the API, with the stage if it has one; `key_id` and `secret` are a caller's. Without a key only an
    open API answers. `transport` carries requests another way, such as `LambdaTransport`, and then `url` may be left
    out. `patience`: how long it keeps trying by itself. Every method may raise a `Problem` (`Refused` or
    `Unavailable`), `Unreachable`, `Unintelligible` or `Unsendable`; all are a `KkbidaError`.
    """

    def __init__(
        self,
        url: str = "",
        key_id: str = "",
        secret: str = "",
        *,
        credentials: Credentials | None = None,
        transport: Transport | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        at = address(url) if url or transport is None else Address("", "")
        self._speaker = speaker(at.base, key_id, secret, credentials, patience)
        self._transport = transport or HttpTransport(at.origin)

    def call(self, task: Task) -> str:
        """Hand over a task: its id, once it is stored. It will arrive, or somebody is told."""
        return self.do(operations.submit(task)).task_id

    def batch(self, tasks: Sequence[Task]) -> Sequence[BatchResult]:
        """Hand over many, each for itself: of each, in order, its id or its problem.

        When it raises, nobody knows of some. Hand over the same objects again: none becomes two tasks.
        """
        return self._run(self._speaker.submit_all(tasks))

    def get(self, task_id: str) -> WholeTask:
        """A task with its attempts, its notices and its audit trail."""
        return self.do(operations.get(task_id))

    def attempts(self, task_id: str) -> Iterator[Attempt]:
        """The attempts of a task, of all rounds, newest first, all of them, fetched as they are asked for."""
        cursor = None
        while True:
            page = self.do(operations.attempts(task_id, cursor=cursor))
            yield from page.attempts
            cursor = page.cursor
            if cursor is None:
                return

    def wait(self, task_id: str, timeout: float = WAIT_SECONDS) -> WholeTask:
        """The task, once it is delivered, exhausted or cancelled. Raises NotFinalYet after `timeout` seconds."""
        return self._run(self._speaker.until_final(task_id, timeout))

    def list(self, of: Filter = NO_FILTER, *, page_size: int = PAGE) -> Iterator[ListedTask]:
        """The tasks of a filter, newest first, all of them, fetched as they are asked for."""
        cursor = None
        while True:
            page = self.do(operations.page(of, cursor=cursor, limit=page_size))
            yield from page.tasks
            cursor = page.cursor
            if cursor is None:
                return

    def rows(self, route: str, name: str) -> Iterator[Mapping[str, Json]]:
        """What a route lists under a name, all of it, fetched as it is asked for."""
        cursor = None
        while True:
            shown = self.do(operations.show(route, operations.about(name), {"cursor": cursor}))
            yield from shown[name]
            cursor = shown.get("cursor")
            if cursor is None:
                return

    def resend(self, task_id: str, changes: Changes = NO_CHANGES) -> ListedTask:
        """Open a new round of a final task, as it was or with changes."""
        return self.do(operations.resend(task_id, changes))

    def cancel(self, task_id: str) -> ListedTask:
        """Cancel a live task."""
        return self.do(operations.cancel(task_id))

    def deliver_now(self, task_id: str) -> ListedTask:
        """Make the next attempt at once, without waiting for its time."""
        return self.do(operations.deliver_now(task_id))

    def do(self, operation: Operation[Result]) -> Result:
        """Any operation of `kkbida.operations`."""
        return self._run(self._speaker.perform(operation))

    def _run(self, talk: Talk[Result]) -> Result:
        outcome: Outcome | None = None
        while True:
            try:
                step = talk.send(outcome)
            except StopIteration as end:
                result: Result = end.value
                return result
            outcome = self._take(step)

    def _take(self, step: Send | Sleep) -> Outcome | None:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        try:
            return self._transport.send(step.request)
        except Unreachable as error:
            return error

    def close(self) -> None:
        """Let go of its connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────


class _Session(requests.Session):
    """One that follows no redirect, and does not even read where it leads: it may lead nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(NO_COOKIES)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is none."""


class HttpTransport:
    """HTTP by `requests`, with a session for each thread of each process: a forked one takes none of its parent's.

    Follows no redirects, keeps no cookies, reads no `.netrc`.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._own = threading.local()

    def send(self, request: Request) -> Reply:
        """Send it once. Raises Unreachable."""
        try:
            return self._sent(request)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise Unreachable(f"{self._origin}: {_why(error)}", never_sent=_never_sent(error)) from error

    def _sent(self, request: Request) -> Reply:
        until = time.monotonic() + MAX_REPLY_SECONDS
        with self._session().request(
            request.method,
            self._origin + request.location,
            data=request.body,
            headers={"user-agent": USER_AGENT, **request.headers},
            timeout=(CONNECT_SECONDS, REPLY_SECONDS),
            allow_redirects=False,
            auth=_as_it_is,
            stream=True,
        ) as reply:
            headers = {name.lower(): value for name, value in reply.headers.items()}
            return Reply(reply.status_code, headers, _body(reply, until), self._origin + request.path)

    def _session(self) -> requests.Session:
        """This thread's. What a fork has left from the parent is forgotten, and not closed: it goes on there."""
        if getattr(self._own, "process", None) != os.getpid():
            self._own.session = _Session()
            self._own.process = os.getpid()
        session: requests.Session = self._own.session
        return session

    def close(self) -> None:
        """Close this thread's connections."""
        if getattr(self._own, "process", None) == os.getpid():
            self._own.session.close()


CHUNK = 65_536


def _body(reply: requests.Response, until: float) -> bytes:
    """The body, or as much of it as kkbida could have sent. Raises Unreachable when it does not end in time."""
    body = bytearray()
    for some in reply.iter_content(CHUNK):
        body += some
        if len(body) > MAX_REPLY_BYTES:
            break
        if time.monotonic() > until:
            raise TimeoutError(f"the answer had not ended after {MAX_REPLY_SECONDS:.0f} seconds")
    return bytes(body)


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """In the place of the credentials that `requests` would take from `.netrc`."""
    return prepared


def _cause(error: Exception) -> object:
    """What urllib3 says, from within what requests makes of it."""
    inner = error.args[0] if error.args else error
    return inner.reason if isinstance(inner, MaxRetryError) else inner


def _never_sent(error: Exception) -> bool:
    return isinstance(_cause(error), (NewConnectionError, NoConnection))


def _why(error: Exception) -> str:
    """The reason in a few words, without the objects that urllib3 names."""
    told = str(_cause(error))
    return told.partition(": ")[2] or told
