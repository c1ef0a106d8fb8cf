"""`kkbida import-mysql`: what the predecessor has in MySQL comes over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import timezone
from pathlib import Path
from typing import Any

import click

from kkbida import mysql
from kkbida.cli import say
from kkbida.cli.base import Command, Here, pass_here
from kkbida.cli.ending import Exit, Failure
from kkbida.cli.words import counted
from kkbida.dump import Row
from kkbida.mysql import Report, Stage

PASSWORD = "MYSQL_PWD"  # noqa: S105 - it is the name of a variable
"""The variable of the password, as MySQL's own programs have it."""


class Zone(click.ParamType):  # type: ignore[type-arg]  # older versions of click have none
    """A time zone as `+08:00`."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timezone:
        """The zone. Fails when it is none."""
        try:
            return value if isinstance(value, timezone) else mysql.zone_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    "import-mysql",
    cls=Command,
    examples="""
    kkbida import-mysql callcenterdb.sql --dry-run
    kkbida import-mysql callcenterdb.sql.gz --report report.json
    kkbida import-mysql mysql://kkbida@db.example:3306/callcenterdb
    """,
)
@click.argument("source", metavar="DUMP|URL")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would become of everything.")
@click.option(
    *("--timezone", "zone"),
    type=Zone(),
    default="+08:00",
    show_default=True,
    metavar="ZONE",
    help="Of the computer that the predecessor ran on: its moments are written without one.",
)
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the report there, as JSON."
)
@pass_here
def import_mysql(here: Here, source: str, dry_run: bool, zone: timezone, report: Path | None) -> None:
    """Bring over the predecessor's tasks, their attempts and its webhooks: from a dump, or from its server.

    Unfinished tasks go on with the tries that they have left, so stop the predecessor first. Running it again brings
    nothing twice. The password of a server is read from MYSQL_PWD.
    """
    client = here.client()
    if report is not None:
        report.open("a").close()  # before anything is brought: it could not be reported
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        bar.advance(carrying)

    try:
        with say.progress() as bar:
            reading = bar.add_task("rows read", total=None)
            stage = _staged(_rows(source), zone, lambda: bar.advance(reading))
            carrying = bar.add_task("checked" if dry_run else "carried over", total=stage.things)
            found = mysql.bring(client, stage, dry_run=dry_run, progress=count)
    except BaseException:
        with suppress(OSError):
            say.note(f"{counted(done, 'row')} {'were checked' if dry_run else 'were dealt with'} before. {AGAIN}")
        raise
    if report is not None:
        report.write_text(say.json_text(found.as_json(), indent=2) + "\n", encoding="utf-8")
    _tell(here, found)


AGAIN = "Run it again: nothing is brought twice."


def _rows(source: str) -> Iterator[tuple[str, Row]]:
    if source.startswith("mysql:"):
        return mysql.from_server(source, os.environ.get(PASSWORD, ""))
    if not Path(source).is_file():
        raise Failure(f"There is no file {source}. A server looks like mysql://user@host:3306/database.", Exit.USAGE)
    return mysql.from_dump(Path(source))


def _staged(rows: Iterator[tuple[str, Row]], zone: timezone, progress: Any) -> Stage:
    stage = Stage(rows, zone, progress)
    if not stage.things:
        raise Failure(f"There is nothing of {', '.join(mysql.TABLES)} in it.", Exit.USAGE)
    return stage


def _tell(here: Here, found: Report) -> None:
    """The report: a document, or tables."""
    here.voice.one(found.as_json())
    if not here.as_json:
        say.listing(_counts(found), empty="")
        say.listing(found.entries, empty="Nothing was left behind, and nothing is to be said of it.")
    if found.dry_run:
        say.note("This was a dry run: nothing was changed.")
    if found.refused:
        raise Failure(
            f"{counted(found.refused, 'row')} {'would' if found.dry_run else 'did'} not come over.", Exit.FAILED
        )


def _counts(found: Report) -> list[say.Row]:
    rows: list[say.Row] = [{"what": table, "outcome": "read", "rows": n} for table, n in sorted(found.read.items())]
    rows += [{"what": "tasks", "outcome": outcome, "rows": n} for outcome, n in sorted(found.tasks.items())]
    return rows + [{"what": "channels", "outcome": outcome, "rows": n} for outcome, n in sorted(found.channels.items())]
