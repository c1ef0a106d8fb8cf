"""What people are told: spans, where a task stands in one sentence, its life as a list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kkbida import WholeTask
from kkbida.cli.words import clean, clean_json, expectation, sentence, span, timeline, until
from kkbida.tasks import task_of
from tests.sdk.conftest import whole_task

ACCEPTED = datetime(2026, 12, 1, 12, tzinfo=UTC)


def moment(seconds: float) -> str:
    return (ACCEPTED + timedelta(seconds=seconds)).isoformat()


def task(**members: Any) -> WholeTask:
    return task_of(WholeTask, whole_task(**members))


def attempt(number: int, verdict: str | None = "failed", *, at: float | None = 0, **members: Any) -> dict[str, Any]:
    return {
        "number": number,
        "round": 1,
        "started_at": None if at is None else moment(at),
        "duration_ms": 12 if verdict else None,
        "status_code": 503 if verdict == "failed" else 200 if verdict else None,
        "verdict": verdict,
        "kind": "reply" if verdict == "failed" else None,
        "reason": "status 503 not in 2xx" if verdict == "failed" else None,
        "reply": None,
        "reply_truncated": False,
        "wait": 2 if verdict == "failed" else None,
        **members,
    }


PHASES = {"dns": 2, "connect": 11, "tls": None, "wait": 1800, "read": None}


def notice(status: str, number: int = 1) -> dict[str, Any]:
    return {
        "notice_id": f"n-{number}",
        "channel_id": f"c-{number}",
        "kind": "dingtalk",
        "round": 1,
        "status": status,
        "reason": None,
        "created_at": moment(9),
        "ended_at": None,
        "next_try_at": None,
    }


def audit(action: str, at: float = 60) -> dict[str, Any]:
    detail = {"round": 2, "changes": {}}
    return {"at": moment(at), "actor": "ann", "action": action, "address": "192.0.2.7", "detail": detail}


FAILED = {"attempts_made": 2, "attempts": [attempt(1), attempt(2, at=4)], "last_reason": "status 503 not in 2xx"}
DUE = {"next_try_at": moment(22)}

SENTENCES = {
    "No attempt was made yet. The first one is made in 12 s.": DUE,
    "No attempt was made yet. The first one is made now.": {"next_try_at": moment(10)},
    "No attempt was made yet. The first one is made in 1 h.": {"scheduled": True, "next_try_at": moment(3610)},
    "No attempt was made yet. Attempt 1 is on its way.": {"attempts_made": 1, "attempts": [attempt(1, None)], **DUE},
    "No attempt was made yet. It waits in line: a task before it with the same ordering key is not done.": {
        "waits_in_line": True,
        "next_try_at": None,
    },
    "2 of 12 attempts failed. The next one is made in 12 s. The last one failed: status 503 not in 2xx.": {
        "status": "retrying",
        **FAILED,
        **DUE,
    },
    "2 of 12 attempts failed. It is held: somebody paused its target. The last one failed: status 503 not in 2xx.": {
        "status": "retrying",
        **FAILED,
        "held": "paused",
        "next_try_at": None,
    },
    "No attempt of round 2 was made yet. The first one is made in 12 s.": {**FAILED, "round": 2, **DUE},
    "Delivered at attempt 3, 5 s after it was accepted.": {
        "status": "delivered",
        "attempts_made": 3,
        "attempts": [attempt(1), attempt(2, at=2), attempt(3, "delivered", at=5)],
    },
    "Delivered at attempt 1.": {
        "status": "delivered",
        "attempts_made": 1,
        "attempts": [attempt(1, "delivered", at=None)],
    },
    "Not delivered: given up after 2 attempts, because all 2 attempts are used. 1 of 2 channels heard of it.": {
        "status": "exhausted",
        **FAILED,
        "because": "all 2 attempts are used",
        "notices": [notice("delivered"), notice("pending", 2)],
    },
    "Not delivered: given up after 2 attempts, because status 503 not in 2xx. No channel was told.": {
        "status": "exhausted",
        **FAILED,
    },
    "Cancelled by ann, 1 min 30 s ago, after 2 attempts.": {
        "status": "cancelled",
        **FAILED,
        "audit": [audit("cancel", -80)],
    },
    "Cancelled after 0 attempts.": {"status": "cancelled"},
    "It is frozen.": {"status": "frozen"},
}


@pytest.mark.parametrize(("told", "members"), SENTENCES.items())
def test_one_sentence_says_where_a_task_stands(told: str, members: dict[str, Any]) -> None:
    assert sentence(task(**members), ACCEPTED + timedelta(seconds=10)) == told


def test_a_life_is_told_in_its_order_with_all_that_happened() -> None:
    told = timeline(
        task(
            status="exhausted",
            attempts=[
                attempt(1, at=0.1, reply="down\x1b[2J", reply_truncated=True, phases=PHASES),
                attempt(2, at=2, reason=None),
                attempt(1, None, at=70, round=2),
            ],
            notices=[notice("delivered")],
            audit=[audit("resend")],
        )
    )
    assert [(it.what, it.mood) for it in told] == [
        ("accepted", ""),
        ("attempt 1 failed after 12 ms: status 503 not in 2xx", "bad"),
        ("attempt 2 failed after 12 ms: status 503", "bad"),
        ("notice to dingtalk: delivered", "good"),
        ("resend by ann from 192.0.2.7", ""),
        ("attempt 1 of round 2 is on its way", ""),
    ]
    assert list(told[1].more) == ["reply: down\x1b[2J...", "spent dns 2 ms, connect 11 ms, wait 1.8 s", "waits 2 s"]
    assert list(told[4].more) == ["round=2"]


def test_an_attempt_whose_beginning_is_unknown_stands_where_it_was() -> None:
    told = timeline(task(attempts=[attempt(1, at=5), attempt(2, "interrupted", at=None), attempt(3, at=9)]))
    assert [it.what[:9] for it in told] == ["accepted", "attempt 1", "attempt 2", "attempt 3"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 ms"),
        (0.012, "12 ms"),
        (1, "1 s"),
        (2.54, "2.5 s"),
        (59, "59 s"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (31_622_400, "366 d"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_what_is_over_is_due_now() -> None:
    assert until(ACCEPTED, ACCEPTED + timedelta(hours=1)) == "now"


def test_what_is_expected_is_told_in_a_line() -> None:
    shown = {"status": ["2xx", "!204"], "contains": "success", "json": {"$.code": 0}}
    assert expectation(shown) == "status 2xx, !204; contains 'success'; $.code = 0"


HOSTILE = "a\x1b]0;evil\x07b\x9b2Jc\u202ed\r\ne\x00"


def test_text_of_strangers_steers_no_terminal() -> None:
    assert clean(HOSTILE) == r"a\x1b]0;evil\x07b\x9b2Jc\u202ed\r\ne\x00"
    assert clean("上海 — ok") == "上海 — ok"


@given(st.recursive(st.text(), lambda it: st.lists(it) | st.dictionaries(st.text(), it)))
def test_json_that_is_printed_steers_no_terminal_and_means_the_same(value: Any) -> None:
    printed = clean_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(printed) == value
    assert clean(printed.replace("\n", "")) == printed.replace("\n", "")
