"""The routes of bulk resends, and what becomes of the tasks."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import life, show
from chalicelib.delivery.resend import AHEAD, PAGE, WALKS, _step
from chalicelib.errors import Unavailable
from chalicelib.ports import Outgoing, Page, Query, Reply
from chalicelib.task import Audit, Status, Task, evolve
from tests.cases import share
from tests.contract import samples
from tests.house import NOON, House, in_turn, reply
from tests.unit.makers import request

PARTNER = "https://partner.example/callback"
DOWN, UP = reply(500, "no"), reply(200, "ok")


def with_exhausted(count: int, **members: Any) -> tuple[House, list[str]]:
    """A house in which so many tasks are exhausted, a moment ago."""
    house = House()
    house.outside.answers[PARTNER] = in_turn(DOWN)
    task_ids = [house.submit(PARTNER, retry={"max_attempts": 1}, **members) for _ in range(count)]
    house.pass_time(1)
    assert {house.look(task_id)["status"] for task_id in task_ids} == {"exhausted"}
    house.outside.answers[PARTNER] = in_turn(UP)
    house.outside.sent.clear()
    return house, task_ids


def start(house: House, **body: Any) -> dict[str, Any]:
    status, shown = house.call("start_resend", body if "task_ids" in body else {"filter": {}, **body})
    assert status == 202, shown
    return dict(shown)


def look(house: House, resend_id: str) -> dict[str, Any]:
    status, shown = house.call("look_at_resend", path={"resend_id": resend_id})
    assert status == 200, shown
    return dict(shown)


def counts(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("status", "matched", "resent", "passed_over", "failed")}


def done(resent: int, passed_over: int = 0) -> dict[str, Any]:
    matched = resent + passed_over
    return {"status": "done", "matched": matched, "resent": resent, "passed_over": passed_over, "failed": 0}


def test_each_exhausted_task_is_resent_once_with_all_its_tries() -> None:
    house, task_ids = with_exhausted(3)
    house.outside.answers[PARTNER] = in_turn(DOWN)
    begun = start(house, rate=1000)
    house.pass_time(120)
    assert counts(look(house, begun["resend_id"])) == done(3)
    for task_id in task_ids:
        task = house.look(task_id)
        assert (task["status"], task["round"], task["attempts_made"]) == ("exhausted", 2, 1), "and fails again"
        assert [it["round"] for it in task["attempts"]] == [1, 2]


def test_a_dry_run_counts_and_changes_nothing() -> None:
    house, task_ids = with_exhausted(3)
    status, body = house.call("start_resend", {"filter": {"source_app": "default"}, "dry_run": True})
    assert (status, body) == (200, {"count": 3, "exact": True})
    house.pass_time(120)
    assert house.call("list_resends")[1] == {"resends": [], "cursor": None}
    assert {house.look(task_id)["round"] for task_id in task_ids} == {1}


def test_a_dry_run_that_takes_too_long_says_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    house, _ = with_exhausted(3)
    monkeypatch.setattr("chalicelib.embedded.MOST_COUNTED", 2)
    monkeypatch.setattr("chalicelib.admin.COUNT_SECONDS", 0)
    body = {"filter": {}, "dry_run": True}
    assert house.call("start_resend", body) == (200, {"count": 2, "exact": False})


@pytest.mark.parametrize(
    ("asked", "resent"),
    [
        ({}, {"a", "b"}),
        ({"status": "exhausted", "source_app": "orders"}, {"a"}),
        ({"target_app": "billing", "target": None}, {"b"}),
        ({"target": "https://partner.example:443", "q": "/callback/b"}, {"b"}),
        ({"status": "cancelled"}, {"c"}),
        ({"status": "delivered"}, set()),
        ({"until": "2025-12-01T12:00:00Z"}, set()),
        ({"since": "2025-12-01T12:00:00Z"}, {"a", "b"}),
    ],
)
def test_the_filter_says_which(asked: dict[str, str], resent: set[str]) -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(DOWN)
    failing = {"retry": {"max_attempts": 1}}
    task_ids = {
        "a": house.submit(f"{PARTNER}/a", source_app="orders", **failing),
        "b": house.submit(f"{PARTNER}/b", target_app="billing", **failing),
    }
    house.work()
    task_ids["c"] = house.submit(f"{PARTNER}/c")
    house.call("cancel", path={"task_id": task_ids["c"]})
    start(house, filter=asked)
    house.pass_time(60)
    assert {name for name, task_id in task_ids.items() if house.look(task_id)["round"] == 2} == resent


def test_the_action_is_audited_once_and_each_task_says_which_action_resent_it() -> None:
    house, task_ids = with_exhausted(2)
    begun = start(house, filter={"source_app": "default"}, rate=5)
    house.pass_time(60)
    [entry] = look(house, begun["resend_id"])["audit"]
    assert (entry["action"], entry["actor"], entry["address"]) == ("start-resend", "anyone", "192.0.2.7")
    assert entry["detail"] == {"filter": {"status": "exhausted", "source_app": "default"}, "rate": 5}
    for task_id in task_ids:
        [resent] = house.look(task_id)["audit"]
        assert (resent["action"], resent["actor"], resent["address"]) == ("resend", "anyone", "192.0.2.7")
        assert resent["detail"] == {"round": 2, "changes": {}, "resend_id": begun["resend_id"]}


def test_a_task_says_what_a_resend_has_changed_whether_alone_or_in_bulk() -> None:
    house, [alone, in_bulk] = with_exhausted(2)
    house.call("resend", path={"task_id": alone})
    begun = start(house, task_ids=[in_bulk])
    house.pass_time(60)
    [[by_itself], [of_many]] = [house.look(task_id)["audit"] for task_id in (alone, in_bulk)]
    assert by_itself["detail"] == {"round": 2, "changes": {}}
    assert of_many["detail"] == {**by_itself["detail"], "resend_id": begun["resend_id"]}


def test_the_rate_holds_in_each_second_and_over_the_minutes() -> None:
    house, task_ids = with_exhausted(PAGE + 50)
    came: Counter[float] = Counter()

    def answer(_: Outgoing) -> Reply:
        came[house.clock.at // 1] += 1
        return UP

    house.outside.answers[PARTNER] = answer
    start(house, rate=0.5)
    house.pass_time(AHEAD)
    assert sum(came.values()) <= AHEAD / 2 + 1
    house.pass_time(240)
    assert sum(came.values()) == len(task_ids)
    assert max(came.values()) == 1
    assert min(later - sooner for sooner, later in zip(sorted(came)[:-1], sorted(came)[1:], strict=True)) == 2


def test_a_round_that_begins_later_has_its_deadline_from_then() -> None:
    house, task_ids = with_exhausted(10)
    for task_id in task_ids:
        house.call("resend", {"retry": {"max_attempts": 1, "deadline": 5}}, path={"task_id": task_id})
    house.outside.answers[PARTNER] = in_turn(DOWN)
    house.pass_time(2)
    house.outside.answers[PARTNER] = in_turn(UP)
    start(house, rate=0.2)
    shown = [house.look(task_id) for task_id in task_ids]
    assert {it["status"] for it in shown} == {"pending"}
    assert len({it["next_try_at"] for it in shown}) == 10
    house.pass_time(60)
    assert {house.look(task_id)["status"] for task_id in task_ids} == {"delivered"}


def test_just_those_are_resent_that_are_named_in_whatever_final_status_and_each_once() -> None:
    house, task_ids = with_exhausted(5)
    cancelled = house.submit(PARTNER, delay=3600)
    house.call("cancel", path={"task_id": cancelled})
    live = house.submit(PARTNER, delay=3600)
    named = [*task_ids[:3], cancelled, live, "there-is-none", task_ids[0]]
    counted = house.call("start_resend", {"task_ids": named, "dry_run": True})
    assert counted == (200, {"count": 4, "exact": True})
    begun = start(house, task_ids=named)
    house.pass_time(60)
    shown = look(house, begun["resend_id"])
    assert (counts(shown), shown["filter"]) == (done(4, passed_over=2), {})
    assert [it["detail"] for it in shown["audit"]] == [{"filter": {}, "rate": 10, "tasks": 6}]
    rounds = {it: house.look(it)["round"] for it in [*task_ids, cancelled, live]}
    assert {it for it, number in rounds.items() if number == 2} == {*task_ids[:3], cancelled}


def test_named_tasks_hold_the_rate_are_all_found_from_the_beginning_and_can_be_stopped() -> None:
    house, task_ids = with_exhausted(PAGE + 50)
    begun = start(house, task_ids=task_ids, rate=0.5)
    house.pass_time(2)
    assert look(house, begun["resend_id"])["matched"] == len(task_ids)
    house.pass_time(AHEAD)
    assert sum(house.look(it)["status"] == "delivered" for it in task_ids) <= AHEAD / 2 + 2
    house.call("stop_resend", path={"resend_id": begun["resend_id"]})
    house.pass_time(600)
    shown = look(house, begun["resend_id"])
    assert (shown["status"], shown["matched"]) == ("stopped", shown["resent"])
    assert Counter(house.look(it)["round"] for it in task_ids)[2] == shown["resent"] < len(task_ids)


def test_one_that_is_stopped_takes_no_more_tasks() -> None:
    house, task_ids = with_exhausted(PAGE + 50)
    begun = start(house, rate=0.5)
    house.pass_time(2)
    status, stopped = house.call("stop_resend", path={"resend_id": begun["resend_id"]})
    assert (status, stopped["status"] in ("stopping", "stopped")) == (200, True)
    house.pass_time(300)
    shown = look(house, begun["resend_id"])
    assert shown["status"] == "stopped"
    assert shown["ended_at"] is not None
    assert 0 < shown["resent"] == shown["matched"] < len(task_ids)
    assert Counter(house.look(task_id)["round"] for task_id in task_ids)[2] == shown["resent"]
    assert [it["action"] for it in shown["audit"]] == ["start-resend", "stop-resend"]


def test_one_that_is_over_is_stopped_without_effect() -> None:
    house, _ = with_exhausted(1)
    begun = start(house)
    for _ in range(2):
        status, shown = house.call("stop_resend", path={"resend_id": begun["resend_id"]})
        assert (status, counts(shown)) == (200, done(1))
    assert [it["action"] for it in look(house, begun["resend_id"])["audit"]] == ["start-resend"]


def test_a_task_that_was_resent_by_somebody_else_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    house, task_ids = with_exhausted(3)
    monkeypatch.setattr("chalicelib.admin.FIRST_SECONDS", 0)
    begun = start(house)
    house.outside.answers[PARTNER] = in_turn(DOWN)
    house.clock.at += 1
    house.call("resend", path={"task_id": task_ids[0]})
    house.work()
    house.pass_time(60)
    assert counts(look(house, begun["resend_id"])) == done(2, passed_over=1)
    assert {house.look(task_id)["round"] for task_id in task_ids} == {2}


def test_two_of_the_same_tasks_resend_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    house, task_ids = with_exhausted(5)
    monkeypatch.setattr("chalicelib.delivery.resend.PAGE", 2)
    monkeypatch.setattr("chalicelib.admin.FIRST_SECONDS", 0)
    both = [start(house)["resend_id"] for _ in range(2)]
    house.pass_time(60)
    shown = [look(house, resend_id) for resend_id in both]
    assert {it["status"] for it in shown} == {"done"}
    assert sum(it["resent"] for it in shown) == 5
    assert {house.look(task_id)["round"] for task_id in task_ids} == {2}


def test_one_that_fails_does_not_keep_the_others_from_their_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    house, _ = with_exhausted(1)
    monkeypatch.setattr("chalicelib.admin.FIRST_SECONDS", 0)
    other = start(house)
    broken = start(house, filter={"source_app": "broken"})
    page = house.world.store.page

    def fail_for_one(query: Any, *more: Any) -> Any:
        if query.source_app == "broken":
            raise ZeroDivisionError
        return page(query, *more)

    monkeypatch.setattr(house.world.store, "page", fail_for_one)
    house.pass_time(60)
    assert counts(look(house, other["resend_id"])) == done(1)
    assert look(house, broken["resend_id"])["status"] == "running"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/filter"),
        ({"filter": {"status": "retrying"}}, "/filter/status"),
        ({"filter": {"colour": "red"}}, "/filter/colour"),
        ({"filter": {"since": "yesterday"}}, "/filter/since"),
        ({"filter": {}, "rate": 0}, "/rate"),
        ({"filter": {}, "rate": 1001}, "/rate"),
        ({"filter": {}, "dry_run": "yes"}, "/dry_run"),
        ({"filter": {}, "task_ids": ["a"]}, "/task_ids"),
        ({"task_ids": []}, "/task_ids"),
        ({"task_ids": ["a"] * 501}, "/task_ids"),
        ({"task_ids": [7]}, "/task_ids/0"),
        ({"task_ids": [], "dry_run": True}, "/task_ids"),
    ],
)
def test_what_makes_no_sense_is_refused(body: dict[str, Any], pointer: str) -> None:
    status, problem = House().call("start_resend", body)
    assert (status, [it["pointer"] for it in problem["errors"]]) == (400, [pointer])


@pytest.mark.parametrize("view", ["look_at_resend", "stop_resend"])
def test_there_is_no_resend_that_nobody_started(view: str) -> None:
    assert House().call(view, path={"resend_id": "x"})[0] == 404


def test_they_are_listed_newest_first() -> None:
    house, _ = with_exhausted(1)
    first = start(house)["resend_id"]
    house.clock.at += 1
    second = start(house)["resend_id"]
    assert [it["resend_id"] for it in house.call("list_resends")[1]["resends"]] == [second, first]


# ── any filter, any tasks ────────────────────────────────────────────────────────────────────────

APPS = st.sampled_from(["orders", "parcels", "订单"])
PATHS = st.sampled_from(["/a", "/b", "/a%20b", "/a?x=1", "/回调"])
HOSTS = st.sampled_from(["https://one.example", "https://two.example:8443", "http://one.example"])
AGES = st.integers(0, 5)
"""Hours."""
KEPT = st.fixed_dictionaries(
    {
        "status": st.sampled_from(Status),
        "source_app": APPS,
        "target_app": APPS,
        "host": HOSTS,
        "path": PATHS,
        "age": AGES,
    }
)
TARGETS = {
    "https://one.example:443": "https://one.example",
    "https://two.example:8443": "https://two.example:8443",
    "http://one.example:80": "http://one.example",
}
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["exhausted", "cancelled", "delivered"]),
        "source_app": APPS | st.none(),
        "target_app": APPS,
        "target": st.sampled_from(sorted(TARGETS)),
        "since": AGES,
        "until": AGES,
        "q": st.sampled_from(["/a", "example", "b", "回", "%20", "nowhere"]),
    },
)


def kept(house: House, number: int, made: dict[str, Any]) -> Task:
    """A task that has been in the store for some hours."""
    asked = request(url=made["host"] + made["path"], source_app=made["source_app"], target_app=made["target_app"])
    now = NOON - 3600 * made["age"]
    fresh = life.begin(
        asked, task_id=f"00000000-0000-4000-8000-{number:012d}", caller="tests", digest="d" * 32, now=now, grace=600
    )
    assert house.world.store.add(fresh) is None
    if made["status"] is Status.PENDING:
        return fresh
    changes = {"status": made["status"], "version": 2, "wake_at": None}
    return house.world.store.replace(fresh, evolve(fresh, **changes))


def is_asked_for(made: dict[str, Any], chosen: dict[str, Any]) -> bool:
    """The rule, read plainly."""
    told = {
        "status": made["status"] == chosen.get("status", "exhausted"),
        "source_app": made["source_app"] == chosen.get("source_app"),
        "target_app": made["target_app"] == chosen.get("target_app"),
        "target": made["host"] == TARGETS.get(chosen.get("target", "")),
        "since": made["age"] <= (chosen.get("since") or 0),
        "until": made["age"] > (chosen.get("until") or 0),
        "q": (chosen.get("q") or "") in made["host"] + made["path"],
    }
    return all(told[name] for name in {"status", *chosen} if name == "status" or chosen[name] is not None)


def as_asked(chosen: dict[str, Any]) -> dict[str, Any]:
    """The filter as a client sends it."""
    ages = ("since", "until")
    return {name: show.time(NOON - 3600 * it) if name in ages else it for name, it in chosen.items()}


@share(0.5)
@given(st.lists(KEPT, max_size=8), FILTERS, st.integers(1, 5))
def test_those_and_only_those_that_match_are_counted_and_resent(
    tasks: list[dict[str, Any]], chosen: dict[str, Any], page: int
) -> None:
    house = House()
    there = [kept(house, number, made) for number, made in enumerate(tasks)]
    wanted = {task.task_id for task, made in zip(there, tasks, strict=True) if is_asked_for(made, chosen)}
    asked = as_asked(chosen)
    counted = house.call("start_resend", {"filter": asked, "dry_run": True})
    assert counted == (200, {"count": len(wanted), "exact": True})
    with mock.patch("chalicelib.delivery.resend.PAGE", page):
        begun = start(house, filter=asked, rate=1000)
    assert counts(look(house, begun["resend_id"])) == done(len(wanted))
    resent = {task.task_id for task in there if house.look(task.task_id)["round"] == 2}
    assert resent == wanted


# ── whoever else is at it ────────────────────────────────────────────────────────────────────────


def test_the_round_in_which_a_task_was_found_decides_whatever_any_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers are at the same page while the task is resent and cancelled by a process whose clock has stopped."""
    monkeypatch.setattr("chalicelib.admin.FIRST_SECONDS", 0)
    house, [task_id] = with_exhausted(1)
    begun = start(house)
    world = house.world
    [it] = world.store.resends()
    in_hand = _step(world, it)
    assert in_hand is not None
    assert (in_hand.hand, in_hand.rounds) == ((task_id,), (1,))
    stopped = house.clock.at - 1
    found = world.store.get(task_id)
    assert found is not None
    again = world.store.replace(found, life.resend(found, found.request, now=stopped, grace=600))
    world.store.replace(again, life.cancel(again, now=stopped, retention=86_400))
    house.pass_time(120)
    assert counts(look(house, begun["resend_id"])) == done(0, passed_over=1)
    assert house.look(task_id)["round"] == 2


