"""Write the hashes of every published file of each pin: `python -m infra.lock`, where `uv` is installed.

To change a version, change it in the file, and run this: pip refuses what has none of the hashes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.environments import ROOT

FILES = (
    "requirements.txt",
    "requirements-local.txt",
    "requirements-dev.txt",
    "infra/requirements-package.txt",
    "tests/requirements-localstack.txt",
    "tests/requirements-ministack.txt",
)

PIN = re.compile(r"[\w.\-\[\]]+==[^\s\\;]+")


def main() -> int:
    """Rewrite all files. The exit code is 1 without `uv`."""
    uv = shutil.which("uv")
    if uv is None:
        print("uv is not installed: https://docs.astral.sh/uv/ (pip install uv)", file=sys.stderr)
        return 1
    for name in FILES:
        path = ROOT / name
        kept = [line for line in path.read_text().splitlines() if line.startswith(("#", "-r "))]
        path.write_text("\n".join([*kept, *_hashed(uv, pins(path))]) + "\n")
    return 0


def pins(path: Path) -> list[str]:
    """Each `name==version` of a file, without those of files that it includes."""
    return [found[0] for line in path.read_text().splitlines() if (found := PIN.match(line))]


def _hashed(uv: str, pinned: list[str]) -> Iterator[str]:
    """The lines of the pins, each followed by its hashes. No address of a registry is among them."""
    how = ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"]
    asked = subprocess.run(  # noqa: S603
        [uv, "pip", "compile", "--quiet", *how, "-"],
        input="\n".join(pinned),
        capture_output=True,
        text=True,
        check=True,
    )
    yield from asked.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
