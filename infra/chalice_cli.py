"""Chalice's command line, whose pip downloads only files with the hashes of requirements.txt.

Chalice calls `pip download -r requirements.txt`, which checks them. Then it calls `pip download ... name==version` for
each package that has no file for Lambda's system among those; that does not.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chalice.cli import main
from chalice.deploy.packager import PipRunner

from infra.environments import ROOT

REQUIREMENTS = ROOT / "requirements.txt"


def hashed(arguments: Sequence[str], lines: str, file: Path) -> list[str]:
    """The arguments of `pip download` for the same, where a single package comes with its hashes, by way of the file.

    Raises LookupError for a package that is not pinned.
    """
    *before, last = arguments
    if "-r" in arguments or "==" not in last:
        return [*arguments]
    name, _, version = last.partition("==")
    found = next((it for it in _entries(lines) if _is(it, name, version)), None)
    if found is None:
        raise LookupError(f"{last} is not in {REQUIREMENTS.name}.")
    file.write_text(found)
    return [*before, "--require-hashes", "-r", str(file)]


def _entries(lines: str) -> Iterator[str]:
    """Each pin with its hashes."""
    return (it[0] for it in re.finditer(r"^[\w.\-]+==(?:.*\\\n)*.*$", lines, re.MULTILINE))


def _is(entry: str, name: str, version: str) -> bool:
    """Whether the entry is of that package; names are compared as PEP 503 has it."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return bool(re.match(rf"{re.escape(plain)}=={re.escape(version)}(?=[\s\\])", entry))


def _hashed_runner() -> None:
    execute: Any = PipRunner._execute  # noqa: SLF001 - there is no other place between Chalice and pip

    def with_hashes(self: PipRunner, command: str, args: list[str], *more: Any, **named: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            asked = hashed(args, REQUIREMENTS.read_text(), Path(folder) / "one.txt") if command == "download" else args
            return execute(self, command, asked, *more, **named)

    PipRunner._execute = with_hashes  # type: ignore[method-assign]  # noqa: SLF001 - as above


if __name__ == "__main__":
    _hashed_runner()
    main()
