"""The witness: a receiver in a process of its own, which outlives every kill and remembers each request.

python -m tests.chaos.witness SEED      prints its address, and runs until its stdin ends

/steady      503 to one attempt in five, else 200
/slow/{s}    the same, up to so many seconds late
/never       503
/robot       takes nine notices of ten
?round=2     is put by whoever opens a round, since no header tells it
/evidence    is what it saw and what the robot was told
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from random import Random
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.local.receiver import HOST, Answer, Incoming, head, read
from tests.chaos.verdict import Seen, Told

FAILS = 0.2
"""The share of attempts that the witness fails."""

REFUSES = 10
"""Of so many notices the robot does not take the second."""

OK, BUSY = 200, 503


@dataclass
class Witness:
    """What it saw and was told. All dice are cast from the seed and what is asked, so each run is the same."""

    seed: int
    seen: list[dict[str, Any]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    asked: int = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client leaves or dies."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (incoming := await read(reader)) is not None:
                answer = await self._answer(incoming, reader)
                writer.write(head(answer) + answer.body)
                await writer.drain()
        writer.close()

    async def _answer(self, incoming: Incoming, reader: asyncio.StreamReader) -> Answer:
        """Raises ConnectionError when the client leaves before it has its answer."""
        if incoming.path == "/evidence":
            return Answer(body=json.dumps({"seen": self.seen, "told": [asdict(it) for it in self.told]}).encode())
        if incoming.path == "/robot":
            return Answer(self._take_notice(json.loads(incoming.body)))
        return await self._attend(incoming, reader)

    def _take_notice(self, notice: dict[str, str]) -> int:
        self.asked += 1
        if self.asked % REFUSES == 2:
            return BUSY
        self.told.append(Told(notice["task_id"], _round(notice["url"])))
        return OK

    async def _attend(self, incoming: Incoming, reader: asyncio.StreamReader) -> Answer:
        """Answer an attempt, late if need be, and remember when that began and ended."""
        task_id, round_, number = incoming.webhook_id, _round(incoming.target), int(incoming.header("webhook-attempt"))
        seen = {"task_id": task_id, "round": round_, "number": number, "began": time.monotonic(), "status": None}
        self.seen.append(seen)
        status, silence = conduct(incoming.path, self._dice(task_id, round_, number))
        gone = await _leaves_within(reader, silence)
        seen["ended"] = time.monotonic()
        if gone:
            raise ConnectionError
        seen["status"] = status
        return Answer(status)

    def _dice(self, *of: object) -> Random:
        return Random(repr((self.seed, *of)))


def conduct(path: str, dice: Random) -> tuple[int, float]:
    """How the witness meets an attempt: the status, and the seconds until it gives it."""
    _, name, *seconds = path.split("/")
    status = BUSY if name == "never" or dice.random() < FAILS else OK
    return status, dice.uniform(0, float(seconds[0])) if name == "slow" else 0


def _round(url: str) -> int:
    return int(parse_qs(urlsplit(url).query).get("round", ["1"])[0])


async def _leaves_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the client hangs up within so many seconds, as it does when it is killed."""
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return False
    return True


async def serve(seed: int) -> None:
    """Say where, and go on until the process ends."""
    server = await asyncio.start_server(Witness(seed).converse, HOST, 0, backlog=1024)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


# ── seen from outside ────────────────────────────────────────────────────────────────────────────


@contextmanager
def witness(seed: int) -> Iterator[str]:
    """The address of a witness that runs while the block does, or until this process ends."""
    command = [sys.executable, "-m", "tests.chaos.witness", str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def evidence_of(url: str) -> tuple[list[Seen], list[Told]]:
    """What the witness at `url` saw, and what its robot was told. A request that it still has in hand has not ended."""
    with urllib.request.urlopen(f"{url}/evidence", timeout=60) as reply:
        evidence = json.load(reply)
    seen = [Seen(**{"ended": float("inf"), **it}) for it in evidence["seen"]]
    return seen, [Told(**it) for it in evidence["told"]]


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    Thread(target=_end_with_stdin, daemon=True).start()
    asyncio.run(serve(int(sys.argv[1])))
