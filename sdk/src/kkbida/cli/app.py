"""The command `kkbida` with all that it can do."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from kkbida.cli import importing, manage, people, tasks
from kkbida.cli.base import COMMON, Group, Here, explained
from kkbida.cli.ending import EXITS, ended, piped
from kkbida.version import __version__

SECTIONS = {
    "Tasks": (
        *(tasks.submit, tasks.show, tasks.list_tasks, tasks.watch, tasks.resend, tasks.cancel, tasks.deliver_now),
        tasks.export,
    ),
    "Operators": (
        *(manage.status, manage.targets, manage.channels, manage.resends, manage.callers, manage.signing_secrets),
        *(manage.operators, manage.audit, importing.import_mysql),
    ),
    "You": (people.login, people.logout, people.whoami, people.password, people.profiles, people.completion),
}
"""All commands, in the order in which help shows them."""


class Root(Group):
    """The command itself, whose help shows its commands by sections, and how it ends."""

    def main(self, *given: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run it, and end the process with one of the exit codes, whatever happens."""
        here = Here()
        run = partial(super().main, *given, standalone_mode=False, obj=here, **more)
        sys.exit(ended(run, partial(explained, here=here)) if standalone_mode else run())

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """As click has it; but a closed pipe is no failure that click knows better than we do."""
        with piped():
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As above."""
        with piped():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """The names of all commands, section by section."""
        return [str(command.name) for commands in SECTIONS.values() for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Each with the first sentence of its help."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(str(command.name), command.get_short_help_str(100)) for command in commands])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), told) for code, told in EXITS.items()])
        super().format_epilog(ctx, formatter)


@click.group(cls=Root, params=list(COMMON), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="%(version)s", help="Say the version, and no more.")
def cli() -> None:
    """Hand over HTTP callbacks that must arrive, and find out what became of them.

    \b
    Where to begin:
      kkbida profiles add default --url https://kkbida.example
      kkbida login
      kkbida list --status exhausted --since 1d

    \b
    With a local run (make run) in this folder:
      kkbida --local submit http://127.0.0.1:8001/fail/2 -d '{"order": 42}' --wait

    `kkbida COMMAND --help` says more of each, with examples.
    """  # noqa: D301 - \b is for click: these lines stay as they are


for command in (command for commands in SECTIONS.values() for command in commands):
    cli.add_command(command)