def test_tasks_that_were_exhausted_by_a_clock_that_is_a_little_ahead_are_resent() -> None:
    house, task_ids = with_exhausted(2)
    for task_id in task_ids:
        found = house.world.store.get(task_id)
        assert found is not None
        house.world.store.replace(found, evolve(found, version=found.version + 1, updated_at=house.clock.at + 600))
    begun = start(house, rate=1000)
    house.pass_time(60)
    assert counts(look(house, begun["resend_id"])) == done(2)


def test_a_task_that_cannot_be_resent_just_now_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    house, [first, *others] = with_exhausted(3)
    get = house.world.store.get

    def troubled(task_id: str) -> Task | None:
        if task_id == first:
            raise Unavailable("not just now")
        return get(task_id)

    with monkeypatch.context() as trouble:
        trouble.setattr(house.world.store, "get", troubled)
        begun = start(house, rate=1000)
    [it] = house.world.store.resends()
    assert (it.hand, it.rounds, it.resent) == ((first,), (1,), 2)
    house.pass_time(120)
    assert counts(look(house, begun["resend_id"])) == done(3)
    assert {house.look(task_id)["round"] for task_id in (first, *others)} == {2}


def test_a_resend_whose_answer_was_lost_is_counted_though_the_action_was_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, [first, _] = with_exhausted(2)
    store = house.world.store
    replace, get, lost = store.replace, store.get, list[str]()

    def unanswered(old: Task, new: Task, audit: Audit | None = None) -> Task:
        replace(old, new, audit)
        if old.task_id == first and audit is not None:
            lost.append(first)
            raise Unavailable("the answer is lost")
        return new

    def silent(task_id: str) -> Task | None:
        if task_id in lost:
            raise Unavailable("not just now")
        return get(task_id)

    with monkeypatch.context() as trouble:
        trouble.setattr(store, "replace", unanswered)
        trouble.setattr(store, "get", silent)
        begun = start(house, rate=1000)
    [it] = house.world.store.resends()
    assert (it.hand, it.resent) == ((first,), 1)
    assert house.call("stop_resend", path={"resend_id": begun["resend_id"]})[0] == 200
    house.pass_time(60)
    assert counts(look(house, begun["resend_id"])) == {**done(2), "status": "stopped"}


