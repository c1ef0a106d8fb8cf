"""The predecessor's tasks, brought over: the unfinished go on, the finished keep their history."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from chalicelib.shape import seconds
from tests.house import NOON, House, StoppedClock, in_turn, reply

PARTNER = "https://partner.example"
YESTERDAY = "2025-11-30T12:00:00.000Z"
LATER = "2025-11-30T12:02:00.000Z"


def log(text: str = "busy", *, ok: bool = False, at: str = YESTERDAY) -> dict[str, Any]:
    return {"createDate": at, "responseTxt": text, "isSuccess": ok}


def row(**members: Any) -> dict[str, Any]:
    """A row of callback_task that is out of tries."""
    return {
        "taskId": str(uuid4()),
        "url": f"{PARTNER}/p",
        "requestMethod": "POST",
        "requestParam": {"order": 42},
        "sourceAppName": "orders",
        "targetAppName": "billing",
        "sourceIp": "10.0.0.7",
        "expectResult": "success",
        "callCount": 2,
        "limitCallCount": 2,
        "isSuccess": False,
        "createDate": YESTERDAY,
        "lastModifiedDate": LATER,
        "expireTimestamp": None,
        "logs": [log("busy"), log("still busy", at=LATER)],
        **members,
    }


@pytest.fixture
def house() -> House:
    return House()


def bring(house: House, *rows: Any, **more: Any) -> list[Any]:
    status, told = house.call("import_tasks", {"tasks": list(rows), **more})
    assert status == 207, told
    return list(told["results"])


def balanced(house: House) -> bool:
    return bool(house.call("ledger")[1]["balanced"])


def test_a_finished_task_comes_with_its_history_and_tells_nobody(house: House) -> None:
    robot = "https://oapi.dingtalk.com/robot"
    house.call("create_channel", {"kind": "dingtalk", "url": robot, "gather": 0})
    old = row()
    (result,) = bring(house, old)
    assert (result["status"], result["remarks"]) == (201, [])
    house.pass_time(7200, step=60)
    assert house.outside.sent == []
    task = house.look(old["taskId"])
    assert (task["status"], task["created_at"], task["updated_at"]) == ("exhausted", YESTERDAY, LATER)
    assert (task["attempts_made"], task["max_attempts"], task["next_try_at"]) == (2, 2, None)
    assert task["because"] == "the predecessor has used all 2 attempts"
    assert task["labels"] == {"submitted_by": "import", "source_ip": "10.0.0.7"}
    shown = [(it["number"], it["verdict"], it["started_at"], it["reply"]) for it in task["attempts"]]
    assert shown == [(1, "failed", YESTERDAY, "busy"), (2, "failed", LATER, "still busy")]
    assert [it["action"] for it in task["audit"]] == ["import"]
    assert balanced(house)


def test_a_delivered_one_is_delivered(house: House) -> None:
    old = row(isSuccess=True, callCount=1, logs=[log("success", ok=True)])
    bring(house, old)
    task = house.look(old["taskId"])
    assert (task["status"], task["because"]) == ("delivered", None)
    assert (task["attempts"][0]["verdict"], task["attempts"][0]["status_code"]) == ("delivered", 200)


def test_a_finished_one_can_be_resent(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    old = row()
    bring(house, old)
    assert house.call("resend", path={"task_id": old["taskId"]})[0] == 202
    house.pass_time(1)
    task = house.look(old["taskId"])
    assert (task["status"], task["round"]) == ("delivered", 2)
    assert [(it["round"], it["number"]) for it in task["attempts"]] == [(1, 1), (1, 2), (2, 1)]
    assert balanced(house)


def test_an_unfinished_one_goes_on_with_the_tries_that_are_left(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    old = row(limitCallCount=4, expireTimestamp="2025-12-01T12:00:30Z")
    (result,) = bring(house, old)
    assert (result["task"]["status"], result["task"]["next_try_at"]) == ("retrying", "2025-12-01T12:00:30.000Z")
    house.pass_time(29)
    assert house.outside.sent == []
    house.pass_time(120)
    task = house.look(old["taskId"])
    assert (task["status"], task["attempts_made"]) == ("exhausted", 4)
    assert task["because"] == "all 4 attempts are used"
    times = [seconds(it["started_at"]) - NOON for it in task["attempts"]]
    assert times == [seconds(YESTERDAY) - NOON, seconds(LATER) - NOON, 30, 90]
    assert balanced(house)


@pytest.mark.parametrize("due", [None, YESTERDAY])
def test_one_whose_time_has_come_goes_at_once(house: House, due: str | None) -> None:
    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    bring(house, row(limitCallCount=4, expireTimestamp=due))
    house.pass_time(1)
    assert len(house.outside.sent) == 1


def test_time_that_passes_meanwhile_is_no_matter(house: House) -> None:
    class Ticking(StoppedClock):
        def now(self) -> float:
            self.at += 0.01
            return self.at

    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    object.__setattr__(house.world, "clock", Ticking())
    bring(house, row(limitCallCount=4))
    house.clock.at += 1
    assert house.work() == 1, "its message was sent, and nothing waits for the reconciler"


def test_one_that_is_due_much_later_waits_for_its_time(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    bring(house, row(limitCallCount=4, expireTimestamp="2025-12-01T14:00:00Z"))
    house.pass_time(7199, step=1)
    assert house.outside.sent == []
    house.pass_time(60)
    assert len(house.outside.sent) == 1


def test_a_second_run_brings_nothing_twice(house: House) -> None:
    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    old = [row(), row(limitCallCount=4), row(taskId="not-a-uuid")]
    first = bring(house, *old)
    house.pass_time(1)
    again = bring(house, *old)
    assert [it["status"] for it in first] == [201, 201, 201]
    assert [it["status"] for it in again] == [200, 200, 200]
    assert [it["task"]["task_id"] for it in again] == [it["task"]["task_id"] for it in first]
    assert again[1]["task"]["status"] == "delivered"
    house.pass_time(120)
    assert len(house.outside.sent) == 1
    assert (house.world.store.totals()["accepted"], balanced(house)) == (3, True)


def test_a_run_that_was_cut_off_is_made_whole_by_the_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    old = row()
    with monkeypatch.context() as cut_off:
        cut_off.setattr(house.world.store, "keep", lambda *_: 1 / 0)
        assert bring(house, old)[0]["status"] == 500
    assert [it["verdict"] for it in house.look(old["taskId"])["attempts"]] == ["interrupted", "failed"]
    assert bring(house, old)[0]["status"] == 200
    assert [it["verdict"] for it in house.look(old["taskId"])["attempts"]] == ["failed", "failed"]


def test_a_row_that_has_changed_since_it_came_over_is_a_conflict(house: House) -> None:
    old = row(limitCallCount=4)
    bring(house, old)
    (result,) = bring(house, {**old, "callCount": 3})
    assert (result["status"], result["problem"]["code"]) == (409, "idempotency_conflict")


def test_ids_that_are_uuids_are_kept_and_others_are_made_of_them(house: House) -> None:
    ids = [str(uuid4()), "42", str(uuid4()).upper()]
    shown = [it["task"]["task_id"] for it in bring(house, *(row(taskId=it) for it in ids))]
    assert shown[0] == ids[0]
    assert len(set(shown)) == 3
    assert not set(ids[1:]) & set(shown)


def test_a_run_is_one_act_in_the_trail_and_a_part_of_it_in_that_of_each_task(house: House) -> None:
    bring(house, row(), row())
    bring(house, row(), dry_run=True)
    (act,) = house.call("list_audits")[1]["audits"]
    assert (act["action"], act["subject"], act["detail"]) == ("import-tasks", "callback_task", {"rows": 2})


def test_a_dry_run_says_what_would_become_of_each_and_changes_nothing(house: House) -> None:
    old, there = row(), row()
    bring(house, there)
    results = bring(house, old, there, row(url="x"), dry_run=True)
    assert [it["status"] for it in results] == [201, 200, 400]
    assert house.world.store.get(old["taskId"]) is None
    assert house.world.store.totals()["accepted"] == 1


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"url": "ftp://x"}, ["/url"]),
        ({"limitCallCount": 0}, ["/limitCallCount"]),
        ({"limitCallCount": 500}, ["/limitCallCount"]),
        ({"expectResult": " "}, ["/expectResult"]),
        ({"requestMethod": "GET", "url": f"{PARTNER}/{{city}}"}, ["/requestParam"]),
        ({"createDate": "yesterday"}, ["/createDate"]),
        ({"logs": [{"responseTxt": 1}]}, ["/logs/0/responseTxt"]),
        ({"colour": "red"}, ["/colour"]),
        ({"taskId": None}, ["/taskId"]),
    ],
)
def test_a_row_that_cannot_come_over_is_told_and_is_no_matter_of_the_others(
    house: House, members: Any, pointers: list[str]
) -> None:
    fine = row()
    refused, taken = bring(house, row(**members), fine)
    assert taken["status"] == 201
    assert refused["status"] == 400
    assert [fault["pointer"] for fault in refused["problem"]["errors"]] == pointers


def test_what_is_not_the_same_here_is_remarked_upon(house: House) -> None:
    old = row(
        url=f"{PARTNER}/?city={{city}}",
        requestMethod="GET",
        requestParam={"city": "上海", "unused": 1},
        callCount=5,
        logs=[log("必" * 40_000)],
    )
    (result,) = bring(house, old)
    assert result["remarks"] == [
        "not sent, as before, since the url has no place for it: unused",
        "callCount is 5, and 1 logs came with it",
        "the reply is longer than what is kept, of attempt 1",
    ]
    task = house.look(old["taskId"])
    assert task["url"] == f"{PARTNER}/?city=%E4%B8%8A%E6%B5%B7"
    assert (task["attempts"][0]["reply_bytes"], task["attempts"][0]["reply_truncated"]) == (120_000, True)


def test_history_may_name_an_address_that_nothing_is_sent_to_and_a_live_task_may_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.errors import Kind, SendFailed  # noqa: PLC0415 - of this test only

    def refuse(_: str) -> None:
        raise SendFailed(Kind.FORBIDDEN, "10.0.0.1 is not public")

    monkeypatch.setattr(house.outside, "check", refuse)
    over, live = bring(house, row(), row(limitCallCount=4))
    assert (over["status"], live["status"]) == (201, 400)


def test_a_hundred_come_in_one_go_and_no_more(house: House) -> None:
    assert [it["status"] for it in bring(house, *(row() for _ in range(100)))] == [201] * 100
    assert house.call("import_tasks", {"tasks": [row() for _ in range(101)]})[0] == 400
    assert balanced(house)
