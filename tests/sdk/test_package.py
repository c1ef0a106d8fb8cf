"""What the SDK gives away, and that it needs nothing else: its wheel in an empty environment, against a local run."""

from __future__ import annotations

import json
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

import chalicelib
import kkbida
from tests.local.conftest import Run
from tests.sdk.conftest import SDK, installed, printed


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
    code = (
        "import kkbida, sys; print([it for it in ('httpx', 'boto3', 'click', 'rich', 'asyncio') if it in sys.modules])"
    )
    assert printed([sys.executable, "-c", code], PYTHONPATH=str(SDK / "src")) == "[]\n"


def test_the_wheel_holds_the_package_its_types_and_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"kkbida/__init__.py", "kkbida/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"kkbida", f"kkbida-{kkbida.__version__}.dist-info"}


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(str(wheel), tmp_path_factory.mktemp("empty"))


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


def test_without_its_extra_the_command_line_says_what_to_install(empty: Path) -> None:
    done = subprocess.run([str(empty / "kkbida"), "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The command line needs click and rich: pip install 'kkbida[cli]'\n"
