"""A process dies in the middle of a bulk resend, at any call of a port: each task is resent once, and counted so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from chalicelib.delivery import resend
from chalicelib.errors import Unavailable
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"
TASKS = 5


class Died(BaseException):
    """The process is gone; no `except Exception` of the product can catch it."""


@dataclass
class Fate:
    """What strikes the `nth` call of a port, before or after its effect."""

    nth: int
    after: bool
    blow: BaseException
    called: list[str] = field(default_factory=list)

    def call(self, name: str, effect: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        self.called.append(name)
        struck = len(self.called) == self.nth
        if struck and not self.after:
            raise self.blow
        answer = effect(*arguments, **more)
        if struck:
            raise self.blow
        return answer


@dataclass
class Fated:
    """A port whose calls meet their fate."""

    port: object
    fate: Fate

    def __getattr__(self, name: str) -> Any:
        return partial(self.fate.call, name, getattr(self.port, name))


def one_by_one(things: Iterable[Any], work: Callable[[Any], Any], *, most: int) -> list[Any]:  # noqa: ARG001
    return [work(thing) for thing in things]


@pytest.fixture(autouse=True)
def small_pages_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "PAGE", 2)
    monkeypatch.setattr(resend, "all_at_once", one_by_one)
    monkeypatch.setattr("chalicelib.admin.FIRST_SECONDS", 0)


def begun(named: bool) -> tuple[House, list[str], str]:
    """A house with exhausted tasks that fail again whenever they are tried, and a bulk resend that has just begun: of
    all of them by a filter, or of those that are `named`."""
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    task_ids = [house.submit(PARTNER, retry={"max_attempts": 1}) for _ in range(TASKS)]
    house.pass_time(1)
    which: dict[str, Any] = {"task_ids": task_ids} if named else {"filter": {}}
    status, shown = house.call("start_resend", {**which, "rate": 1000})
    assert status == 202
    return house, task_ids, shown["resend_id"]


def meet(house: House, fate: Fate) -> None:
    """Go on with the resend until the blow falls."""
    world = replace(house.world, store=Fated(house.world.store, fate), queues=Fated(house.world.queues, fate))
    try:
        resend.go_on(world, seconds=45)
    except (Died, Unavailable):
        return


def calls(named: bool) -> list[str]:
    """The calls of a bulk resend that nothing happens to."""
    house, _, _ = begun(named)
    fate = Fate(nth=0, after=False, blow=Died())
    meet(house, fate)
    return fate.called


def each_call() -> Iterator[Any]:
    for named, how in ((False, "by filter"), (True, "by id")):
        for nth, name in enumerate(calls(named), 1):
            for after in (False, True):
                yield pytest.param(named, nth, after, id=f"{how}, {nth} {'after' if after else 'before'} {name}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "nth" in metafunc.fixturenames:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resend, "PAGE", 2)
            patch.setattr(resend, "all_at_once", one_by_one)
            patch.setattr("chalicelib.admin.FIRST_SECONDS", 0)
            metafunc.parametrize(("named", "nth", "after"), list(each_call()))


@pytest.mark.parametrize("blow", [Died(), Unavailable("It cannot serve just now.")], ids=["dies", "unavailable"])
@pytest.mark.parametrize("seconds", [0, 1, -200], ids=["at once", "later", "by a clock that is behind"])
def test_whatever_strikes_each_task_is_resent_once_and_counted_once(
    named: bool, nth: int, after: bool, blow: BaseException, seconds: float
) -> None:
    house, task_ids, resend_id = begun(named)
    meet(house, Fate(nth, after, blow))
    house.clock.at += seconds
    while house.work():  # those that were resent fail again, before the page is done once more
        continue
    house.pass_time(1200, step=20)
    shown = house.call("look_at_resend", path={"resend_id": resend_id})[1]
    assert (shown["status"], shown["resent"], shown["passed_over"], shown["failed"]) == ("done", TASKS, 0, 0)
    for task_id in task_ids:
        task = house.look(task_id)
        assert [it["detail"].get("resend_id") for it in task["audit"]] == [resend_id]
        assert (task["status"], task["round"], len(task["attempts"])) == ("exhausted", 2, 2)


@pytest.mark.parametrize("by_id", [False, True])
def test_a_page_that_two_are_at_is_counted_once(by_id: bool) -> None:
    house, task_ids, resend_id = begun(by_id)
    world = house.world
    beside = iter([True])

    class Doubled:
        """While one saves what it has done, another one does the same page."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

        def save_resend(self, *arguments: Any) -> bool:
            if next(beside, False):
                resend.go_on(world, seconds=45)
            return world.store.save_resend(*arguments)

    resend.go_on(replace(world, store=Doubled()), seconds=45)
    house.pass_time(120)
    shown = house.call("look_at_resend", path={"resend_id": resend_id})[1]
    assert (shown["status"], shown["matched"], shown["resent"]) == ("done", TASKS, TASKS)
    assert {house.look(task_id)["round"] for task_id in task_ids} == {2}
