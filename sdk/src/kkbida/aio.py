"""The client for asyncio. It says and decides all that `Client` does; only the steps are awaited."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, TypeVar

from kkbida import operations
from kkbida.client import (
    CONNECT_SECONDS,
    NO_CHANGES,
    NO_COOKIES,
    NO_FILTER,
    PAGE,
    PATIENT,
    REPLY_SECONDS,
    WAIT_SECONDS,
    Address,
    address,
    speaker,
)
from kkbida.errors import Unreachable
from kkbida.talk import Outcome, Patience, Send, Sleep
from kkbida.tasks import Attempt, BatchResult, Changes, Filter, ListedTask, Task, WholeTask
from kkbida.version import USER_AGENT
from kkbida.wire import MAX_REPLY_BYTES, MAX_REPLY_SECONDS, AsyncTransport, Reply, Request

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from kkbida.credentials import Credentials
    from kkbida.operations import Operation
    from kkbida.talk import Talk

Result = TypeVar("Result")


class AsyncClient:
    """As `Client`, for asyncio, in any number of event loops. Over HTTP it needs `httpx`: `kkbida[async]`."""

    def __init__(
        self,
        url: str = "",
        key_id: str = "",
        secret: str = "",
        *,
        credentials: Credentials | None = None,
        transport: AsyncTransport | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        at = address(url) if url or transport is None else Address("", "")
        self._speaker = speaker(at.base, key_id, secret, credentials, patience)
        self._transport = transport or AsyncHttpTransport(at.origin)

    async def call(self, task: Task) -> str:
        """Hand over a task: its id, once it is stored. It will arrive, or somebody is told."""
        return (await self.do(operations.submit(task))).task_id

    async def batch(self, tasks: Sequence[Task]) -> Sequence[BatchResult]:
        """Hand over many, each for itself: of each, in order, its id or its problem."""
        return await self._run(self._speaker.submit_all(tasks))

    async def get(self, task_id: str) -> WholeTask:
        """A task with its attempts, its notices and its audit trail."""
        return await self.do(operations.get(task_id))

    async def attempts(self, task_id: str) -> AsyncIterator[Attempt]:
        """The attempts of a task, of all rounds, newest first, all of them, fetched as they are asked for."""
        cursor = None
        while True:
            page = await self.do(operations.attempts(task_id, cursor=cursor))
            for attempt in page.attempts:
                yield attempt
            cursor = page.cursor
            if cursor is None:
                return

    async def wait(self, task_id: str, timeout: float = WAIT_SECONDS) -> WholeTask:
        """The task, once it is delivered, exhausted or cancelled. Raises NotFinalYet after `timeout` seconds."""
        return await self._run(self._speaker.until_final(task_id, timeout))

    async def list(self, of: Filter = NO_FILTER, *, page_size: int = PAGE) -> AsyncIterator[ListedTask]:
        """The tasks of a filter, newest first, all of them, fetched as they are asked for."""
        cursor = None
        while True:
            page = await self.do(operations.page(of, cursor=cursor, limit=page_size))
            for task in page.tasks:
                yield task
            cursor = page.cursor
            if cursor is None:
                return

    async def resend(self, task_id: str, changes: Changes = NO_CHANGES) -> ListedTask:
        """Open a new round of a final task, as it was or with changes."""
        return await self.do(operations.resend(task_id, changes))

    async def cancel(self, task_id: str) -> ListedTask:
        """Cancel a live task."""
        return await self.do(operations.cancel(task_id))

    async def deliver_now(self, task_id: str) -> ListedTask:
        """Make the next attempt at once, without waiting for its time."""
        return await self.do(operations.deliver_now(task_id))

    async def do(self, operation: Operation[Result]) -> Result:
        """Any operation of `kkbida.operations`."""
        return await self._run(self._speaker.perform(operation))

    async def _run(self, talk: Talk[Result]) -> Result:
        outcome: Outcome | None = None
        while True:
            try:
                step = talk.send(outcome)
            except StopIteration as end:
                result: Result = end.value
                return result
            outcome = await self._take(step)

    async def _take(self, step: Send | Sleep) -> Outcome | None:
        if isinstance(step, Sleep):
            import asyncio  # noqa: PLC0415 - as in `_loop`

            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._transport.send(step.request)
        except Unreachable as error:
            return error

    async def close(self) -> None:
        """Let go of its connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


class AsyncHttpTransport:
    """HTTP by `httpx`, with connections for each event loop of each process. Follows no redirects, keeps no cookies."""

    def __init__(self, origin: str) -> None:
        import httpx  # noqa: PLC0415 - an extra

        self._origin = origin
        self._http = httpx
        self._trusted = httpx.create_ssl_context()  # costs more than all else: read once for all loops
        self._own = threading.local()

    async def send(self, request: Request) -> Reply:
        """Send it once. Raises Unreachable."""
        try:
            return await self._sent(request)
        except (self._http.HTTPError, self._http.InvalidURL, OSError, ValueError) as error:
            never_sent = isinstance(error, (self._http.ConnectError, self._http.ConnectTimeout))
            raise Unreachable(f"{self._origin}: {error or type(error).__name__}", never_sent=never_sent) from error

    async def _sent(self, request: Request) -> Reply:
        until = time.monotonic() + MAX_REPLY_SECONDS
        async with self._client().stream(
            request.method,
            self._origin + request.location,
            content=request.body,
            headers={"user-agent": USER_AGENT, **request.headers},
        ) as reply:
            headers = {name.lower(): value for name, value in reply.headers.items()}
            return Reply(reply.status_code, headers, await _body(reply, until), self._origin + request.path)

    def _client(self) -> httpx.AsyncClient:
        """This loop's. What a fork or a loop that is over has left is forgotten: it cannot be closed any more."""
        clients = self._clients()
        loop = _loop()
        if loop not in clients:
            for other in [it for it in clients if it.is_closed()]:
                del clients[other]
            clients[loop] = self._http.AsyncClient(
                verify=self._trusted,
                timeout=self._http.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=False,
                cookies=CookieJar(NO_COOKIES),
            )
        return clients[loop]

    def _clients(self) -> dict[AbstractEventLoop, httpx.AsyncClient]:
        """Those of the loops of this thread of this process."""
        if getattr(self._own, "process", None) != os.getpid():
            self._own.clients = {}
            self._own.process = os.getpid()
        clients: dict[AbstractEventLoop, httpx.AsyncClient] = self._own.clients
        return clients

    async def close(self) -> None:
        """Close this loop's connections."""
        client = self._clients().pop(_loop(), None)
        if client is not None:
            await client.aclose()


def _loop() -> AbstractEventLoop:
    import asyncio  # noqa: PLC0415 - whoever awaits has it already, and all others need not wait for it

    return asyncio.get_running_loop()


async def _body(reply: httpx.Response, until: float) -> bytes:
    """The body, or as much of it as kkbida could have sent. Raises TimeoutError when it does not end in time."""
    body = bytearray()
    async for some in reply.aiter_bytes():
        body += some
        if len(body) > MAX_REPLY_BYTES:
            break
        if time.monotonic() > until:
            raise TimeoutError(f"the answer had not ended after {MAX_REPLY_SECONDS:.0f} seconds")
    return bytes(body)
