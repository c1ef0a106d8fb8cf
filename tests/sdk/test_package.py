"""What the SDK gives away, and that it needs nothing else: its wheel in an empty environment, against a local run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
import venv
import zipfile
from pathlib import Path

import pytest

import chalicelib
import kkbida
from tests.local.conftest import Run

SDK = Path(__file__).parents[2] / "sdk"


def test_what_is_exported_is_there_and_nothing_else_is_public() -> None:
    public = {
        name
        for name, it in vars(kkbida).items()
        if not name.startswith("_") and not isinstance(it, types.ModuleType) and name != "annotations"
    }
    assert public | {"__version__"} == set(kkbida.__all__)
    assert sorted(kkbida.__all__) == sorted(set(kkbida.__all__))


def test_the_sdk_has_the_version_of_the_product() -> None:
    assert kkbida.__version__ == chalicelib.__version__


def test_the_licence_in_the_package_is_that_of_the_project() -> None:
    assert (SDK / "LICENSE").read_bytes() == (SDK.parent / "LICENSE").read_bytes()


def test_importing_it_brings_in_none_of_the_extras() -> None:
    code = "import kkbida, sys; print([it for it in ('httpx', 'boto3', 'click', 'rich') if it in sys.modules])"
    assert printed([sys.executable, "-c", code], PYTHONPATH=str(SDK / "src")) == "[]\n"


def printed(command: list[str], **variables: str) -> str:
    """What a command prints. Raises when it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KKBIDA_", "PYTHON"))}
    done = subprocess.run(command, env={**clean, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    printed([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(SDK)])
    [built] = folder.glob("kkbida-*.whl")
    return built


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has the wheel and what it needs, and no more."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    printed([*pip, "install", "--no-compile", str(wheel)])
    return folder / "bin"


def test_the_wheel_holds_the_package_its_types_and_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"kkbida/__init__.py", "kkbida/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"kkbida", f"kkbida-{kkbida.__version__}.dist-info"}


PROGRAM = """
import sys
from kkbida import Client, Task
api, url, *key = sys.argv[1:]
with Client(api, *key) as client:
    print(client.wait(client.call(Task(url)), timeout=30).status)
"""


def test_installed_from_its_wheel_into_an_empty_environment_it_hands_over_a_task(
    empty: Path, run: Run, key: tuple[str, str]
) -> None:
    python = str(empty / "python")
    assert printed([python, "-c", PROGRAM, run.access["api"], run.access["receiver"] + "/ok", *key]) == "delivered\n"
    listed = "import importlib.metadata as m, json; print(json.dumps([d.name.lower() for d in m.distributions()]))"
    assert set(json.loads(printed([python, "-c", listed]))) == {
        *("kkbida", "requests", "urllib3", "idna", "certifi", "charset-normalizer")
    }
