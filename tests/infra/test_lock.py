"""What is installed: pinned, with the hashes of its files, the same version everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra import chalice_cli, lock
from infra.environments import ROOT

HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


@pytest.mark.parametrize("name", lock.FILES)
def test_every_pin_has_its_hashes(name: str) -> None:
    """Each line is a comment, another file, a pin, or a hash of the pin above it; no pin is without."""
    path = ROOT / name
    lines = [it for it in path.read_text().splitlines() if it and not it.startswith(("#", "-r "))]
    pins = [number for number, line in enumerate(lines) if re.fullmatch(r"[a-z\d][a-z\d.\-]*==[\w.+!]+ \\", line)]
    assert all(HASH.fullmatch(lines[number + 1]) for number in pins)
    assert {number for number, line in enumerate(lines) if not HASH.fullmatch(line)} == set(pins)
    assert len(pins) == len(lock.pins(path)) == len(set(lock.pins(path)))


def test_every_list_of_requirements_is_among_them() -> None:
    kept = {".venv", ".envs", "build"}
    found = {it.relative_to(ROOT) for it in ROOT.rglob("requirements*.txt") if not kept & set(it.parts)}
    assert found == {Path(name) for name in lock.FILES}


def test_the_local_run_has_the_versions_of_the_tests() -> None:
    assert set(lock.pins(ROOT / "requirements-local.txt")) < set(lock.pins(ROOT / "requirements-dev.txt"))


def test_pip_installs_nothing_without_its_hash() -> None:
    makefile, environments = ROOT / "Makefile", ROOT / "infra" / "environments.py"
    installs = re.findall(r"^PIP := .*$|^.*pip.* install .*$", makefile.read_text(), re.MULTILINE)
    assert [it for it in installs if "--require-hashes" not in it] == []
    assert '"install", "--require-hashes"' in environments.read_text()


LINES = r"""one==1 \
    --hash=sha256:a
two-parts==1.2 \
    --hash=sha256:b \
    --hash=sha256:c
three==12 \
    --hash=sha256:d
"""


def test_chalice_downloads_one_package_by_its_hashes(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    asked = chalice_cli.hashed(["--no-deps", "--dest", "d", "Two_Parts==1.2"], LINES, file)
    assert asked == ["--no-deps", "--dest", "d", "--require-hashes", "-r", str(file)]
    assert file.read_text() == "two-parts==1.2 \\\n    --hash=sha256:b \\\n    --hash=sha256:c"


@pytest.mark.parametrize("unknown", ["three==1", "two==1.2", "four==4"])
def test_chalice_downloads_nothing_that_is_not_pinned(tmp_path: Path, unknown: str) -> None:
    with pytest.raises(LookupError, match=unknown):
        chalice_cli.hashed(["--dest", "d", unknown], LINES, tmp_path / "one.txt")


def test_all_requirements_at_once_have_their_hashes_already(tmp_path: Path) -> None:
    asked = ["-r", "requirements.txt", "--dest", "d"]
    assert chalice_cli.hashed(asked, LINES, tmp_path / "one.txt") == asked
