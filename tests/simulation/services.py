"""What Lambda, SQS and EventBridge do around the product: batches, time limits, schedules; and who kills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Any

from chalicelib.consume import consume
from chalicelib.delivery.deliver import deliver
from chalicelib.delivery.reconcile import reconcile
from chalicelib.delivery.resend import go_on
from chalicelib.notify.notify import tell
from chalicelib.ports import Queue, Received
from tests.house import sqs_event
from tests.simulation.fibers import Process, Stopped
from tests.simulation.stage import Expected, Stage
from tests.simulation.troubled import TroubledStore
from tests.simulation.weather import Fault

HANDLERS: Mapping[Queue, Callable[..., Any]] = {Queue.TASKS: deliver, Queue.EXHAUSTED: tell}
SECONDS = {Queue.TASKS: 90, Queue.EXHAUSTED: 60}
"""The functions' time limits; keep in step with infra/template.yaml."""

RECONCILE_SECONDS, RECONCILE_LIMIT, RECONCILE_EVERY = 45, 50, 60
RESEND_LIMIT = 90
SWEEP_LIMIT, SWEEP_EVERY = 50, 3600
"""Seconds: the sweep's time limit, and the time between two sweeps."""

SWEPT_AT_ONCE = 100
OUTAGE_SECONDS = 3600
IN_TIME = 20
"""Seconds within which a pass of the reconciler has time for all that is due."""

LET_GO = 600
"""Seconds of calm after which no process sleeps any more, and none is slow."""


def poll(stage: Stage, queue: Queue, name: str) -> None:
    """Feed a consumer with what its queue holds, for ever."""
    while True:
        process = stage.running(name)
        batch = stage.queues.receive(queue, limit=stage.random.randint(1, 10))
        if queue is Queue.TASKS:
            stage.ring_for_spent()
        if batch:
            _handle(stage, queue, process, batch)
        else:
            stage.wait_for_message(queue)


def _handle(stage: Stage, queue: Queue, process: Process, batch: list[Received]) -> None:
    """Invoke the consumer with a batch, and delete what it has finished."""
    for message in batch:
        if stage.faults.strikes(Fault.EARLY):
            stage.fibers.spawn(stage.infra, partial(_surface, stage, queue, message))
    work = partial(consume, stage.world(process), queue, sqs_event(batch), HANDLERS[queue])
    response = invoke(stage, process, work, SECONDS[queue])
    if response is None or stage.faults.strikes(Fault.UNDELETED):
        return
    stay = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    stage.queues.delete(queue, [it.receipt for it in batch if it.message_id not in stay])


def invoke(stage: Stage, process: Process, work: Callable[[], Any], limit: float) -> Any:
    """What the work returns; None when its process died, or was ended because it took too long, or it failed."""
    fiber = stage.fibers.spawn(process, work)
    if stage.laptop:
        limit = float("inf")
    try:
        return stage.fibers.join(fiber, within=limit)
    except Stopped:
        if process.alive:
            stage.die(process, f"it took longer than {limit} s")
    except Expected as failure:
        stage.tell(process.name, f"failed: {failure!r}")
    return None


def _surface(stage: Stage, queue: Queue, message: Received) -> None:
    """A message in hand becomes visible early."""
    stage.fibers.sleep(stage.random.uniform(0.01, 200))
    stage.tell("infra", f"{Fault.EARLY}: {message.body}")
    now = stage.queue_now()
    sql = "UPDATE messages SET visible_at = min(visible_at, ?) WHERE id = ? AND state <> 'ready'"
    stage.store.database.write(lambda tx: tx.execute(sql, (now, int(message.message_id))))
    stage.bells[queue].ring()


def look_after(stage: Stage) -> None:
    """Call the reconciler each minute in which something is due. One that is slow does not keep the next from it."""
    every = 5 if stage.laptop else RECONCILE_EVERY
    while True:
        due = max(stage.next_wake(), stage.fibers.now)
        tick = max(due // every * every + every, stage.outage_until)
        stage.schedule.wait(tick)
        if stage.fibers.now >= max(tick, stage.outage_until):
            stage.fibers.spawn(stage.infra, partial(_pass, stage))


def _pass(stage: Stage) -> None:
    """One pass of the reconciler. In calm it leaves no task that was due, if there was time."""
    process, began = stage.running("reconcile"), stage.fibers.now
    was_calm = stage.calm_since + LET_GO < began
    due = stage.store.due(began + process.skew, len(stage.witness.tasks)) if was_calm else []
    work = partial(reconcile, stage.world(process), seconds=RECONCILE_SECONDS)
    ended = invoke(stage, process, work, RECONCILE_LIMIT)
    if ended is not None and stage.fibers.now < began + IN_TIME:
        left = [it.task_id for it in due if stage.store.get(it.task_id) == it]
        stage.witness.reconciled(left)


def sweep(stage: Stage) -> None:
    """Remove what has expired, about each hour, where tasks expire while the story lasts."""
    while stage.scale.is_expiring:
        stage.fibers.sleep(stage.random.uniform(0.5, 1.5) * SWEEP_EVERY)
        process = stage.running("sweep")
        now = stage.fibers.now + process.skew
        invoke(stage, process, partial(TroubledStore(stage, process).sweep, now, SWEPT_AT_ONCE), SWEEP_LIMIT)


def resend_many(stage: Stage) -> None:
    """Go on with bulk resends each minute in which there is one."""
    every = 5 if stage.laptop else RECONCILE_EVERY
    while True:
        stage.resends.wait(inf if all(it.is_over for it in stage.store.resends()) else stage.fibers.now + every)
        process = stage.running("resend-many")
        work = partial(go_on, stage.world(process), seconds=RECONCILE_SECONDS)
        stage.fibers.spawn(stage.infra, partial(invoke, stage, process, work, RESEND_LIMIT))


def audit(stage: Stage) -> None:
    """Look at the ledger now and then, in the middle of the storm."""
    while not stage.faults.calm:
        stage.fibers.sleep(stage.random.uniform(10, 900))
        stage.witness.check_ledger()


def lose_all_messages(stage: Stage) -> None:
    """Lose what is in the queues, and let no reconciler run for an hour: what is due then fills its pages."""
    stage.tell("infra", Fault.OUTAGE)
    stage.store.database.write(lambda tx: tx.execute("DELETE FROM messages"))
    stage.outage_until = stage.fibers.now + OUTAGE_SECONDS


def deploy_now_and_then(stage: Stage) -> None:
    """Restart everything, some hours in the storm."""
    while not stage.faults.calm:
        stage.fibers.sleep(stage.random.expovariate(1 / 900))
        if stage.faults.strikes(Fault.DEPLOYED):
            stage.deploy()
