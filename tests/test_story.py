"""The life of one task, from top to bottom. Read this first.

No server runs here and no time passes but ours: `House` is the whole product in memory (tests/house.py).
"""

from __future__ import annotations

import json

from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Queue
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=abc"


def test_a_task_is_accepted_delivered_and_done() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "success"))

    task_id = house.submit(PARTNER, body={"order": 42}, expect={"contains": "success"})
    assert house.look(task_id)["status"] == "pending"

    house.work()
    task = house.look(task_id)
    assert task["status"] == "delivered"
    assert [attempt["verdict"] for attempt in task["attempts"]] == ["delivered"]

    [sent] = house.outside.sent
    assert (sent.method, sent.url, sent.body) == ("POST", PARTNER, b'{"order": 42}')
    assert sent.headers["webhook-id"] == task_id
    assert sent.headers["webhook-attempt"] == "1"


def test_a_task_that_fails_waits_and_is_tried_again() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(
        SendFailed(Kind.REFUSED, "nobody listens at partner.example"), reply(200, "busy"), reply(200, "success")
    )
    task_id = house.submit(PARTNER, expect={"contains": "success"}, retry={"schedule": [10, 60]})

    house.work()
    task = house.look(task_id)
    assert task["status"] == "retrying"
    assert task["next_try_at"] == "2025-12-01T12:00:10.000Z"

    house.pass_time(9)
    assert len(house.outside.sent) == 1, "nothing is sent before the wait is over"

    house.pass_time(61)
    task = house.look(task_id)
    assert task["status"] == "delivered"
    assert [(it["number"], it["verdict"], it["reason"], it["wait"]) for it in task["attempts"]] == [
        (1, "failed", "nobody listens at partner.example", 10),
        (2, "failed", 'body does not contain "success"', 60),
        (3, "delivered", None, None),
    ]


def test_a_task_out_of_tries_is_told_to_humans_who_resend_it() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(503, "down"), reply(503, "down"), reply(200, "success"))
    house.outside.answers[ROBOT] = in_turn(reply(200, '{"errcode":0,"errmsg":"ok"}'))
    house.call("create_channel", {"kind": "dingtalk", "url": ROBOT, "secret": "SEC1"})

    task_id = house.submit(PARTNER, source_app="orders", retry={"backoff": "fixed", "initial": 5, "max_attempts": 2})
    house.pass_time(10)

    task = house.look(task_id)
    assert (task["status"], task["because"]) == ("exhausted", "all 2 attempts are used")
    assert [notice["status"] for notice in task["notices"]] == ["delivered"]
    [told] = house.outside.sent_to(ROBOT)
    text = json.loads(told.body or b"")["text"]["content"]
    assert text.startswith(f"回调异常，taskId：{task_id}，url：{PARTNER}，")
    assert text.endswith("源服务名：orders，目标服务名：default，已达到最大重试次数：2")

    status, _ = house.call("resend", path={"task_id": task_id})
    assert status == 202
    house.work()
    task = house.look(task_id)
    assert (task["status"], task["round"]) == ("delivered", 2)
    assert [(it["round"], it["number"], it["verdict"]) for it in task["attempts"]] == [
        (1, 1, "failed"),
        (1, 2, "failed"),
        (2, 1, "delivered"),
    ]
    assert [(it["action"], it["actor"]) for it in task["audit"]] == [("resend", "anyone")]


def test_a_lost_message_costs_minutes_and_not_the_task() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER)
    for lost in house.world.queues.receive(Queue.TASKS):
        house.world.queues.delete(Queue.TASKS, [lost.receipt])

    house.pass_time(599)
    assert house.look(task_id)["status"] == "pending"
    house.pass_time(62)
    assert house.look(task_id)["status"] == "delivered"


def test_a_wait_too_long_for_the_queue_is_parked_and_still_starts_on_time() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "later"), reply(200, "ok"))
    day = 86_400
    task_id = house.submit(PARTNER, retry={"schedule": [day]})
    house.work()
    assert house.world.queues.receive(Queue.TASKS) == [], "no message waits for it"

    house.pass_time(day - 2, step=30)
    assert len(house.outside.sent) == 1
    house.pass_time(4)
    assert house.look(task_id)["status"] == "delivered"


def test_a_task_that_is_called_off_is_never_sent_again() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    task_id = house.submit(PARTNER, retry={"schedule": [30, 30]})
    house.work()
    assert house.call("cancel", path={"task_id": task_id})[0] == 200
    house.pass_time(3600, step=10)
    assert house.look(task_id)["status"] == "cancelled"
    assert len(house.outside.sent) == 1
