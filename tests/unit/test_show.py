"""What the API shows of tasks and channels, and what it never shows."""

from __future__ import annotations

import json

import pytest

from chalicelib import json_text, show
from chalicelib.shape import parse
from chalicelib.submission import read
from chalicelib.task import (
    Attempt,
    Audit,
    Expectation,
    Gist,
    Held,
    Json,
    Mention,
    Notice,
    NoticeStatus,
    Status,
    Task,
    Verdict,
    evolve,
)
from tests.unit.makers import NOON, SETTINGS, AnyAddress, channel, policy, request, task


def shown(it: Task) -> dict[str, Json]:
    return show.whole(it, [], [], [], now=NOON)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON, "2025-12-01T12:00:00.000Z"),
        (NOON + 0.1234, "2025-12-01T12:00:00.123Z"),
        (NOON + 0.9996, "2025-12-01T12:00:00.999Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_to_the_millisecond(seconds: float | None, text: str | None) -> None:
    assert show.time(seconds) == text


def test_a_headline_says_where_a_task_stands() -> None:
    last = Attempt(number=2, round=1, fence=2, started_at=NOON, verdict=Verdict.FAILED, reason="status 503 not in 2xx")
    waiting = task(
        status=Status.RETRYING,
        request=request(url="HTTPS://Partner.Example/a", labels={"order": "42"}, source_app="orders"),
        number=2,
        due_at=NOON + 60,
        updated_at=NOON + 1,
        last=last,
    )
    assert show.headline(waiting, NOON) == {
        "task_id": "task-1",
        "status": "retrying",
        "method": "POST",
        "url": "HTTPS://Partner.Example/a",
        "source_app": "orders",
        "target_app": "default",
        "target": "https://partner.example:443",
        "labels": {"order": "42"},
        "created_at": "2025-12-01T12:00:00.000Z",
        "updated_at": "2025-12-01T12:00:01.000Z",
        "round": 1,
        "attempts_made": 2,
        "max_attempts": 5,
        "scheduled": False,
        "waits_in_line": False,
        "held": None,
        "next_try_at": "2025-12-01T12:01:00.000Z",
        "because": None,
        "last_reason": "status 503 not in 2xx",
    }


def test_a_task_shows_as_scheduled_until_its_time_has_come() -> None:
    put_off = task(due_at=NOON + 60)
    assert [show.headline(put_off, NOON + passed)["scheduled"] for passed in (0, 59, 60)] == [True, True, False]


def test_a_held_task_says_why_and_does_not_know_when_it_goes_on() -> None:
    shown = show.headline(task(held=Held.PAUSED, held_at=NOON), NOON)
    assert (shown["status"], shown["held"], shown["next_try_at"]) == ("pending", "paused", None)


@pytest.mark.parametrize("status", Status)
def test_only_a_live_task_has_a_next_try(status: Status) -> None:
    live = status in (Status.PENDING, Status.RETRYING)
    assert (show.headline(task(status=status), NOON)["next_try_at"] is not None) == live


SECRET_HEADERS = [
    "Authorization", "authorization", "X-Auth", "Cookie", "X-Api-Key", "apikey", "X-Token", "X-Secret",
    "Password", "X-Passwd", "X-Pwd", "X-Signature", "X-Sign", "X-Credential", "X-Session-Id", "X-JWT",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_a_header_that_may_be_secret_is_hidden(name: str) -> None:
    assert "s3cr3t" not in json.dumps(shown(task(request=request(headers={name: "s3cr3t"}))))
    assert shown(task(request=request(headers={name: "s3cr3t"})))["headers"] == {name: "***"}


@pytest.mark.parametrize("name", ["X-Order", "Accept", "User-Agent", "X-Request-Id", "X-Trace"])
def test_any_other_header_is_shown(name: str) -> None:
    assert shown(task(request=request(headers={name: "value"})))["headers"] == {name: "value"}


SECRET = "SEC-0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "where"),
    [
        (f"https://oapi.dingtalk.com/robot/send?access_token={SECRET}", "https://oapi.dingtalk.com/***"),
        (f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={SECRET}", "https://qyapi.weixin.qq.com/***"),
        (f"https://ops.example:8443/hook/{SECRET}/x", "https://ops.example:8443/***"),
        (f"http://[2001:db8::1]/{SECRET}", "http://[2001:db8::1]/***"),
    ],
)
def test_nothing_of_a_channels_url_and_secret_is_shown_but_where_it_leads(url: str, where: str) -> None:
    seen = show.channel(channel(url=url, secret=SECRET))
    assert (seen["url"], seen["has_secret"]) == (where, True)
    text = json.dumps(seen)
    assert [SECRET[at : at + 6] for at in range(len(SECRET) - 5) if SECRET[at : at + 6] in text] == []


def test_a_channel_shows_all_else() -> None:
    assert show.channel(channel(memo="On call", source_apps=("orders",), enabled=False, updated_at=NOON + 1)) == {
        "channel_id": "channel-1",
        "kind": "dingtalk",
        "url": "https://oapi.dingtalk.com/***",
        "has_secret": False,
        "template": "",
        "content_type": "application/json; charset=utf-8",
        "memo": "On call",
        "source_apps": ("orders",),
        "target_apps": (),
        "events": ("exhausted",),
        "gather": 60,
        "enabled": False,
        "created_at": "2025-12-01T12:00:00.000Z",
        "updated_at": "2025-12-01T12:00:01.000Z",
    }


@pytest.mark.parametrize(
    ("rules", "seen"),
    [
        ({}, {"backoff": "exponential", "initial": 5, "factor": 3, "cap": 100}),
        ({"backoff": "fixed", "initial": 60}, {"backoff": "fixed", "initial": 60}),
        ({"backoff": "schedule", "waits": (1, 2)}, {"backoff": "schedule", "schedule": (1, 2)}),
    ],
)
def test_the_retries_are_shown_in_their_own_form(rules: Json, seen: dict[str, Json]) -> None:
    common = {"max_attempts": 5, "jitter": 0, "give_up_on": (), "deadline": 86_400}
    assert shown(task(request=request(retry=policy(**rules))))["retry"] == {**common, **seen}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"method": "GET", "params": {"城市": ["上海", None]}},
        {"body": {"n": 12345678901234567890123}, "content_type": "application/a+json", "timeout": 0.5},
        {"expect": {"status": ["200", "!204"], "equals": "", "regex": "a", "json": {"$.a": None}}},
        {"labels": {"a": "b"}, "headers": {"X-A": "1"}, "retry": {"give_up_on": []}},
        {"retry": {"preset": "svix", "give_up_on": ["4xx"]}},
        {"retry": {"backoff": "fixed", "initial": 1.5, "deadline": 60}},
    ],
)  # fmt: skip
def test_what_is_shown_of_a_request_can_be_submitted_again(members: dict[str, Json]) -> None:
    first = read({"url": "https://partner.example/", **members}, SETTINGS, AnyAddress(), NOON)
    seen = parse(json_text.dumps(shown(task(request=first))).encode())
    names = ("url", "method", "headers", "params", "body", "content_type", "expect", "retry", "timeout", "labels")
    assert read({name: seen[name] for name in names}, SETTINGS, AnyAddress(), NOON) == first


