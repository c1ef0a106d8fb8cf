"""What fails, gathered; the settings; what a channel would say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from chalicelib import api, show
from chalicelib.errors import Kind, SendFailed
from chalicelib.settings import SETTINGS
from chalicelib.shape import seconds
from tests.house import House, in_turn, reply

GOOD, BAD, DEAD = "https://good.example/", "https://bad.example/", "https://dead.example/"
ONCE = {"max_attempts": 1}


@pytest.fixture
def house() -> House:
    house = House()
    house.outside.answers[BAD] = in_turn(reply(503, "busy"))
    house.outside.answers[DEAD] = in_turn(SendFailed(Kind.READ_TIMEOUT, "nothing came within 10 s"))
    return house


def failing(house: House) -> list[dict[str, Any]]:
    status, body = house.call("failures")
    assert status == 200
    assert body["exact"]
    assert body["counted"] == sum(group["count"] for group in body["groups"])
    return list(body["groups"])


def test_failures_are_gathered_by_target_and_by_why(house: House) -> None:
    house.outside.answers[GOOD] = in_turn(reply(200, "fine"))
    for url, retry in ((BAD, ONCE), (BAD, ONCE), (DEAD, ONCE), (BAD, {"max_attempts": 3}), (GOOD, ONCE)):
        house.submit(url, retry=retry)
    house.submit(BAD, expect={"status": ["5xx"], "contains": "success"}, retry=ONCE)
    house.pass_time(1)
    found = {(group["target"], group["error"]): group["count"] for group in failing(house)}
    assert found == {
        ("https://bad.example:443", "status 503 not in 2xx"): 3,
        ("https://bad.example:443", 'body does not contain "success"'): 1,
        ("https://dead.example:443", "read_timeout"): 1,
    }
    assert failing(house)[0]["count"] == 3, "the largest first"


def test_each_number_of_a_group_leads_to_just_its_tasks(house: House) -> None:
    """Exhausted or retrying; in all, and in each hour; those that were cancelled are in none."""
    ids = [house.submit(BAD, retry=ONCE) for _ in range(3)]
    ids += [house.submit(BAD, retry={"backoff": "fixed", "initial": 7200, "max_attempts": 3}) for _ in range(4)]
    house.pass_time(1)
    house.call("cancel", path={"task_id": ids[-1]})
    house.pass_time(3600)
    house.submit(BAD, retry=ONCE)
    house.pass_time(1)
    [group] = failing(house)
    assert {name: group[name] for name in COUNTS} == {"count": 7, "exhausted": 4, "retrying": 3}
    assert [tuple(row[name] for name in COUNTS) for row in group["series"]] == [(6, 3, 3), (1, 1, 0)]
    for status in ("exhausted", "retrying"):
        asked = {"status": [status], "target": [group["target"]], "error": [group["error"]]}
        assert listed(house, **asked) == group[status]
        assert [listed(house, **asked, **hour(row["at"])) for row in group["series"]] == [
            row[status] for row in group["series"]
        ]


COUNTS = ("count", "exhausted", "retrying")


def listed(house: House, **asked: list[str]) -> int:
    return len(house.call("list_tasks", query=asked)[1]["tasks"])


def hour(at: str) -> dict[str, list[str]]:
    return {"since": [at], "until": [show.time(seconds(at) + 3600) or ""]}


def test_tasks_are_counted_from_the_very_moment_that_is_asked_for(house: House) -> None:
    house.submit(BAD, retry=ONCE)
    house.pass_time(60)
    since = show.time(house.clock.now()) or ""
    assert house.call("failures", query={"since": [since]})[1]["groups"] == []
    house.submit(BAD, retry=ONCE)
    house.pass_time(1)
    [group] = house.call("failures", query={"since": [since]})[1]["groups"]
    assert (group["count"], listed(house, since=[since])) == (1, 1)


def test_each_group_leads_to_its_tasks(house: House) -> None:
    ids = [house.submit(BAD, retry=ONCE) for _ in range(7)]
    house.submit(DEAD, retry=ONCE)
    house.pass_time(1)
    for group in failing(house):
        asked = {"target": [group["target"]], "error": [group["error"]]}
        listed = [it["task_id"] for it in house.call("list_tasks", query=asked)[1]["tasks"]]
        assert len(listed) == group["count"]
        assert group["first"] == listed[:5]
        resent = {"filter": {"target": group["target"], "error": group["error"]}, "dry_run": True}
        assert house.call("start_resend", resent)[1]["count"] == group["count"]
    assert set(listed) <= {*ids, *listed}


def test_a_series_says_when_they_were_accepted(house: House) -> None:
    house.submit(BAD, retry=ONCE)
    house.clock.at += 3600
    for _ in range(2):
        house.submit(BAD, retry=ONCE)
    house.pass_time(1)
    [group] = failing(house)
    assert [row["count"] for row in group["series"]] == [1, 2]
    [by_day] = house.call("failures", query={"unit": ["day"]})[1]["groups"]
    assert Counter(row["at"] for row in by_day["series"]) == {by_day["series"][0]["at"]: 1}


def test_older_failures_and_those_of_other_apps_are_left_out(house: House) -> None:
    house.submit(BAD, retry=ONCE)
    house.pass_time(1)
    house.clock.at += 25 * 3600
    assert failing(house) == []
    house.submit(BAD, retry=ONCE, source_app="orders")
    house.pass_time(1)
    asked = {"source_app": ["parcels"]}
    assert house.call("failures", query=asked)[1]["groups"] == []
    assert len(house.call("failures", query={"source_app": ["orders"]})[1]["groups"]) == 1


def test_where_there_are_too_many_it_says_that_it_does_not_count_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_GATHERED", 3)
    for _ in range(4):
        house.submit(BAD, retry=ONCE)
    house.pass_time(1)
    body = house.call("failures")[1]
    assert (body["counted"], body["exact"]) == (3, False)


# ── settings ──


def test_every_setting_is_shown_with_its_meaning() -> None:
    house = House(KKBIDA_ALLOW_NETWORKS="10.0.0.0/8,::1/128", KKBIDA_PORTS="443,80", KKBIDA_GRACE="60")
    shown = {it["variable"]: it for it in house.call("list_settings")[1]["settings"]}
    assert list(shown) == [setting.variable for setting in SETTINGS]
    assert shown["KKBIDA_ALLOW_NETWORKS"]["value"] == "10.0.0.0/8,::1/128"
    assert shown["KKBIDA_PORTS"]["value"] == "80,443"
    assert (shown["KKBIDA_GRACE"]["value"], shown["KKBIDA_GRACE"]["default"]) == ("60", "600")
    assert shown["KKBIDA_OPEN_API"]["value"] == "1"


@pytest.mark.parametrize("password", ["hunter2", "hunt@er2", "hunter2:@"])
def test_a_password_in_a_setting_is_not_shown(password: str) -> None:
    house = House(KKBIDA_SMTP=f"smtp://robot:{password}@mail.example:25")
    shown = {it["variable"]: it["value"] for it in house.call("list_settings")[1]["settings"]}
    assert shown["KKBIDA_SMTP"] == "smtp://***@mail.example:25"


# ── the text of a channel ──


def test_a_preview_is_what_the_channel_would_say() -> None:
    status, body = House().call("preview_channel", {"kind": "dingtalk"})
    assert status == 200
    assert "回调异常，taskId：测试" in body["text"]
    template = '{"id": "${taskId}", "tries": ${callCount}}'
    assert House().call("preview_channel", {"kind": "webhook", "template": template})[1]["text"] == (
        '{"id": "测试", "tries": 0}'
    )


def test_a_template_that_is_wrong_is_told_before_it_is_saved() -> None:
    status, problem = House().call("preview_channel", {"kind": "webhook", "template": '{"id": ${taskID}}'})
    assert (status, {fault["pointer"] for fault in problem["errors"]}) == (400, {"/template"})
