"""The command line, `kkbida`. It needs the extra `kkbida[cli]`, and says so."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("click", "rich")

USAGE = 2
"""The exit code of what cannot work as it is."""


def main() -> None:
    """Run the command line. Ends the process with one of the exit codes of `kkbida.cli.base.Exit`."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"The command line needs {' and '.join(missing)}: pip install 'kkbida[cli]'", file=sys.stderr)  # noqa: T201
        raise SystemExit(USAGE)
    from kkbida.cli.app import cli  # noqa: PLC0415 - not before it is known to work

    cli(prog_name="kkbida")
