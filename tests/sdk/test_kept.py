"""Connections that a client keeps belong to one process, and in it to one thread or event loop: no other uses them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from kkbida import AsyncClient, Client, LambdaTransport, Patience, Task
from kkbida.wire import Request

TASK = Task("https://partner.example/callback")


@dataclass
class Counting:
    """A server that answers 409 to each request, with the number of the connection that it came on as its code."""

    url: str = ""
    requests: list[int] = field(default_factory=list)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@pytest.fixture
def counting() -> Iterator[Counting]:
    told = Counting()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as door:
        told.url = f"http://127.0.0.1:{door.getsockname()[1]}"
        threading.Thread(target=accept, args=(door, told), daemon=True).start()
        yield told


def accept(door: socket.socket, told: Counting) -> None:
    number = 0
    while True:
        try:
            connection, _ = door.accept()
        except OSError:
            return
        number += 1
        threading.Thread(target=answer, args=(connection, number, told), daemon=True).start()


def answer(connection: socket.socket, number: int, told: Counting) -> None:
    with connection, connection.makefile("rb") as lines:
        while lines.readline():
            length = 0
            while (line := lines.readline().lower()) != b"\r\n":
                length = int(line[15:]) if line.startswith(b"content-length:") else length
            lines.read(length)
            told.requests.append(number)
            body = b'{"code": "%d"}' % number
            connection.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    told.closed.release()


def used(client: Client) -> str:
    """The number of the connection that a request goes by."""
    with pytest.raises(Exception) as refused:  # noqa: PT011 - whatever it is, it must have a code
        client.call(TASK)
    return str(getattr(refused.value, "code", refused.value))


async def async_used(client: AsyncClient) -> str:
    with pytest.raises(Exception) as refused:  # noqa: PT011 - as above
        await client.call(TASK)
    return str(getattr(refused.value, "code", refused.value))


def in_child(work: Callable[[], str]) -> str:
    """What some work in a forked process comes to."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            told = work()
        except BaseException:  # noqa: BLE001 - told below, in the parent
            told = traceback.format_exc()
        os.write(write, told.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as heard:
        told = heard.read()
    os.waitpid(process, 0)
    return told


def test_one_thread_keeps_one_connection(counting: Counting) -> None:
    with Client(counting.url) as client:
        assert [used(client) for _ in range(3)] == ["1", "1", "1"]


def test_a_forked_process_takes_none_of_its_parents_connections(counting: Counting) -> None:
    with Client(counting.url) as client:
        assert used(client) == "1"
        children = [in_child(lambda: f"{used(client)} {used(client)}") for _ in range(2)]
        assert children == ["2 2", "3 3"]
        assert used(client) == "1", "the parent goes on with its own"


def test_a_client_that_was_not_used_before_the_fork_serves_all(counting: Counting) -> None:
    with Client(counting.url) as client:
        assert in_child(lambda: used(client)) == "1"
        assert used(client) == "2"


def test_a_forked_process_that_closes_the_client_leaves_the_parents_connection_open(counting: Counting) -> None:
    def closes() -> str:
        client.close()
        return used(client)

    with Client(counting.url) as client:
        assert used(client) == "1"
        assert in_child(closes) == "2"
        assert used(client) == "1"


def test_a_fork_of_a_fork_has_connections_of_its_own(counting: Counting) -> None:
    with Client(counting.url) as client:
        assert used(client) == "1"
        assert in_child(lambda: f"{used(client)} {in_child(lambda: used(client))} {used(client)}") == "2 3 2"


def test_a_closed_client_can_be_used_again_and_closing_what_was_never_open_is_nothing(counting: Counting) -> None:
    client = Client(counting.url)
    client.close()
    assert used(client) == "1"
    client.close()
    gc.collect()  # urllib3 closes what nobody refers to any more, and the exception above did
    assert counting.closed.acquire(timeout=30), "the connection was closed"
    assert used(client) == "2"
    client.close()


def test_threads_have_connections_of_their_own(counting: Counting) -> None:
    both = threading.Barrier(2)
    with Client(counting.url) as client, ThreadPoolExecutor(2) as threads:

        def twice() -> set[str]:
            both.wait(30)
            return {used(client), used(client)}

        one, other = threads.map(lambda _: twice(), range(2))
    assert (len(one), len(other), one & other) == (1, 1, set())


# ── asyncio ──────────────────────────────────────────────────────────────────────────────────────


def test_a_second_event_loop_has_connections_of_its_own(counting: Counting) -> None:
    client = AsyncClient(counting.url, patience=Patience(total=0))
    for number in ("1", "2", "3"):
        assert asyncio.run(twice(client)) == [number, number]


async def twice(client: AsyncClient) -> list[str]:
    return [await async_used(client), await async_used(client)]


def test_two_loops_that_take_turns_keep_their_connections(counting: Counting) -> None:
    client = AsyncClient(counting.url, patience=Patience(total=0))
    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert [runner.run(async_used(client)) for runner in (one, other, one, other)] == ["1", "2", "1", "2"]
        one.run(client.close())
        assert [runner.run(async_used(client)) for runner in (one, other)] == ["3", "2"]
        one.run(client.close())
        other.run(client.close())


def test_loops_in_threads_have_connections_of_their_own(counting: Counting) -> None:
    client = AsyncClient(counting.url, patience=Patience(total=0))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: asyncio.run(twice(client)), range(4)))
    assert sorted(found) == [[str(number)] * 2 for number in range(1, 5)]


def test_a_forked_loop_takes_none_of_its_parents_connections(counting: Counting) -> None:
    client = AsyncClient(counting.url, patience=Patience(total=0))

    async def closes() -> str:
        await client.close()
        return await async_used(client)

    with asyncio.Runner() as runner:
        assert runner.run(async_used(client)) == "1"
        assert in_child(lambda: asyncio.run(closes())) == "2"
        assert in_child(lambda: asyncio.run(async_used(client))) == "3"
        assert runner.run(async_used(client)) == "1"
        runner.run(client.close())


def test_loops_that_are_over_are_forgotten(counting: Counting) -> None:
    client = AsyncClient(counting.url, patience=Patience(total=0))
    for _ in range(3):
        asyncio.run(async_used(client))
    transport: Any = client._transport
    assert len(transport._clients()) == 1


# ── by Lambda ────────────────────────────────────────────────────────────────────────────────────


class Kept:
    """A client of boto3's that says how often its connections were closed before."""

    closed = 0

    def invoke(self, **_: object) -> dict[str, Any]:
        return {"Payload": Payload(b'{"statusCode": 200, "body": "%d"}' % self.closed)}

    def close(self) -> None:
        self.closed += 1


@dataclass
class Payload:
    raw: bytes

    def read(self) -> bytes:
        return self.raw


def test_a_forked_process_invokes_by_connections_of_its_own() -> None:
    transport = LambdaTransport("kkbida", Kept())
    ask = Request("GET", "/v1/me", "/v1/me")
    assert transport.send(ask).body == b"0"
    assert in_child(lambda: b" ".join(transport.send(ask).body for _ in range(2)).decode()) == "1 1"
    assert transport.send(ask).body == b"0"
