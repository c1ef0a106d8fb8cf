"""Apply each fault to a copy of the product, and say what caught it. Exits with 1 when one was not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants import MUTANTS
from tests.mutants.mutants import DYNAMO, ROOT, Mutant

STORIES = 1000
"""Stories in which the simulation may find a fault, before the other tests are asked."""

COPIED = (
    *("app.py", "chalicelib", "infra", "sdk", "console", "tests", "benchmarks", "docs", ".chalice"),
    *("pyproject.toml", "Makefile", "README.md", "requirements.txt", "requirements-dev.txt", "requirements-local.txt"),
)

SIMULATION = ("-m", "tests.simulation", "--seeds", str(STORIES), "--stop")

CONTROL = ("-m", "tests.simulation", "--seeds", "50", "--stop")
"""Stories of the product without any fault."""

PROMISE = r"(?<=^SEED )\d+ BROKE A PROMISE: .*"
TEST = r"(?<=^FAILED )\S+|(?<=^ERROR )\S+"
"""How each says what it found."""

PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")

TESTS = (
    *(*PYTEST, "-m", "not emulator and not localstack and not e2e"),
    *("tests/unit", "tests/api", "tests/contract", "tests/test_story.py", "tests/test_races.py"),
)


def main(words: Sequence[str]) -> int:
    """Try the mutants whose names hold one of the words, or all."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="product-") as folder:
        product = _copy(ROOT, Path(folder))  # as it is now, whoever edits it meanwhile
        if told := _noticed(product, CONTROL, PROMISE):
            print(f"The product itself is broken, so that no mutant would say anything: {told}")
            return 1
        return _try_all(chosen, product)


def _try_all(chosen: Sequence[Mutant], product: Path) -> int:
    survivors = []
    for number, mutant in enumerate(chosen, 1):
        began = time.perf_counter()
        caught = caught_by(mutant, product)
        survivors += [] if caught else [mutant.name]
        told = caught or "NOT CAUGHT"
        print(
            f"{number:>3} of {len(chosen)}  {mutant.name:<58}{told}  ({time.perf_counter() - began:.0f} s)", flush=True
        )
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} were caught")
    return 1 if survivors else 0


def caught_by(mutant: Mutant, product: Path = ROOT) -> str | None:
    """What detected the fault: the test that the mutant names, or else a story or any test; None when nothing did."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = _copy(product, Path(folder))
        file = copy / mutant.file
        file.write_text(mutant.applied(file.read_text()))
        if mutant.test:
            return _noticed(copy, (*PYTEST, mutant.test), TEST)
        by_story = None if mutant.file == DYNAMO else _noticed(copy, SIMULATION, PROMISE)  # stories have no DynamoDB
        return by_story or _noticed(copy, TESTS, TEST)


def _copy(product: Path, folder: Path) -> Path:
    """Copy the product. The emulators are not installed anew for each copy."""
    if (ROOT / ".envs").exists():
        (folder / ".envs").symlink_to(ROOT / ".envs")
    for name in COPIED:
        source = product / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def _noticed(copy: Path, command: Sequence[str], pattern: str) -> str | None:
    """What the command says that it found; None when it found nothing."""
    run = subprocess.run([sys.executable, *command], cwd=copy, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    told = f"{run.stdout}\n{run.stderr}"
    found = re.search(pattern, told, re.MULTILINE)
    return found[0] if found else f"exit {run.returncode}: {told[-200:]!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
