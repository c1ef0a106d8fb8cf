"""Clients that follow the API's rules: no answer, or a 5xx, means the same request again, with the same key.

A `Retry-After` is honoured. The clerk is one who cancels, resends and hurries tasks meanwhile: no key makes that
repeatable, so what brings no answer is not asked for again.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.verdict import Act

PATIENCE = 180
"""Seconds for which a client repeats a request; then the run has failed."""

ANSWERED_WITHIN = 20
"""Seconds that a client waits for an answer."""

PAUSE = 0.05
"""Seconds until a client repeats what brought no answer, or a refusal that does not say for how long."""


class NoAnswer(Exception):
    """Nobody listens there, or the connection broke: whether anything was done is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said. `retry_after`: seconds, 0 when it did not say."""

    status: int
    body: Any
    retry_after: float

    @property
    def is_settled(self) -> bool:
        """Whether asking again would change nothing."""
        return self.status < 500 and self.status != 429


@dataclass
class Client:
    """Asks the API at one of its doors, the `first` first. Belongs to one thread.

    `answers` counts the statuses that came back.
    """

    doors: Sequence[str]
    first: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    _connection: http.client.HTTPConnection | None = None

    def insist(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """Ask until there is an answer that stands. Raises TimeoutError when there is none for too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                answer = self.once(method, path, body, key)
                if answer.is_settled:
                    return answer
                pause = answer.retry_after or PAUSE
            except NoAnswer:
                pause = PAUSE
            time.sleep(pause)
        raise TimeoutError(f"{method} {path} brought no answer for {PATIENCE} s")

    def once(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """Ask once. Raises NoAnswer; the next request goes to the next door then."""
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        connection = self._connection or self._connect()
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            reply = connection.getresponse()
            answer = Answer(reply.status, json.load(reply), float(reply.headers.get("Retry-After", 0)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            self._connection = None
            self.first += 1
            raise NoAnswer from error
        self.answers[answer.status] += 1
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.doors[self.first % len(self.doors)]).netloc
        self._connection = http.client.HTTPConnection(address, timeout=ANSWERED_WITHIN)
        return self._connection

    def everything(self) -> Iterator[dict[str, Any]]:
        """All tasks of the list, page by page."""
        cursor = ""
        while cursor is not None:
            page = self.insist("GET", f"/v1/tasks?limit=100&cursor={cursor}").body
            yield from page["tasks"]
            cursor = page["cursor"]


# ── those who submit ─────────────────────────────────────────────────────────────────────────────


def task(number: int, witness: str) -> dict[str, Any]:
    """The task of that number. Of twenty, one never succeeds, three are slow, one is larger than a row of the table."""
    conduct = {0: "never", 1: "slow/1.5", 2: "slow/1.5", 3: "slow/1.5"}.get(number % 20, "steady")
    return {
        "url": f"{witness}/{conduct}",
        "body": {"order": number, "note": "必达" * (1000 if number % 20 == 4 else 1)},
        "retry": {"backoff": "fixed", "initial": 1, "max_attempts": 3 if conduct == "never" else 12},
        "timeout": 3,
    }


def submit(
    client: Client,
    numbers: Collection[int],
    make: Callable[[int], Any],
    accepted: MutableMapping[int, str],
    pause: float = 0,
) -> None:
    """Submit the tasks of these numbers, with a pause after each; `accepted` has the id of each from then on."""
    for number in numbers:
        answer = client.insist("POST", "/v1/tasks", make(number), key=f"task-{number}")
        assert answer.status == http.client.ACCEPTED, answer
        accepted[number] = answer.body["task_id"]
        time.sleep(pause)


# ── the one who meddles ──────────────────────────────────────────────────────────────────────────


RECENT = 10
"""Tasks that are new."""


@dataclass
class Clerk:
    """Cancels and hurries tasks that are new, resends old ones; each act at most once for a task."""

    client: Client
    accepted: MutableMapping[int, str]
    witness: str
    dice: Random
    acts: list[Act] = field(default_factory=list)

    @contextmanager
    def at_work(self, pause: float) -> Iterator[None]:
        """It acts while the block runs, with a pause after each act."""
        stop = Event()
        thread = Thread(target=self._meddle, args=(stop, pause), name="clerk")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _meddle(self, stop: Event, pause: float) -> None:
        done: set[tuple[str, str]] = set()
        while not stop.wait(pause):
            act = self.dice.choices(["cancel", "resend", "deliver-now"], [1, 2, 3])[0]
            task_ids = list(self.accepted.values())[0 if act == "resend" else -RECENT :]
            if task_ids and (chosen := (act, self.dice.choice(task_ids))) not in done:
                done.add(chosen)
                self._act(*chosen)

    def _act(self, action: str, task_id: str) -> None:
        body = {"url": f"{self.witness}/steady?round=2"} if action == "resend" else None
        try:
            answer = self.client.once("POST", f"/v1/tasks/{task_id}/{action}", body)
        except NoAnswer:
            self.acts.append(Act(action, task_id, None))
        else:
            if answer.status != http.client.CONFLICT:  # that one says: its status does not allow it
                self.acts.append(Act(action, task_id, answer.body.get("round")))