def test_an_expectation_shows_the_rules_that_it_has() -> None:
    assert shown(task())["expect"] == {"status": ("2xx",)}
    full = Expectation(status=("200",), contains="a", equals="", regex="b", json={"$.c": None})
    assert shown(task(request=request(expect=full)))["expect"] == {
        "status": ("200",),
        "contains": "a",
        "equals": "",
        "regex": "b",
        "json": {"$.c": None},
    }


ATTEMPT = Attempt(
    number=2,
    round=1,
    fence=2,
    started_at=NOON,
    verdict=Verdict.FAILED,
    duration_ms=1800,
    status_code=503,
    kind="reply",
    reason="status 503 not in 2xx",
    reply="上",
    reply_bytes=6,
    wait=45.5,
    phases=(12, 11, None, 1777),
)


def test_an_attempt_shows_when_how_long_what_came_back_and_the_verdict() -> None:
    [seen] = show.whole(task(), [ATTEMPT], [], [], now=NOON)["attempts"]
    assert seen == {
        "number": 2,
        "round": 1,
        "started_at": "2025-12-01T12:00:00.000Z",
        "duration_ms": 1800,
        "status_code": 503,
        "verdict": "failed",
        "kind": "reply",
        "reason": "status 503 not in 2xx",
        "reply": "上",
        "reply_bytes": 6,
        "reply_truncated": True,
        "wait": 45.5,
        "phases": {"dns": 12, "connect": 11, "tls": None, "wait": 1777, "read": None},
    }


