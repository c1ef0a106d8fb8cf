"""A run of the check: how much it does, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.check import MOST_PARTS, check
from chalicelib.ledger import Ledger
from tests.conftest import Lines
from tests.house import House, StoppedClock

PARTNER = "https://partner.example/"


def said(logged: Lines) -> dict[str, Any]:
    """The last line about a check."""
    return [line for line in logged() if line["message"] == "ledger.checked"][-1]


def metrics(line: dict[str, Any]) -> dict[str, float]:
    """What CloudWatch takes from the line."""
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: line[metric["Name"]][0] for metric in declared["Metrics"]}


def test_a_check_says_what_it_found(logged: Lines) -> None:
    house = House()
    house.submit(PARTNER)
    assert check(house.world, seconds=45) == house.world.store.checked()
    line = said(logged)
    assert metrics(line) == {"LedgerChecks": 1, "LedgerUnbalanced": 0, "LedgerGap": 0}
    assert (line["accepted"], line["pending"], line["balanced"], line["more"]) == (1, 1, True, False)
    assert line["checked_at"] == line["balanced_at"] == "2025-12-01T12:00:00.000Z"


def test_a_check_that_does_not_add_up_raises_the_alarm_at_every_run(logged: Lines) -> None:
    house = House()
    lost = house.submit(PARTNER)
    house.world.store.database.write(lambda tx: tx.execute("DELETE FROM tasks WHERE task_id = ?", (lost,)))  # type: ignore[attr-defined]
    for _ in range(2):
        check(house.world, seconds=45)
        line = said(logged)
        assert metrics(line) == {"LedgerChecks": 1, "LedgerUnbalanced": 1, "LedgerGap": 1}
        assert (line["accepted"], line["pending"], line["balanced"]) == (1, 0, False)
        assert "balanced_at" not in line, "it never added up"


@dataclass
class Endless:
    """A store with more rows than any run can count, each part of which takes some seconds."""

    clock: StoppedClock
    takes: float
    calls: list[float] = field(default_factory=list)

    def recount(self, now: float, retention: float) -> bool:
        assert retention == 30 * 86_400
        self.calls.append(now)
        self.clock.at += self.takes
        return True

    def checked(self) -> Ledger | None:
        return None


@pytest.mark.parametrize(("takes", "calls"), [(1, MOST_PARTS), (10, 5), (100, 1)])
def test_a_run_ends_after_so_many_parts_and_when_its_time_is_up(takes: float, calls: int, logged: Lines) -> None:
    house = House()
    store = Endless(house.clock, takes)
    assert check(replace(house.world, store=store), seconds=45) is None  # type: ignore[arg-type]
    assert len(store.calls) == calls
    line = said(logged)
    assert metrics(line) == {"LedgerChecks": 1}, "nothing is known yet, and somebody is at work"
    assert line["more"] is True
    assert "accepted" not in line
