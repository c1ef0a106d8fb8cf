"""The ports, in trouble: each call is a point where another actor may run, and where a fault may strike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from chalicelib.errors import Kind, SendFailed, Unavailable
from chalicelib.ports import MOST_DELAY, Message, News, Outgoing, Parcel, Queue, Received, Reply
from chalicelib.task import Resend, Task
from tests.simulation.weather import Fault

if TYPE_CHECKING:
    from tests.simulation.fibers import Process
    from tests.simulation.stage import Stage


class Surprise(Exception):
    """What nobody expects from a port."""


UNLISTED_SECONDS = (5, 60, 600, 7200)
"""Seconds for which an index may miss a change."""

LATENCY = 0.005
"""Seconds that a call takes on average, half of it on the way there."""


class Troubled:
    """Calls of one port by one process."""

    def __init__(self, stage: Stage, process: Process) -> None:
        self.stage = stage
        self.process = process

    def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        """The answer of a call; its effect happens at one moment, between others of other processes."""
        self._on_the_way(Fault.DIES_BEFORE, name)
        self._may_fail(Fault.THROTTLED, name)
        if self.stage.faults.strikes(Fault.SURPRISE):
            self.stage.tell(self.process.name, f"{name}: {Fault.SURPRISE}")
            raise Surprise(name)
        if self.stage.faults.strikes(Fault.REPEATED):
            self.stage.tell(self.process.name, f"{name}: {Fault.REPEATED}")
            effect()
        answer = effect()
        self._on_the_way(Fault.DIES_AFTER, name)
        self._may_fail(Fault.UNANSWERED, name)
        if self.stage.faults.strikes(Fault.STEPPED):
            self.stage.step_clock(self.process)
        return answer

    def _on_the_way(self, death: Fault, name: str) -> float:
        """Time passes: more, when the port is slow or the process sleeps. Returns the seconds, sleep left aside."""
        stage = self.stage
        seconds = stage.random.expovariate(2 / LATENCY)
        if stage.faults.strikes(Fault.SLOW):
            seconds += stage.random.uniform(0.5, 10)
        if stage.faults.strikes(Fault.FROZEN):
            asleep = stage.random.choice((20, 100, 600))
            stage.tell(self.process.name, f"{name}: {Fault.FROZEN} ({asleep} s)")
            self.process.frozen_until = stage.fibers.now + asleep
        stage.fibers.sleep(seconds)
        if stage.faults.strikes(death):
            stage.die(self.process, f"{name}: {death}")
        return seconds

    def _may_fail(self, fault: Fault, name: str) -> None:
        if self.stage.faults.strikes(fault):
            self.stage.tell(self.process.name, f"{name}: {fault}")
            raise Unavailable(f"{name}: {fault}")


class TroubledStore(Troubled):
    """The port Store."""

    WRITES = frozenset({"add", "claim", "replace", "keep"})
    LISTS = frozenset({"due", "gathered", "held", "latest_due"})
    """What may miss something: an index that lags, and mentions whose writer was cut off half-way."""

    @property
    def list_lag(self) -> float:
        """The lists of the cloud lag."""
        return 0 if self.stage.laptop else 60

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)

    def _ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        method = getattr(self.stage.store, name)

        def effect() -> Any:
            if name == "sweep":
                return self.stage.witness.look_at_sweep(partial(method, *arguments, **more))
            answer = method(*arguments, **more)
            if name in self.WRITES:
                self._seen(name, arguments[0], answer)
            if name == "whose_turn" and answer:
                self._seen(name, answer, answer)  # it may have called it up
            if name == "save_resend" and answer:
                self._resends(arguments[0])
            return answer

        answer = self._call(name, effect)
        if name in self.LISTS:
            return self._lagging(answer)
        if name == "due_page":
            return replace(answer, tasks=self._lagging(answer.tasks))
        if name == "page":
            return replace(answer, tasks=self._lagging(answer.tasks, since=self.stage.fibers.now - self.list_lag))
        if name == "claim" and isinstance(answer, Task):
            self.stage.fibers.current().claim = (answer.task_id, answer.fence)
        return answer

    def _lagging(self, rows: Sequence[Any], since: float = -inf) -> list[Any]:
        """The rows that the index lists. It may miss one, but in a walk of all tasks only what changed after `since`:
        so a second walk, `list_lag` seconds later, finds what the first has missed, as `Store` promises."""
        now, unlisted, changed = self.stage.fibers.now, self.stage.unlisted, self.stage.changed
        listed = [it for it in rows if unlisted.get(_id_of(it), 0) <= now]
        return [
            it for it in listed if changed.get(_id_of(it), 0) < since or not self.stage.faults.strikes(Fault.LAGGING)
        ]

    def _seen(self, name: str, of: Any, answer: Any) -> None:
        """Let the witness see what the call has changed."""
        task_id = of if isinstance(of, str) else of.task_id
        self.stage.tell(self.process.name, f"  {name} {task_id}: {_short(name, answer)}")
        self.stage.changed[task_id] = self.stage.fibers.now
        if self.stage.witness.look(task_id, self.process) and self.stage.faults.strikes(Fault.UNLISTED):
            self.stage.unlisted[task_id] = self.stage.fibers.now + self.stage.random.choice(UNLISTED_SECONDS)
        self.stage.written()

    def _resends(self, resend: Resend) -> None:
        """Let the witness see how far a bulk resend has come."""
        told = f"{resend.status}, {resend.resent} resent, {resend.passed_over} passed over, {len(resend.hand)} in hand"
        self.stage.tell(self.process.name, f"  save_resend {resend.resend_id}: {told}")
        self.stage.witness.look_at_resend(resend, self.stage.unlisted)
        self.stage.resends.ring()


def _id_of(row: Any) -> str:
    """The id of a task; empty for a mention."""
    return getattr(row, "task_id", "")


def _short(name: str, answer: Any) -> str:
    """What a call brought, in a few words."""
    if not isinstance(answer, Task):
        return "done" if answer in (None, True) else str(answer)
    return f"attempt {answer.number} (fence {answer.fence})" if name == "claim" else str(answer.status)


class TroubledQueues(Troubled):
    """The port Queues, as far as the product's steps use it."""

    def send(self, queue: Queue, message: Message | News, *, group: str, delay: float = 0) -> None:
        """Send; the message may get lost, be doubled, or come late."""
        self._call(f"send {message}", partial(self._send, queue, message, group, delay))

    def send_all(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """Send many: each of them may get lost, be doubled, or come late."""
        for it in parcels:
            self.send(queue, it.message, group=it.group, delay=it.delay)

    def _send(self, queue: Queue, message: Message | News, group: str, delay: float) -> None:
        stage = self.stage
        if stage.faults.strikes(Fault.LOST):
            stage.tell("infra", f"{Fault.LOST}: {message}")
            return
        copies = 2 if stage.faults.strikes(Fault.DOUBLED) else 1
        for _ in range(copies):
            late = stage.random.choice((2, 60, MOST_DELAY)) if stage.faults.strikes(Fault.LATE) else 0
            stage.queues.send(queue, message, group=group, delay=min(delay + late, MOST_DELAY))
        stage.bells[queue].ring()

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        """Set visibilities."""
        self._call("hide", partial(self.stage.queues.hide, queue, waits))
        self.stage.bells[queue].ring()

    def receive(self, queue: Queue, *, limit: int = 10, wait: float = 0) -> list[Received]:
        """Not used by the product's steps: the pollers receive."""
        raise NotImplementedError

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:
        """Not used by the product's steps: the pollers delete."""
        raise NotImplementedError

    def in_flight(self, queue: Queue) -> int:
        """About how many messages are in flight."""
        return int(self._call("in_flight", partial(self.stage.queues.in_flight, queue)))


class TroubledHttp(Troubled):
    """The port Http: the process may die or sleep meanwhile; what else goes wrong is the other side's doing."""

    def send(self, outgoing: Outgoing) -> Reply:
        """Send one request to a partner or a robot. The way there takes from the time that the attempt has."""
        seconds = self._on_the_way(Fault.DIES_BEFORE, "request")
        if seconds >= outgoing.timeout:
            raise SendFailed(Kind.CONNECT_TIMEOUT, "the way there took too long")
        reply = self.stage.outside.send(replace(outgoing, timeout=outgoing.timeout - seconds))
        self._on_the_way(Fault.DIES_AFTER, "request")
        return reply

    def check(self, url: str) -> None:
        """Every address is allowed here."""
