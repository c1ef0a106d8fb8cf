"""What fails, gathered by target and by why: where somebody looks first when much does not arrive. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chalicelib.task import Status, Task

FIRST = 5
"""Ids that a group lists."""


@dataclass(slots=True)
class Group:
    """Tasks that fail alike: how many there are of each status, when they were accepted (the start of the hour or day
    -> how many of each status), and the ids of the newest."""

    target: str
    error: str
    standing: Counter[Status] = field(default_factory=Counter)
    times: dict[float, Counter[Status]] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return self.standing.total()


def gathered(tasks: Iterable[Task], step: float) -> list[Group]:
    """The tasks, which come newest first, in groups, the largest first. `step`: seconds of an hour or a day."""
    groups: dict[tuple[str, str], Group] = {}
    for task in tasks:
        key = (task.request.target, task.error)
        group = groups.setdefault(key, Group(*key))
        group.standing[task.status] += 1
        group.times.setdefault(task.created_at - task.created_at % step, Counter())[task.status] += 1
        group.first += [task.task_id] if len(group.first) < FIRST else []
    return sorted(groups.values(), key=lambda group: (-group.count, group.target, group.error))
