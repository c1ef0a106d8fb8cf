"""The page that describes the command line, made of the commands: `python -m kkbida.cli.manual > docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from kkbida.cli.app import SECTIONS
from kkbida.cli.base import COMMON, Command
from kkbida.cli.ending import EXITS
from kkbida.cli.profiles import VARIABLES

BEGINNING = """\
# The command line

Written by `python -m kkbida.cli.manual` from the commands; a test fails when it is out of date.

```sh
pip install 'kkbida[cli]'
```

A profile says where kkbida is and who asks there. Operators log in, which the profile remembers; a caller's key may
stand beside it. Submitting is done by the caller if there is one, all else by the operator if one is logged in.

```sh
kkbida profiles add default --url https://kkbida.example
kkbida login
kkbida list --status exhausted --since 1d
```

With a local run (`make run`) there is nothing to set up:

```sh
kkbida --local submit http://127.0.0.1:8001/fail/2 -d '{"order": 42}' --wait
```

## For scripts

`--json` prints one JSON document, or for lists a JSON line for each of many, as [the API](reference.md) shows them; it
gains members in later versions, and loses none. Results go to standard output; progress, questions and failures to
standard error. Passwords and secrets are read from standard input where that is no terminal.

| exit code | when |
| --- | --- |
"""

OPTIONS = """
## Options of every command

They may also stand before the command.

"""

PROFILES = """
Profiles are in `~/.config/kkbida/profiles.ini`, which only you may read (mode 600; `kkbida` refuses it otherwise). A
URL that is given by `--url` or `KKBIDA_URL` and is not the profile's own is asked without the profile's key and
session, so that nobody's rights go where they do not belong.

| variable | meaning |
| --- | --- |
"""


def manual() -> str:
    """The whole page."""
    return "\n".join([BEGINNING + "\n".join(_exits()), OPTIONS + "\n".join(_options(COMMON)), *_rest()]) + "\n"


def _rest() -> Iterator[str]:
    yield PROFILES + "\n".join(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    for title, commands in SECTIONS.items():
        yield f"\n## {title}"
        for command in commands:
            yield from _described(command, f"kkbida {command.name}")


def _exits() -> Iterator[str]:
    return (f"| {int(code)} | {told} |" for code, told in EXITS.items())


def _described(command: click.Command, path: str) -> Iterator[str]:
    """A command and those below it."""
    if isinstance(command, click.Group):
        yield f"\n### `{path}`\n\n{_help(command)}"
        for name in command.list_commands(click.Context(command)):
            yield from _described(command.commands[name], f"{path} {name}")
        return
    assert isinstance(command, Command), "the house has no others"
    level = "####" if path.count(" ") > 1 else "###"
    yield f"\n{level} `{_usage(command, path)}`\n\n{_help(command)}"
    own = [it for it in command.params if isinstance(it, click.Option) and it.name not in _COMMON_NAMES]
    yield from ("", *_options(own)) if own else ()
    yield "\n```sh\n" + "\n".join(command.examples) + "\n```"


_COMMON_NAMES = frozenset(it.name for it in COMMON)


def _help(command: click.Command) -> str:
    return " ".join((command.help or "").split())


def _usage(command: click.Command, path: str) -> str:
    context = click.Context(command)
    arguments = [it.make_metavar(context) for it in command.params if isinstance(it, click.Argument)]
    return " ".join([path, *arguments])


def _options(parameters: Sequence[click.Parameter]) -> Iterator[str]:
    yield "| option | meaning |\n| --- | --- |"
    for option in parameters:
        record = option.get_help_record(click.Context(click.Command("kkbida")))
        if record is not None:
            names, meaning = record
            yield f"| `{names.replace('|', chr(92) + '|')}` | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(manual())
