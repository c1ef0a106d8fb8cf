"""What happened, in order, for people. Kept as facts and written out only when somebody wants to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Entry = tuple[float, str, str]
"""When (seconds since the epoch), who, and what."""


class Timeline:
    """The story as it is told. Tasks are named t1, t2, ... in the order in which they appear."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._entries: list[Entry] = []
        self._names: dict[str, str] = {}

    def tell(self, at: float, who: str, what: str) -> None:
        """Add what happened."""
        self._entries.append((at, who, what))

    def lines(self, only: str | None = None) -> Iterator[str]:
        """The lines; with `only`, those in which that name stands, such as `t3`."""
        for at, who, what in self._entries:
            text = self.named(what)
            if only is None or re.search(rf"\b{only}\b", text):
                yield f"{_since(at - self._began)}  {who:<14} {text}"

    def named(self, text: str) -> str:
        """The text with the names of tasks in the place of their ids."""
        return UUID.sub(self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        return self._names.setdefault(found[0], f"t{len(self._names) + 1}")


def _since(seconds: float) -> str:
    """Days and time of day since the story began."""
    whole = timedelta(seconds=round(seconds, 3))
    return f"{whole.days:>2}d {timedelta(seconds=whole.seconds)!s:0>8}.{whole.microseconds // 1000:03}"