def test_one_that_is_stopped_is_over_only_when_all_that_it_has_in_hand_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    house, [first, second, _] = with_exhausted(3)
    get, troubled = house.world.store.get, {first, second}

    def sometimes(task_id: str) -> Task | None:
        if task_id in troubled:
            raise Unavailable("not just now")
        return get(task_id)

    with monkeypatch.context() as trouble:
        trouble.setattr(house.world.store, "get", sometimes)
        begun = start(house, rate=1000)
        troubled.remove(second)
        status, stopped = house.call("stop_resend", path={"resend_id": begun["resend_id"]})
        assert (status, stopped["status"], stopped["resent"]) == (200, "stopping", 2)
    house.pass_time(120)
    assert counts(look(house, begun["resend_id"])) == {**done(3), "status": "stopped"}
    assert house.look(first)["round"] == 2


def test_a_bulk_resend_of_an_older_release_is_gone_on_with() -> None:
    house, task_ids = with_exhausted(2)
    old = samples.resend(
        str(UUID(int=1)), at=house.clock.at, filter={"status": "exhausted"}, hand=tuple(task_ids), walked=True
    )
    assert house.world.store.save_resend(old)
    house.pass_time(120)
    assert counts(look(house, old.resend_id)) == done(2)


# ── lists that lag ───────────────────────────────────────────────────────────────────────────────


