"""One story: a storm with clients, a clerk and faults; then calm, until nothing is left to do; then the witness."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial

from chalicelib.ports import Queue
from chalicelib.task import Verdict
from tests.simulation import people, services
from tests.simulation.stage import Stage, build
from tests.simulation.timeline import Timeline
from tests.simulation.weather import Fault

PATIENCE = 40 * 86_400
"""Seconds of calm after which everything must be over: the longest round, and the longest that a notice takes."""

FAIR_GRACE, FAIR_LIMIT = 300, 1000
"""Seconds, and messages: a story with less looks troubled though nothing went wrong."""

MOST_LINES = 100
"""Lines of a timeline that are printed with a broken promise: the last ones about its task."""

POLLERS = {Queue.TASKS: 3, Queue.EXHAUSTED: 2}
"""Batches of each queue that are handled at once."""


@dataclass(frozen=True)
class Ending:
    """What a story came to. `objections`: promises that were broken."""

    seed: int
    objections: tuple[str, ...]
    figures: Counter[str]
    faults: Counter[Fault]
    timeline: Timeline

    @property
    def objection(self) -> str:
        """All that a reader needs who must find out why a promise was broken; empty when none was."""
        if not self.objections:
            return ""
        broken = [self.timeline.named(objection) for objection in self.objections]
        about = re.match(r"t\d+", broken[0])
        told = list(self.timeline.lines(about and about[0]))
        replay = f"replay it with: make simulate SEED={self.seed}"
        return "\n".join([f"SEED {self.seed} BROKE A PROMISE: {broken[0]}", *told[-MOST_LINES:], *broken[1:5], replay])


def run(seed: int) -> Ending:
    """Play the story of a seed."""
    stage = build(seed)
    with stage.set():
        try:
            _play(stage)
        finally:
            stage.fibers.end()
    ending = Ending(seed, tuple(stage.witness.objections), _figures(stage), stage.faults.struck, stage.timeline)
    stage.store.close()
    return ending


def _play(stage: Stage) -> None:
    """The storm, the calm, and the end."""
    witness, fibers = stage.witness, stage.fibers
    calm = fibers.now + stage.random.uniform(600, 7200)
    people.open_channels(stage)
    _begin(stage, calm)
    fibers.run(lambda: not witness.objections and fibers.now < calm)
    if stage.faults.strikes(Fault.OUTAGE):
        services.lose_all_messages(stage)
    stage.be_calm()
    fibers.run(lambda: not witness.objections and fibers.now < calm + PATIENCE)
    if not witness.objections:
        witness.look_back(_left(stage), fair=_is_fair(stage))


def _begin(stage: Stage, calm: float) -> None:
    """Everybody who acts."""
    actors = [
        *(partial(services.poll, stage, queue, f"{queue}-{n}") for queue, most in POLLERS.items() for n in range(most)),
        partial(services.look_after, stage),
        partial(services.resend_many, stage),
        partial(services.sweep, stage),
        partial(services.deploy_now_and_then, stage),
        partial(services.audit, stage),
        partial(people.clerk, stage),
        partial(people.warden, stage),
    ]
    for actor in actors:
        stage.fibers.spawn(stage.infra, actor)
    submissions = dict(enumerate(people.submissions(stage)))
    together = {number: it for number, it in submissions.items() if stage.random.random() < 0.3}
    for number in submissions.keys() - together.keys():
        at = stage.random.uniform(stage.fibers.now, calm)
        stage.fibers.spawn(stage.infra, partial(people.submit, stage, number, submissions[number]), at)
    at = stage.random.uniform(stage.fibers.now, calm)
    stage.fibers.spawn(stage.infra, partial(people.submit_together, stage, together), at)


def _is_fair(stage: Stage) -> bool:
    """Whether nothing went wrong, and no setting makes messages wait elsewhere or be missed early."""
    settings = stage.settings
    alone = not stage.witness.ruled
    return alone and not stage.faults.struck and settings.grace > FAIR_GRACE and settings.in_flight_limit > FAIR_LIMIT


def _left(stage: Stage) -> int:
    """Messages that are in the queues."""
    found = stage.store.database.read(lambda connection: connection.execute("SELECT count(*) FROM messages").fetchone())
    return int(found[0])


def _figures(stage: Stage) -> Counter[str]:
    witness = stage.witness
    attempts = [attempt for task in witness.tasks.values() for attempt in stage.store.attempts(task)]
    arrived = Counter((visit.task_id) for visit in witness.visits if visit.taken)
    return Counter(
        {
            "stories": 1,
            "large stories": stage.scale.is_large,
            "tasks": len(witness.tasks) + len(witness.gone),
            "expired": len(witness.gone),
            "requests": len(witness.visits),
            "interrupted": sum(attempt.verdict is Verdict.INTERRUPTED for attempt in attempts),
            "arrived more than once": sum(times > 1 for times in arrived.values()),
            "notices": len(witness.heard),
            "told of together": sum(heard.tasks for heard in witness.heard if heard.tasks > 1),
            "deaths": stage.deaths,
            "bulk resends": len(stage.store.resends()),
            "resent by them": sum(resend.resent for resend in stage.store.resends()),
            "held": stage.witness.held,
            "changes of the target": len(stage.witness.ruled),
            **Counter(str(task.status) for task in witness.tasks.values()),
        }
    )