def test_an_attempt_that_nobody_timed_has_no_phases() -> None:
    [seen] = show.whole(task(), [evolve(ATTEMPT, phases=())], [], [], now=NOON)["attempts"]
    assert seen["phases"] is None


@pytest.mark.parametrize(
    ("reply", "length", "truncated"),
    [("上", 3, False), ("上", 4, True), ("", 0, False), ("", 1, True), (None, None, False)],
)
def test_a_reply_says_whether_more_of_it_came(reply: str | None, length: int | None, truncated: bool) -> None:
    assert evolve(ATTEMPT, reply=reply, reply_bytes=length).reply_truncated is truncated


MENTION = Mention(
    subject="task-1",
    round=1,
    channel_id="channel-1",
    channel_kind="dingtalk",
    notice_id="notice-1",
    created_at=NOON,
    due_at=NOON + 30,
)


def test_a_notice_that_gathers_shows_when_it_will_be_sent() -> None:
    [seen] = show.whole(task(), [], [(MENTION, None)], [], now=NOON)["notices"]
    assert (seen["status"], seen["tasks"], seen["next_try_at"]) == ("pending", None, "2025-12-01T12:00:30.000Z")


@pytest.mark.parametrize(
    ("status", "ended_at", "next_try_at"),
    [
        (NoticeStatus.PENDING, None, "2025-12-01T12:01:00.000Z"),
        (NoticeStatus.DELIVERED, NOON + 1, None),
        (NoticeStatus.FAILED, NOON + 1, None),
    ],
)
def test_a_notice_shows_its_tries_and_when_the_next_one_is(
    status: NoticeStatus, ended_at: float | None, next_try_at: str | None
) -> None:
    notice = Notice(
        notice_id="notice-1",
        gist=Gist(tasks=812),
        channel_id="channel-1",
        channel_kind="dingtalk",
        status=status,
        tries=3,
        due_at=NOON + 60,
        created_at=NOON,
        ended_at=ended_at,
        reason="errcode 310000: sign not match",
    )
    [seen] = show.whole(task(), [], [(MENTION, notice)], [], now=NOON)["notices"]
    assert seen == {
        "notice_id": "notice-1",
        "tasks": 812,
        "channel_id": "channel-1",
        "kind": "dingtalk",
        "round": 1,
        "status": status,
        "tries": 3,
        "reason": "errcode 310000: sign not match",
        "refused": {},
        "created_at": "2025-12-01T12:00:00.000Z",
        "ended_at": show.time(ended_at),
        "next_try_at": next_try_at,
    }


def test_the_audit_trail_says_who_did_what_from_where_and_when() -> None:
    audit = Audit(at=NOON, actor="ann", action="resend", subject="task-1", address="192.0.2.7", detail={"changes": {}})
    assert show.whole(task(), [], [], [audit], now=NOON)["audit"] == [
        {
            "at": "2025-12-01T12:00:00.000Z",
            "actor": "ann",
            "action": "resend",
            "subject": "task-1",
            "address": "192.0.2.7",
            "detail": {"changes": {}},
            "result": "done",
        }
    ]


def test_totals_have_every_status_zeros_included() -> None:
    assert show.totals({"accepted": 3, "in_pending": 1, "in_delivered": 2, "delivered": 5, "failed_attempts": 7}) == {
        "accepted": 3,
        "pending": 1,
        "retrying": 0,
        "delivered": 2,
        "exhausted": 0,
        "cancelled": 0,
        "failed_attempts": 7,
    }


def test_a_house_without_tasks_has_zeros_everywhere() -> None:
    assert set(show.totals({}).values()) == {0}


def test_a_series_has_a_row_for_every_start_zeros_included() -> None:
    zero = {"accepted": 0, "delivered": 0, "failed_attempts": 0, "exhausted": 0, "cancelled": 0}
    assert show.series([NOON, NOON + 3600], [(NOON + 3600, {"accepted": 2, "in_pending": 1})]) == [
        {"at": "2025-12-01T12:00:00.000Z", **zero},
        {"at": "2025-12-01T13:00:00.000Z", **zero, "accepted": 2},
    ]


def test_a_task_whose_request_has_expired_is_shown_with_what_is_left_of_it() -> None:
    short = evolve(request(), retry=policy(backoff="", waits=()))
    assert shown(evolve(task(), request=short))["retry"]["max_attempts"] == short.retry.max_attempts
