"""A day in the life of a kkbida, for its pictures: four partners, one of whom was down for an hour and a half.

The product itself lives it, in a file, with a clock that we move and partners that we play; nobody is called.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from chalicelib import admin
from chalicelib.auth import Identity
from chalicelib.embedded import EmbeddedStore
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Outgoing, Reply
from tests.house import Answerer, House, reply

HOUR = 3600
HOURS = 23
STEP = 20
"""Seconds by which the clock moves on between two looks at the queues."""

LATER = {"schedule": [90, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]}
SOON = {"schedule": [60, 300, 900]}

SENDERS: tuple[tuple[str, str, str, dict[str, Any], int], ...] = (
    (
        "orders",
        "billing",
        "https://billing.example/callbacks/paid",
        {"expect": {"json": {"$.code": 0}}, "retry": SOON},
        26,
    ),
    (
        "orders",
        "erp",
        "https://erp.customer.example/api/orders",
        {"expect": {"contains": "success"}, "retry": SOON},
        52,
    ),
    ("logistics", "warehouse", "https://warehouse.example/shipped", {"retry": LATER}, 9),
    ("members", "crm", "https://crm.example/hooks/member", {}, 12),
)
"""Source app, target app, URL, what else its tasks have, and how many there are in an hour."""

CHANNELS: tuple[dict[str, Any], ...] = (
    {"kind": "dingtalk", "url": "https://oapi.dingtalk.com/robot/send?access_token=x", "memo": "on call"},
    {"kind": "feishu", "url": "https://open.feishu.cn/open-apis/bot/v2/hook/x", "source_apps": ["members"]},
)

LI_LEI = Identity("operator:li.lei", "192.0.2.7")

DOWN = (HOURS - 7) * HOUR, (HOURS - 5.5) * HOUR


def live(database: Path) -> None:
    """Let the day pass in that file. It ends now."""
    dice = Random(11)
    house = House(database=str(database))
    start = time.time() - HOURS * HOUR - 10 * 60
    house.clock.at = start
    _partners(house, dice, start)
    for channel in CHANNELS:
        house.call("create_channel", {**channel, "events": ["exhausted", "breaker_opened"]})
    breaks = {"max_concurrency": 20, "breaker": {"failure_share": 0.9}}
    admin.change_target(house.world, LI_LEI, "https://billing.example", breaks)
    for moment, task in _day(dice):
        house.pass_time(start + moment - house.clock.at, step=STEP)
        house.submit(**task)
    house.pass_time(start + HOURS * HOUR - house.clock.at, step=STEP)
    _last_minutes(house, dice)
    if isinstance(house.world.store, EmbeddedStore):
        house.world.store.close()


def _day(dice: Random) -> Iterator[tuple[float, dict[str, Any]]]:
    """When each task is submitted, in seconds from the start, and what it is; by night there are fewer."""
    moments = []
    for hour in range(HOURS):
        busy = 0.35 if hour < HOURS - 14 else 1
        for sender in SENDERS:
            moments += [
                (hour * HOUR + dice.random() * HOUR, sender)
                for _ in range(round(sender[4] * busy * dice.uniform(0.7, 1.3)))
            ]
    for number, (moment, sender) in enumerate(sorted(moments, key=lambda it: it[0])):
        yield moment, _task(sender, 202_600_000 + number)


def _task(sender: tuple[str, str, str, dict[str, Any], int], number: int) -> dict[str, Any]:
    source_app, target_app, url, rest, _ = sender
    body = {"order": number, "amount": "128.50", "city": "上海"}
    return {
        "url": url,
        "source_app": source_app,
        "target_app": target_app,
        "body": body,
        "labels": {"order": str(number)},
        **rest,
    }


def _partners(house: House, dice: Random, start: float) -> None:
    """How each answers: the ERP is down for a while, billing dislikes some orders, the warehouse hangs at times."""

    def took(least: float, most: float) -> float:
        house.clock.at += dice.uniform(least, most)
        return house.clock.at - start

    def billing(outgoing: Outgoing) -> Reply:
        took(0.05, 0.4)
        if outgoing.url.endswith("/refund"):
            return reply(502, "<html><h1>502 Bad Gateway</h1></html>")
        refused = dice.random() < 0.03
        return reply(200, '{"code": 1, "message": "account is frozen"}' if refused else '{"code": 0, "message": "ok"}')

    def erp(_: Outgoing) -> Reply:
        down = DOWN[0] < took(0.1, 1.9) < DOWN[1]
        return (
            reply(503, "<html><h1>503 Service Temporarily Unavailable</h1></html>") if down else reply(200, "success")
        )

    def warehouse(_: Outgoing) -> Reply:
        if took(0.02, 0.2) > (HOURS - 2) * HOUR and dice.random() < 0.5:
            took(10, 10)
            raise SendFailed(Kind.READ_TIMEOUT, "warehouse.example took the request and sent no reply within 10 s.")
        return reply(200, "ok")

    def robot(_: Outgoing) -> Reply:
        return reply(200, '{"errcode":0,"errmsg":"ok","code":0}')

    def crm(_: Outgoing) -> Reply:
        return reply(204 if took(0.03, 0.1) else 200, "")

    house.outside.answers = {
        "https://billing.example": _timed(house, billing),
        "https://erp.customer.example": _timed(house, erp),
        "https://warehouse.example": _timed(house, warehouse),
        "https://crm.example": _timed(house, crm),
        "https://oapi.dingtalk.com": robot,
        "https://open.feishu.cn": robot,
    }


def _timed(house: House, answer: Answerer) -> Answerer:
    """The same answers, with what their time went into: a little for the way, the rest for the partner."""
    dice = Random(12)

    def timed(outgoing: Outgoing) -> Reply:
        began = house.clock.at
        way = dice.randint(0, 3), dice.randint(1, 6), dice.randint(3, 9)

        def spent() -> tuple[int, ...]:
            return *way, max(0, round((house.clock.at - began) * 1000) - sum(way))

        try:
            return replace(answer(outgoing), phases=(*spent(), 0))
        except SendFailed as failure:
            failure.phases = spent()
            raise

    return timed


def _last_minutes(house: House, dice: Random) -> None:
    """What is under way when the picture is taken: a target that somebody has paused, something for tomorrow."""
    admin.change_target(house.world, LI_LEI, "https://crm.example", {"paused": True})
    orders, erp, warehouse, crm = SENDERS
    refund = (*orders[:2], "https://billing.example/callbacks/refund", {"retry": LATER}, 0)
    for number, sender in enumerate((orders, crm, erp, refund, crm, orders, warehouse, erp)):
        house.submit(**_task(sender, 202_800_000 + number))
        house.pass_time(dice.randint(20, 70), step=STEP)
    house.submit(**_task(crm, 202_900_000), delay=26 * HOUR)
    house.clock.at = time.time()
    house.work()


# ── and what operators do, by the API, once it runs ──────────────────────────────────────────────

Action = tuple[str, str, dict[str, Any]]
"""Method, path, body."""

OPERATOR = {"name": "li.lei", "role": "operator", "password": "only for the picture"}

BY_ADMIN: tuple[Action, ...] = (
    ("POST", "/v1/operators", OPERATOR),
    ("POST", "/v1/operators", {**OPERATOR, "name": "han.mei", "role": "viewer"}),
    ("POST", "/v1/callers", {"source_app": "orders", "networks": ["10.1.0.0/16"], "memo": "order service"}),
    ("POST", "/v1/signing-secrets", {"source_app": "orders"}),
)

BY_OPERATOR: tuple[Action, ...] = (
    ("POST", "/v1/resends", {"filter": {"target": "https://warehouse.example:443"}, "rate": 5}),
)
