"""The ledger as anybody sees it, and in one word on the page of health."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.check import check
from chalicelib.errors import Unavailable
from tests.house import House, in_turn, reply
from tests.test_races import Unwell

PARTNER = "https://partner.example/"


def lived() -> House:
    """A task in each status."""
    house = House()
    house.outside.answers[f"{PARTNER}good"] = in_turn(reply(200, "ok"))
    house.outside.answers[f"{PARTNER}bad"] = in_turn(reply(500, "no"))
    house.submit(f"{PARTNER}good")
    house.submit(f"{PARTNER}bad", retry={"max_attempts": 1})
    house.submit(f"{PARTNER}bad", retry={"schedule": [3600]})
    house.work()
    house.call("cancel", path={"task_id": house.submit(f"{PARTNER}good")})
    house.submit(f"{PARTNER}good")
    return house


FIGURES = {"accepted": 5, "pending": 1, "retrying": 1, "delivered": 1, "exhausted": 1, "cancelled": 1}


def ledger(house: House) -> dict[str, Any]:
    status, body = house.call("ledger")
    assert status == 200
    return dict(body)


def lose(house: House) -> None:
    house.world.store.database.write(lambda tx: tx.execute("DELETE FROM tasks WHERE status = 'pending'"))  # type: ignore[attr-defined]


def health(house: House) -> Any:
    status, body = house.call("health")
    assert status == 200
    return body["ledger"]


def test_it_shows_both_sides_and_that_they_are_equal() -> None:
    assert ledger(lived()) == {
        **FIGURES,
        "balanced": True,
        "checked_at": "2025-12-01T12:00:00.000Z",
        "balanced_at": "2025-12-01T12:00:00.000Z",
        "since": "2025-11-02T00:00:00.000Z",
        "until": "2025-12-01T12:00:00.000Z",
    }


def test_it_is_recounted_whenever_somebody_asks() -> None:
    house = lived()
    house.clock.at += 3600
    house.submit(f"{PARTNER}good")
    shown = ledger(house)
    assert (shown["accepted"], shown["pending"], shown["checked_at"]) == (6, 2, "2025-12-01T13:00:00.000Z")


def test_a_lost_task_shows_with_the_time_of_the_last_check_that_added_up() -> None:
    house = lived()
    check(house.world, seconds=45)
    lose(house)
    house.clock.at += 60
    shown = ledger(house)
    assert {name: shown[name] for name in FIGURES} == {**FIGURES, "pending": 0}
    assert shown["balanced"] is False
    assert (shown["checked_at"], shown["balanced_at"]) == ("2025-12-01T12:01:00.000Z", "2025-12-01T12:00:00.000Z")


def test_where_rows_are_not_counted_on_the_spot_there_are_no_figures_before_the_first_check() -> None:
    house = House()

    class Unchecked(Unwell):
        def ledger(self, now: float, retention: float) -> None:
            """As on AWS, right after it was deployed."""

    shown = ledger(house).keys()
    house.world = replace(house.world, store=Unchecked(house.world.store))
    unchecked = ledger(house)
    assert unchecked.keys() == shown
    assert {name: unchecked[name] for name in FIGURES} == dict.fromkeys(FIGURES, 0)
    assert {unchecked[name] for name in unchecked.keys() - FIGURES.keys()} == {None}


def test_health_says_how_the_last_check_ended_and_does_not_count_by_itself() -> None:
    house = lived()
    assert health(house) == "unchecked"
    check(house.world, seconds=45)
    assert health(house) == "balanced"
    lose(house)
    assert health(house) == "balanced"
    check(house.world, seconds=45)
    assert health(house) == "unbalanced"


@pytest.mark.parametrize("failing", ["ping", "checked"])
def test_health_is_bad_when_the_store_does_not_answer(failing: str) -> None:
    house = House()
    store = Unwell(house.world.store, **{failing: Unavailable("The disk is full.")})
    house.world = replace(house.world, store=store)
    why = {"code": "unavailable", "detail": "The disk is full."}
    assert house.call("health") == (503, {"status": "unavailable", **why})