class Lagging:
    """A store whose list of a status learns of a task only so many seconds after it was asked for it first."""

    list_lag = 60

    def __init__(self, house: House, lag: float) -> None:
        self.house, self.store, self.known_at = house, house.world.store, house.clock.at + lag
        self.walks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def page(self, query: Query, cursor: str | None, limit: int) -> Page:
        self.walks += cursor is None
        found = self.store.page(query, cursor, limit)
        return found if self.house.clock.at >= self.known_at else Page([], found.cursor)


@pytest.mark.parametrize("lag", [30, 59, 110])
def test_tasks_that_a_list_has_missed_are_found_by_a_later_walk(lag: float) -> None:
    house, task_ids = with_exhausted(3)
    store = Lagging(house, lag)
    house.world = evolve(house.world, store=store)
    begun = start(house, rate=1000)
    assert look(house, begun["resend_id"])["status"] == "running"
    house.pass_time(420)
    assert counts(look(house, begun["resend_id"])) == done(3)
    assert {house.look(task_id)["round"] for task_id in task_ids} == {2}


def test_a_later_walk_resends_and_counts_nothing_twice() -> None:
    house, task_ids = with_exhausted(2)
    house.outside.answers[PARTNER] = in_turn(DOWN)
    store = Lagging(house, 0)
    house.world = evolve(house.world, store=store)
    begun = start(house, rate=1000)
    house.pass_time(420)
    assert counts(look(house, begun["resend_id"])) == done(2)
    assert {house.look(task_id)["round"] for task_id in task_ids} == {2}, "though they are exhausted again"
    assert store.walks == WALKS


def test_tasks_that_are_named_are_not_looked_for_in_a_list() -> None:
    house, task_ids = with_exhausted(2)
    store = Lagging(house, 10_000)
    house.world = evolve(house.world, store=store)
    begun = start(house, task_ids=task_ids, rate=1000)
    house.pass_time(10)
    assert (counts(look(house, begun["resend_id"])), store.walks) == (done(2), 0)
