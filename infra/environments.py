"""Tools that cannot share our own virtual environment get one each, under `.envs/`, made on first use.

Emulators pin their own botocore, and the SAM translator its own pydantic: beside ours they would fight.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".envs"

STDERR = 2
"""Where the output of tools goes: stdout belongs to whoever called."""


def python_with(requirements: Path) -> Path:
    """The interpreter of a virtual environment that holds what `requirements` pins.

    The first call makes it, which takes minutes for a large one; later ones cost nothing until the file
    changes: then there is another one beside it, which does not disturb those who run the first.
    Processes that ask at the same time wait for the one that makes it.
    Raises CalledProcessError when pip fails; its complaint has gone to stderr.
    """
    home = ENVIRONMENTS / f"{requirements.stem.removeprefix('requirements-')}-{_fingerprint(requirements)}"
    stamp = home / "stamp"
    with locked(home.with_suffix(".lock")):
        if not stamp.is_file():
            _make(home, requirements)
            stamp.touch()
    return home / "bin" / "python"


def _make(home: Path, requirements: Path) -> None:
    print(f"Installing {requirements.name} into {home} (once; it may take minutes) ...", file=sys.stderr, flush=True)
    venv.create(home, clear=True, with_pip=True)
    pip: list[str | Path] = [home / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--require-hashes", "-r", requirements], check=True, stdout=STDERR)  # noqa: S603


def _fingerprint(requirements: Path) -> str:
    return hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with what `path` stands for, among all processes of this computer."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
