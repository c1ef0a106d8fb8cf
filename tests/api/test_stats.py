"""Totals and series."""

from __future__ import annotations

from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/"


def lived() -> House:
    """One task delivered at the second try, one exhausted, one pending; over two hours."""
    house = House()
    house.outside.answers[f"{PARTNER}a"] = in_turn(reply(500, "no"), reply(200, "ok"))
    house.outside.answers[f"{PARTNER}b"] = in_turn(reply(500, "no"))
    house.submit(f"{PARTNER}a", retry={"schedule": [3600]})
    house.submit(f"{PARTNER}b", retry={"max_attempts": 1})
    house.pass_time(3700, step=10)
    house.submit(f"{PARTNER}c")
    return house


def test_totals_say_how_many_tasks_stand_where() -> None:
    totals = lived().call("stats")[1]["totals"]
    assert totals == {
        "accepted": 3,
        "pending": 1,
        "retrying": 0,
        "delivered": 1,
        "exhausted": 1,
        "cancelled": 0,
        "failed_attempts": 2,
    }


def test_a_series_by_hour_has_a_row_for_every_hour_zeros_included() -> None:
    body = lived().call("stats", query={"unit": ["hour"], "since": ["2025-12-01T10:00:00Z"]})[1]
    rows = [(row["at"], row["accepted"], row["delivered"], row["exhausted"]) for row in body["series"]]
    assert rows == [
        ("2025-12-01T10:00:00.000Z", 0, 0, 0),
        ("2025-12-01T11:00:00.000Z", 0, 0, 0),
        ("2025-12-01T12:00:00.000Z", 2, 0, 1),
        ("2025-12-01T13:00:00.000Z", 1, 1, 0),
    ]


def test_a_series_by_day_adds_the_hours_up() -> None:
    body = lived().call("stats", query={"unit": ["day"]})[1]
    assert len(body["series"]) == 7
    assert body["series"][-1] == {
        "at": "2025-12-01T00:00:00.000Z",
        "accepted": 3,
        "delivered": 1,
        "failed_attempts": 2,
        "exhausted": 1,
        "cancelled": 0,
    }


def test_a_series_that_would_be_too_long_or_runs_backwards_is_refused() -> None:
    for since, until in (
        ("2020-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2025-01-02T00:00:00Z", "2025-01-01T00:00:00Z"),
    ):
        status, problem = House().call("stats", query={"since": [since], "until": [until]})
        assert (status, problem["errors"][0]["pointer"]) == (400, "query:since")
