"""The zip and the linter's part of the package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.package import lint, slim, translate
from tests.packaged import package

pytestmark = pytest.mark.timeout(600)  # the first run installs the translator and the linter


@pytest.fixture(scope="session")
def archive() -> Path:
    return package() / "deployment.zip"


def test_the_zip_runs_by_itself(archive: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(archive).extractall(tmp_path)
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        import app, boto3, nacl.bindings, chalicelib.world, chalicelib.api, chalicelib.store, chalicelib.queues
        import chalicelib.delivery.deliver, chalicelib.delivery.reconcile, chalicelib.notify.notify, chalicelib.check
        for service in ("sqs", "dynamodb", "ssm", "sesv2"):
            boto3.client(service, region_name="eu-west-1")
        ours = {it.__file__ for name, it in sys.modules.items() if name.split(".")[0] in ("app", "boto3", "nacl")}
        assert all(file.startswith(sys.argv[1]) for file in ours), ours
    """
    # -S: nothing of our own environment helps out.
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(tmp_path)], check=True)


def test_every_module_has_byte_code_that_is_used_as_it_is(archive: Path) -> None:
    files = zipfile.ZipFile(archive)
    sources = {name for name in files.namelist() if name.endswith(".py")}
    compiled = [name for name in files.namelist() if name.endswith(".pyc")]

    assert len(compiled) == len(sources) > 500
    assert {files.read(name)[4:8] for name in compiled} == {b"\x01\0\0\0"}  # PEP 552: by hash, never checked


def test_only_the_services_that_are_called_are_described(archive: Path) -> None:
    parts = [Path(name).parts for name in zipfile.ZipFile(archive).namelist()]

    assert {part[2] for part in parts if part[:2] == ("botocore", "data") and len(part) > 3} == {
        "dynamodb",
        "sesv2",
        "sqs",
        "ssm",
    }


def test_licences_of_what_is_shipped_stay_with_it(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()

    assert any(name.startswith("requests-") and name.endswith("LICENSE") for name in names)


def test_the_same_code_makes_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    shutil.copy(archive, again)
    slim(again)

    assert again.read_bytes() == archive.read_bytes()


def test_what_the_sam_template_lets_pass_is_found_in_what_it_becomes(tmp_path: Path) -> None:
    template = json.loads((package() / "template.json").read_text())
    resources = template["Resources"]
    resources["TaskQueue"]["Properties"]["VisibilityTimeuot"] = 540
    resources["Deliver"]["Properties"]["Timeout"] = 901
    resources["ExhaustedQueueAge"]["Properties"]["ComparisonOperator"] = "GreaterThan"
    (tmp_path / "template.json").write_text(json.dumps(template))

    translate(tmp_path)
    found = "\n".join(lint(tmp_path))

    assert "VisibilityTimeuot" in found
    assert "901" in found
    assert "'GreaterThan' is not one of" in found


def test_a_function_of_the_api_that_waits_for_the_distribution_would_wait_for_itself(tmp_path: Path) -> None:
    """Why only Tell is given the console's address: the linter sees the circle."""
    template = json.loads((package() / "template.json").read_text())
    resources = template["Resources"]
    address = resources["Tell"]["Properties"]["Environment"]["Variables"]["KKBIDA_CONSOLE_URL"]
    resources["APIHandler"]["Properties"].setdefault("Environment", {})["Variables"] = {"KKBIDA_CONSOLE_URL": address}
    (tmp_path / "template.json").write_text(json.dumps(template))

    translate(tmp_path)

    assert "Circular Dependencies" in "\n".join(lint(tmp_path))


def test_the_linter_finds_nothing_in_the_package() -> None:
    assert lint(package()) == []
