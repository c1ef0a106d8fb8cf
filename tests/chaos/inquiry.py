"""The inquiry: wait until nothing is owed any more, and gather what everybody knows by then."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.local import LocalRun
from tests.chaos.clients import Client
from tests.chaos.verdict import Act, Evidence, Shown, is_settled
from tests.chaos.witness import evidence_of

READERS = 4

ENDS_WITHIN = 150
"""Seconds by which nothing may be owed any more."""

COUNTED_WITHIN = 30
"""Seconds by which the totals must have caught up with the tasks."""

AGAIN_AFTER = 0.5
"""Seconds until processes whose progress is asked for are asked again."""

FAULTS = ("api.failed", "message.failed", "message.unreadable", "task.not_woken", "queue.failed", "row.unreadable")
"""Lines of the log that nothing from outside excuses."""


@dataclass
class Inquiry:
    """What is asked of the API of these processes, of their logs and of the witness.

    `accepted`: the id of each task, by its number. `clients`: all that have asked the API.
    """

    runs: Sequence[LocalRun]
    witness: str
    accepted: dict[int, str] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    def client(self) -> Client:
        """A new one, for one thread; each knocks at another door first."""
        self.clients.append(Client([run.api for run in self.runs], first=len(self.clients)))
        return self.clients[-1]

    def wait_until_settled(self) -> None:
        """Look again and again at every task that may still change, for `ENDS_WITHIN` at most."""
        until = time.monotonic() + ENDS_WITHIN
        left = set(self.accepted.values())
        while left and time.monotonic() < until:
            shown = self._look_at(left)
            left = {task_id for task_id in left if task_id not in shown or not is_settled(shown[task_id])}
            time.sleep(AGAIN_AFTER if left else 0)

    def evidence(self, acts: Sequence[Act] = ()) -> Evidence:
        """All of it, as it is now."""
        accepted = frozenset(self.accepted.values())
        seen, told = evidence_of(self.witness)
        return Evidence(
            accepted=accepted,
            listed=frozenset(it["task_id"] for it in self.client().everything()),
            shown=self._look_at(accepted),
            seen=seen,
            told=told,
            acts=acts,
            totals=self._totals(),
            answers=sum((client.answers for client in self.clients), Counter[int]()),
            faults=_faults(self.runs),
        )

    def _look_at(self, task_ids: Iterable[str]) -> dict[str, Shown]:
        """Those of the tasks that are there."""
        task_ids = list(task_ids)

        def look(share: int) -> list[Shown]:
            client = self.client()
            answers = [client.insist("GET", f"/v1/tasks/{task_id}") for task_id in task_ids[share::READERS]]
            return [answer.body for answer in answers if answer.status == HTTPStatus.OK]

        with ThreadPoolExecutor(READERS) as pool:
            return {task["task_id"]: task for looks in pool.map(look, range(READERS)) for task in looks}

    def _totals(self) -> Mapping[str, int]:
        """What is counted, once that has caught up, if it does."""
        until = time.monotonic() + COUNTED_WITHIN
        client = self.client()
        while True:
            totals: dict[str, int] = client.insist("GET", "/v1/stats").body["totals"]
            behind = totals["accepted"] < len(self.accepted) or totals["pending"] + totals["retrying"]
            if not behind or time.monotonic() > until:
                return totals
            time.sleep(AGAIN_AFTER)


def _faults(runs: Iterable[LocalRun]) -> Mapping[str, int]:
    lines = (line for run in runs for line in (run.files / "kkbida.log").read_text().splitlines())
    return Counter(message for line in lines if (message := _message(line)) in FAULTS)


def _message(line: str) -> str:
    """What a line of the log says; nothing when a kill cut it off."""
    try:
        return str(json.loads(line)["message"])
    except ValueError:
        return ""
