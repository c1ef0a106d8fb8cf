"""Change a task: decide purely, write if nobody was faster, else decide again on what stands there now."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.ports import Store
from chalicelib.task import Audit, Task


def change(store: Store, task: Task, decide: Callable[[Task], Task], audit: Audit | None = None) -> Task:
    """The task as `decide` made it and the store took it. Whatever `decide` raises ends it, with nothing written."""
    while True:
        new = decide(task)
        stored = store.replace(task, new, audit)
        if stored == new:  # equal and not only the same: a write that succeeded may have been sent twice
            return new
        task = stored
