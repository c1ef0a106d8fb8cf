"""A whole house in memory: the embedded adapters, a clock that we move, a world outside that we write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chalicelib import api
from chalicelib.call import Call
from chalicelib.consume import consume
from chalicelib.delivery.deliver import deliver
from chalicelib.delivery.reconcile import reconcile
from chalicelib.delivery.resend import go_on
from chalicelib.embedded import open_embedded
from chalicelib.errors import SendFailed
from chalicelib.keyring import DerivedKeys
from chalicelib.notify.notify import tell
from chalicelib.ports import Message, Outgoing, Queue, Received, Reply, World
from chalicelib.settings import load
from chalicelib.task import Json
from chalicelib.vault import MemoryVault
from tests.declared import assert_declared, read

NOON = 1_764_590_400.0
"""2025-12-01T12:00:00Z, when every story begins."""


@dataclass
class StoppedClock:
    """Time that passes only when a test says so."""

    at: float = NOON

    def now(self) -> float:
        return self.at


Answerer = Callable[[Outgoing], Reply]


@dataclass
class Outside:
    """The world outside: `answers` say what each URL prefix replies; `sent` is all that was sent there."""

    answers: dict[str, Answerer] = field(default_factory=dict)
    sent: list[Outgoing] = field(default_factory=list)

    def send(self, outgoing: Outgoing) -> Reply:
        self.sent.append(outgoing)
        for prefix, answer in self.answers.items():
            if outgoing.url.startswith(prefix):
                return answer(outgoing)
        return reply(404, "nobody lives here")

    def check(self, url: str) -> None:
        """Every address is allowed here."""

    def sent_to(self, prefix: str) -> list[Outgoing]:
        return [outgoing for outgoing in self.sent if outgoing.url.startswith(prefix)]


def reply(status: int, body: str, **headers: str) -> Reply:
    return Reply(
        status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=body.encode()
    )


def in_turn(*answers: Reply | SendFailed) -> Answerer:
    """Gives one answer after the other, and the last one for ever."""
    left = list(answers)

    def answer(_: Outgoing) -> Reply:
        next_one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(next_one, SendFailed):
            raise next_one
        return next_one

    return answer


class House:
    """The product in one process, one thread, and no time of its own."""

    def __init__(self, *, database: str = ":memory:", **environment: str) -> None:
        self.clock = StoppedClock()
        self.outside = Outside()
        settings = load({"KKBIDA_OPEN_API": "1", **environment})
        vault = MemoryVault()
        store, queues = open_embedded(database, settings, self.clock, vault)
        self.world = World(
            settings=settings,
            store=store,
            queues=queues,
            http=self.outside,
            keyring=DerivedKeys(store, vault, self.clock),
            clock=self.clock,
            random=Random(7),
        )

    # ── the API, as a client sees it ──

    def call(self, view: str, body: Json = None, *, raw: bytes | None = None, **parts: Any) -> tuple[int, Any]:
        """Call a view as app.py does: its status, and its body, read. It answers as declared, whatever it is."""
        sent = raw if raw is not None else b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        answer = api.answer(self.world, view, Call(**{"body": sent, "address": "192.0.2.7", **parts}))
        assert_declared(view, answer)
        return answer.status, read(answer)

    def submit(self, url: str = "https://partner.example/callback", **members: Json) -> str:
        status, body = self.call("submit", {"url": url, **members})
        assert status == 202, body
        return str(body["task_id"])

    def look(self, task_id: str) -> dict[str, Any]:
        status, body = self.call("look", path={"task_id": task_id})
        assert status == 200, body
        return dict(body)

    # ── time passes ──

    def work(self) -> int:
        """Handle every message that can be received now; how many there were."""
        return sum(self._batch(queue, handle) for queue, handle in CONSUMERS.items())

    def _batch(self, queue: Queue, handle: Callable[[World, Message], Any]) -> int:
        received = self.world.queues.receive(queue)
        if received:
            response = consume(self.world, queue, sqs_event(received), handle)
            stay = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
            self.world.queues.delete(queue, [it.receipt for it in received if it.message_id not in stay])
        return len(received)

    def pass_time(self, seconds: float, *, step: float = 1) -> None:
        """Let time pass: the consumers work all the while, the schedules every minute."""
        end = self.clock.at + seconds
        while self.clock.at < end:
            while self.work():
                continue
            self.clock.at = min(end, self.clock.at + step)
            if self.clock.at % 60 < step:
                reconcile(self.world, seconds=45)
                go_on(self.world, seconds=45)
        while self.work():
            continue


CONSUMERS: Mapping[Queue, Callable[[World, Message], Any]] = {Queue.TASKS: deliver, Queue.EXHAUSTED: tell}


def sqs_event(received: list[Received]) -> dict[str, Any]:
    """The event that Lambda makes of a batch."""
    return {
        "Records": [
            {"messageId": it.message_id, "receiptHandle": it.receipt, "body": it.body, "eventSource": "aws:sqs"}
            for it in received
        ]
    }
