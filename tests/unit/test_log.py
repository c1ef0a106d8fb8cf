"""A line an event, its metrics in the same line, and no secret in any."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from chalicelib import log
from tests.conftest import Lines
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"


def test_an_event_is_one_line_with_its_metrics(logged: Lines) -> None:
    log.event("attempt.ended", metrics={"Attempts": 1, "AttemptMs": 12}, task_id="t1")
    [line] = logged()
    assert (line["message"], line["task_id"], line["AttemptMs"]) == ("attempt.ended", "t1", [12.0])
    [declared] = line["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == log.NAMESPACE
    units = {metric["Name"]: metric["Unit"] for metric in declared["Metrics"]}
    assert units == {"Attempts": "Count", "AttemptMs": "Milliseconds"}


def test_a_failure_is_logged_with_its_trace(logged: Lines) -> None:
    try:
        math.sqrt(-1)
    except ValueError:
        log.failure("message.failed", task_id="t1")
    [line] = logged()
    assert (line["level"], line["task_id"], line["Failures"]) == ("ERROR", "t1", [1.0])
    assert "math domain error" in str(line["exception"])


@pytest.fixture
def nothing_logged_yet() -> Iterator[None]:
    log._made.cache_clear()
    yield
    log._made.cache_clear()


@pytest.mark.usefixtures("nothing_logged_yet")
def test_threads_that_are_the_first_to_log_share_one_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    made, two_make_one = list[object](), Barrier(2)

    def make(**_: object) -> object:
        made.append(object())
        with suppress(BrokenBarrierError):
            two_make_one.wait(0.5)
        return made[-1]

    monkeypatch.setattr("aws_lambda_powertools.Logger", make)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: log.logger(), range(2)))
    assert found == made * 2


def test_an_attempt_leaves_one_complete_line(logged: Lines) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(503, "down"))
    task_id = house.submit(PARTNER, retry={"schedule": [30]})
    house.work()
    [line] = [line for line in logged() if line["message"] == "attempt.ended"]
    facts = (
        "task_id",
        "target",
        "round",
        "attempt",
        "max_attempts",
        "verdict",
        "status",
        "duration_ms",
        "wait",
        "waits",
    )
    assert [line[fact] for fact in facts] == [
        task_id, "https://partner.example:443", 1, 1, 2, "failed", 503, 0, 30, "hidden",
    ]  # fmt: skip


def test_no_secret_reaches_the_log(logged: Lines) -> None:
    house = House()
    robot = "https://oapi.dingtalk.com/robot/send?access_token=HUSH1"
    house.outside.answers[PARTNER] = in_turn(reply(503, "HUSH2"))
    house.outside.answers[robot] = in_turn(reply(200, '{"errcode":1}'))
    house.call("create_channel", {"kind": "dingtalk", "url": robot, "secret": "HUSH3"})
    house.submit(
        f"{PARTNER}?token=HUSH4", headers={"Authorization": "HUSH5"}, body={"pin": "HUSH6"}, retry={"max_attempts": 1}
    )
    while house.work():
        continue
    printed = json.dumps(logged())
    assert '"notice.refused"' in printed
    assert "HUSH" not in printed
