"""Read what `mysqldump` has written: the rows of its tables, however large it is.

    lines --statements--> CREATE TABLE, INSERT INTO, ... --rows--> (table, row), a row being column -> value

A statement may span lines, and hold any text in quotes. No more than one statement is in memory at a time.
"""

from __future__ import annotations

import gzip
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeAlias, cast

from kkbida.errors import KkbidaError

Value: TypeAlias = "object"
"""Text, bytes, a number or None; of a live server also a datetime."""

Row: TypeAlias = "Mapping[str, Value]"

UTC = "+00:00"
"""What follows a moment of a TIMESTAMP: mysqldump writes those in UTC, and those of a DATETIME as they are."""


class BadDump(KkbidaError):
    """The dump cannot be read; the message says where."""


# ── the file ─────────────────────────────────────────────────────────────────────────────────────

CHARSETS = {"latin1": "cp1252", "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "big5": "big5"}
"""Names of MySQL -> of Python. All others are UTF-8."""

HEAD = 65_536
"""Bytes in which a dump says what its characters are."""


def opened(path: Path) -> TextIO:
    """The dump as text, by the character set that it names itself. One that ends in .gz is unpacked.

    A byte that is no character of that set becomes a lone surrogate: `is_text` tells such a text from others.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as raw:
        charset = _charset(raw.read(HEAD))
    return cast("TextIO", opener(path, "rt", encoding=charset, errors="surrogateescape", newline="\n"))


MARKS = {BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16", BOM_UTF8: "utf-8-sig"}
"""With what a dump begins that PowerShell has written: its `>` writes UTF-16."""


def _charset(head: bytes) -> str:
    marked = next((charset for mark, charset in MARKS.items() if head.startswith(mark)), "")
    named = re.search(rb"SET NAMES '?(\w+)", head)
    return marked or (CHARSETS.get(named[1].decode().lower(), "utf-8") if named else "utf-8")


def is_text(text: str) -> bool:
    """Whether all bytes of it were characters."""
    return text.isascii() or _BROKEN.search(text) is None


_BROKEN = re.compile("[\ud800-\udfff]")


# ── statements ───────────────────────────────────────────────────────────────────────────────────

_NEXT = re.compile(r"['\"`;#]|--(?=\s|$)|/\*")
"""Whatever does not stand for itself outside of quotes and comments."""

_ENDS = {
    "'": re.compile(r"\\.|''|'", re.DOTALL),
    '"': re.compile(r'\\.|""|"', re.DOTALL),
    "`": re.compile(r"``|`"),
    "/*": re.compile(r"\*/"),
}
"""What may end a quote or comment, and what looks like it and does not."""


@dataclass
class _Reading:
    """A statement as far as it was read; `inside`: of which quote or comment, if of any."""

    parts: list[str] = field(default_factory=list)
    inside: str = ""

    def step(self, line: str, at: int) -> tuple[int, bool]:
        """Read on from there: how far, and whether the statement ended there."""
        return (self._within(line, at), False) if self.inside else self._outside(line, at)

    def _within(self, line: str, at: int) -> int:
        found = _ENDS[self.inside].search(line, at)
        end = found.end() if found else len(line)
        if self.inside != "/*":
            self.parts.append(line[at:end])
        if found and found[0] in (self.inside, "*/"):
            self.inside = ""
        return end

    def _outside(self, line: str, at: int) -> tuple[int, bool]:
        found = _NEXT.search(line, at)
        self.parts.append(line[at : found.start() if found else len(line)])
        if found is None or found[0] in ("#", "--"):
            self.parts.append("\n")
            return len(line), False
        if found[0] in _ENDS:
            self.inside = found[0]
            self.parts.append("" if self.inside == "/*" else self.inside)
        return found.end(), found[0] == ";"


def statements(lines: Iterable[str]) -> Iterator[str]:
    """The statements of a dump without their comments. One that the file breaks off in is not among them."""
    reading = _Reading()
    for line in lines:
        at = 0
        while at < len(line):
            at, ended = reading.step(line, at)
            if ended:
                yield "".join(reading.parts).strip()
                reading = _Reading()
    if reading.inside or "".join(reading.parts).strip():
        raise BadDump("The dump ends in the middle of a statement: it is not whole.")


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────

_NAME = r"(?:`[^`]+`|\w+)"
_TABLE = rf"(?:{_NAME}\s*\.\s*)?({_NAME})"
_CREATE = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}\s*\(", re.IGNORECASE)
_COLUMN = re.compile(
    r"^\s*(?:`([^`]+)`|(?!(?:PRIMARY|KEY|UNIQUE|INDEX|CONSTRAINT|FULLTEXT|SPATIAL|CHECK)\b)(\w+))\s+([A-Za-z]+)",
    re.IGNORECASE | re.MULTILINE,
)
_INSERT = re.compile(
    rf"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*(?:INTO\s+)?{_TABLE}\s*"
    r"(?:\(([^()]*)\)\s*)?VALUES?\s*",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\s*(?:(?P<null>NULL)\b|(?P<true>TRUE)\b|(?P<false>FALSE)\b"
    r"|(?:0x|x')(?P<hex>[0-9a-f]*)'?|(?:0b|b')(?P<bits>[01]*)'?"
    r"|(?P<number>[-+]?[0-9.]+(?:e[-+]?\d+)?)"
    r"|(?:_\w+\s*|n)?(?:'(?P<single>[^'\\]*(?:(?:\\.|'')[^'\\]*)*)'|\"(?P<double>[^\"\\]*(?:(?:\\.|\"\")[^\"\\]*)*)\"))"
    r"\s*(?P<after>[,)])",
    re.IGNORECASE | re.DOTALL,
)
_BETWEEN = re.compile(r"\s*(,\s*)?\(")

Columns: TypeAlias = "Mapping[str, str]"
"""The columns of a table, in their order: name -> type, in lower case."""


def rows(lines: Iterable[str], tables: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Each row of these tables. Raises BadDump."""
    known: dict[str, Columns] = {}
    for statement in statements(lines):
        if made := _CREATE.match(statement):
            known[_name(made[1])] = {a or b: kind.lower() for a, b, kind in _COLUMN.findall(statement, made.end())}
        elif (found := _INSERT.match(statement)) and _name(found[1]) in tables:
            table = _name(found[1])
            columns = _columns(table, found[2], known.get(table, {}))
            yield from ((table, row) for row in _inserted(statement, found.end(), columns))


def _name(written: str) -> str:
    return written.strip().strip("`")


def _columns(table: str, listed: str | None, known: Columns) -> Columns:
    """The columns of an INSERT: those that it lists, or all of the table."""
    names = [_name(name) for name in listed.split(",")] if listed else list(known)
    if not names:
        raise BadDump(f"The dump does not say what the columns of {table} are: it needs its CREATE TABLE.")
    return {name: known.get(name, "") for name in names}


def _inserted(statement: str, at: int, columns: Columns) -> Iterator[Row]:
    """The rows of an INSERT whose values begin there."""
    while begins := _BETWEEN.match(statement, at):
        values, at = _values(statement, begins.end())
        if len(values) != len(columns):
            raise BadDump(f"A row has {len(values)} values for {len(columns)} columns: {statement[:80]} ...")
        typed = zip(columns.items(), values, strict=True)
        yield {name: _moment(value) if kind == "timestamp" else value for (name, kind), value in typed}
    if statement[at:].strip() and not re.match(r"\s*(ON\s+DUPLICATE|AS\s)", statement[at:], re.IGNORECASE):
        raise BadDump(f"What follows the values is not understood: {statement[at : at + 80]} ...")


def _values(statement: str, at: int) -> tuple[list[Value], int]:
    """The values up to the closing bracket, and where that is behind one."""
    values: list[Value] = []
    while found := _VALUE.match(statement, at):
        try:
            values.append(_value(found))
        except ValueError as error:  # a number that is none
            raise BadDump(f"A value is not understood: {found[0][:80]} ...") from error
        at = found.end()
        if found["after"] == ")":
            return values, at
    raise BadDump(f"A value is not understood: {statement[at : at + 80]} ...")


def _value(found: re.Match[str]) -> Value:
    kind, text = next((name, text) for name, text in found.groupdict().items() if text is not None)
    if kind == "hex":
        return bytes.fromhex(text if len(text) % 2 == 0 else f"0{text}")
    if kind in ("single", "double"):
        return _unescaped(text, "'" if kind == "single" else '"')
    if kind in _WORDS:
        return _WORDS[kind]
    return int(text or "0", 2) if kind == "bits" else _number(text)


_WORDS: Mapping[str, Value] = {"null": None, "true": 1, "false": 0}


def _number(text: str) -> Value:
    return float(text) if any(sign in text for sign in ".eE") else int(text)


_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


def _unescaped(text: str, quote: str) -> str:
    """The text that was meant (MySQL: string literals)."""
    if "\\" not in text and quote not in text:
        return text
    halves = re.split(r"(\\.)", text, flags=re.DOTALL)
    plain = (half.replace(quote * 2, quote) for half in halves[::2])
    meant = [_ESCAPES.get(it[1], it[1]) for it in halves[1::2]]
    return "".join(one + other for one, other in zip(plain, [*meant, ""], strict=True))


def _moment(value: Value) -> Value:
    """A TIMESTAMP with the zone that it was written in."""
    return f"{value}{UTC}" if isinstance(value, str) else value
