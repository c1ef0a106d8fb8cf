"""How results are put out: tables for people, JSON for programs. What comes from kkbida may steer no terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from kkbida import rawjson
from kkbida.cli.words import clean, clean_json
from kkbida.wire import Json

MOODS = {"good": "green", "bad": "red", "": ""}

STATUSES = {
    "delivered": "green",
    "exhausted": "red",
    "cancelled": "dim",
    "retrying": "yellow",
    "open": "red",
    "failed": "red",
    "running": "cyan",
}
"""Colours of words that say how something stands."""

WIDE = 250
"""Columns where nobody looks: in a file or a pipe."""

NARROWEST = 120
"""Columns of a table: a smaller terminal breaks its lines, and loses nothing."""

Row = Mapping[str, object]


class _Console(Console):
    """One that leaves a closed pipe to the end of the command: rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Raises the error that is being handled."""
        raise  # noqa: PLE0704 - rich calls this where the error is caught


def out() -> Console:
    """Standard output, for tables as wide as its terminal."""
    return _console(sys.stdout)


@lru_cache(maxsize=1)
def _console(file: IO[str]) -> Console:
    """The one console of a file: it knows when something moves on it, and prints above that."""
    seen = Console(file=file)
    return _Console(file=file, highlight=False, width=max(seen.width, NARROWEST) if seen.is_terminal else WIDE)


def err() -> Console:
    """Standard error: for what is not the result."""
    return _Console(stderr=True, highlight=False)


def _moving() -> Console:
    """Where something may move: standard output, so that results are printed above it; else standard error."""
    return out() if out().is_terminal else err()


def line(text: str, style: str = "") -> None:
    """A line of result."""
    out().print(Text(clean(text), style), soft_wrap=True)


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    err().print(Text(clean(text), "dim"), soft_wrap=True)


def failure(text: str) -> None:
    """Why a command ends as it should not, on standard error."""
    for each in f"kkbida: {text}".splitlines():
        err().print(Text(clean(each), "red"), soft_wrap=True)


def document(value: Json) -> None:
    """One JSON document."""
    _plain(json_text(value, sys.stdout, indent=2))


def json_line(value: Json) -> None:
    """One JSON document of several, on a line of its own."""
    _plain(json_text(value, sys.stdout))


def json_text(value: Json, to: IO[str] | None = None, *, indent: int | None = None) -> str:
    """A value as JSON that a stream can hold, or UTF-8: with escapes, where the encoding has not all characters."""
    whole = to is None or (getattr(to, "encoding", None) or "").lower().replace("-", "").startswith("utf")
    text = rawjson.shown(value, ascii_only=not whole, indent=indent)
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, as JSON may hold it in an escape. No encoding has it."""


def _plain(text: str) -> None:
    if out().is_terminal:
        out().print(Text(clean_json(text)), soft_wrap=True)
        return
    sys.stdout.write(clean_json(text) + "\n")
    sys.stdout.flush()


LONG = frozenset({"request", "why", "url", "from", "to", "filter", "detail", "memo"})
"""Columns that are cut where there is no room for them; all others stay whole."""


def table(rows: Sequence[Row]) -> Table:
    """The rows under the names of their columns."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0] if rows else ():
        widest = max(len(name), *(_cell(row[name]).cell_len for row in rows))
        drawn.add_column(name, no_wrap=True, overflow="ellipsis", min_width=None if name in LONG else widest)
    for row in rows:
        drawn.add_row(*map(_cell, row.values()))
    return drawn


def _cell(value: object) -> Text:
    text = "" if value is None else ("yes" if value else "no") if isinstance(value, bool) else clean(value)
    return Text(text, STATUSES.get(text, ""))


def listing(rows: Sequence[Row], *, empty: str) -> None:
    """A table, or a sentence where there is nothing to show."""
    if rows:
        out().print(table(rows))
    else:
        note(empty)


EMPTY: tuple[object, ...] = (None, "", {}, [], ())


def facts(of: Row) -> None:
    """Names and values, one pair a line; what is empty is left out."""
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in of.items():
        if value not in EMPTY:
            drawn.add_row(Text(name, "dim"), _cell(value))
    out().print(drawn)


@dataclass
class Voice:
    """How this run puts things out: `as_json` for programs."""

    as_json: bool = False

    def one(self, shown: Json, *for_people: str) -> None:
        """A thing that was done: a document, or some lines."""
        if self.as_json:
            document(shown)
            return
        for each in for_people:
            line(each)

    def many(self, shown: Sequence[Json], rows: Sequence[Row], *, empty: str) -> None:
        """A list: a JSON line for each, or a table."""
        if self.as_json:
            for each in shown:
                json_line(each)
        else:
            listing(rows, empty=empty)


def progress() -> Progress:
    """A progress bar, where somebody looks; without a total, a count."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = _moving()
    return Progress(
        *columns, console=console, disable=not console.is_terminal, redirect_stdout=False, redirect_stderr=False
    )


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """A line that says what is waited for, where somebody looks, until the block ends; takes each new sentence."""
    spinner = Spinner("dots")
    with Live(spinner, console=_moving(), transient=True, redirect_stdout=False, redirect_stderr=False):
        yield lambda sentence: spinner.update(text=Text(clean(sentence), "dim"))
