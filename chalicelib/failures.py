"""What fails, gathered by target and by why: where somebody looks first when much does not arrive. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chalicelib.task import Task

FIRST = 5
"""Ids that a group lists."""


@dataclass(slots=True)
class Group:
    """Tasks that fail alike: how many, when they were accepted (the start of the hour or day -> how many), and the ids
    of the newest."""

    target: str
    error: str
    count: int = 0
    times: Counter[float] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)


def gathered(tasks: Iterable[Task], step: float) -> list[Group]:
    """The tasks, which come newest first, in groups, the largest first. `step`: seconds of an hour or a day."""
    groups: dict[tuple[str, str], Group] = {}
    for task in tasks:
        key = (task.request.target, task.error)
        group = groups.setdefault(key, Group(*key))
        group.count += 1
        group.times[task.created_at - task.created_at % step] += 1
        group.first += [task.task_id] if len(group.first) < FIRST else []
    return sorted(groups.values(), key=lambda group: (-group.count, group.target, group.error))
