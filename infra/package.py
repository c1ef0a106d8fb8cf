"""`python -m infra.package [--out build/package]`: what is deployed, built, made small, and checked.

    deployment.zip     the functions' code
    template.json      for `aws cloudformation package` and `deploy`
    translated.json    what CloudFormation will make of it; only to be looked at

Chalice builds; this takes out what never runs, adds byte code, and refuses a package that cfn-lint or
our own invariants (`infra/invariants.py`) find wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.environments import ROOT, STDERR, locked, python_with
from infra.invariants import broken

STAGE = "prod"
REQUIREMENTS = Path(__file__).with_name("requirements-package.txt")
TRANSLATE = Path(__file__).with_name("translate.py")

SERVICES = frozenset({"dynamodb", "sesv2", "sqs", "ssm"})
"""The AWS services that the functions call. botocore's descriptions of the other 400 are left out."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the zip, so that the same code makes the same bytes."""


def main() -> int:
    """Build and check; the exit code is 1 when anything was found."""
    arguments = argparse.ArgumentParser(prog="python -m infra.package", description="Build and check what is deployed.")
    arguments.add_argument("--out", type=Path, default=ROOT / "build" / "package", help="folder to build into")
    out = arguments.parse_args().out.resolve()
    before, after = build(out)
    translated = translate(out)
    found = [*lint(out), *broken(translated)]
    print(f"zip: {after:,} bytes (Chalice made {before:,})")
    print(f"resources: {len(translated['Resources'])}")
    print(f"findings: {len(found)}", *found, sep="\n  ")
    return 1 if found else 0


# ── building ─────────────────────────────────────────────────────────────────────────────────────


def build(out: Path) -> tuple[int, int]:
    """Package into the folder `out`. Returns the bytes of the zip as Chalice made it, and as it is now."""
    shutil.rmtree(out, ignore_errors=True)
    with locked(ROOT / ".envs" / "chalice.lock"):  # Chalice keeps its own cache beside app.py
        _chalice(out)
    archive = out / "deployment.zip"
    before = archive.stat().st_size
    slim(archive)
    merged = out / "sam.yaml"
    template = asking_for_keys(yaml.safe_load(merged.read_text()))
    (out / "template.json").write_text(json.dumps(template, indent=1, sort_keys=True))
    merged.unlink()
    return before, archive.stat().st_size


def _chalice(out: Path) -> None:
    command = ["package", "--stage", STAGE, "--merge-template", "infra/template.yaml", "--template-format", "yaml"]
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "infra.chalice_cli", *command, str(out)],
        cwd=ROOT,
        env=_environment(),
        check=True,
        stdout=STDERR,
    )


def _environment() -> dict[str, str]:
    """Ours, with a region: Chalice and the translator ask for one; the template holds for every one."""
    return {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}


OPEN = ("/v1/health", "/openapi.json")
"""Paths that nobody needs a key for."""


def asking_for_keys(template: dict[str, Any]) -> dict[str, Any]:
    """The template with routes that ask for an API key where the parameter says so; Chalice knows always and never."""
    asked = {"Fn::If": ["AsksForApiKeys", [{"api_key": []}], {"Ref": "AWS::NoValue"}]}
    for path, operations in template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].items():
        for operation in operations.values() if path not in OPEN else ():
            operation["security"] = asked
    return template


def slim(archive: Path) -> None:
    """Rewrite the zip: without what never runs, with byte code, the same bytes for the same content.

    Lambda's disk is read-only, so a zip without byte code is compiled at every cold start.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as old:
            old.extractall(folder, [name for name in old.namelist() if _runs(Path(name))])
        _compile(folder)
        _zip(Path(folder), archive)


def _runs(path: Path) -> bool:
    """Whether a file of the zip is of use to the functions."""
    match path.parts:
        case ["botocore", "data", service, _, *_]:
            return service in SERVICES
        case ["boto3", "data" | "examples", *_] | [_, "tests", *_]:
            return False
        case [folder, *inside] if folder.endswith((".dist-info", ".data")):
            return folder.endswith(".dist-info") and inside != ["RECORD"]
    return not path.name.endswith((".pyi", ".pyc"))


def _compile(folder: str) -> None:
    """Byte code that is never compared with its source, whose date the zip does not keep.

    A process of its own does it, because byte code depends a little on what its process has done before.
    """
    how = ["-q", "--invalidation-mode", "unchecked-hash", "-s", folder, "-p", "/var/task"]
    subprocess.run([sys.executable, "-m", "compileall", *how, folder], check=True, stdout=STDERR)  # noqa: S603


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), LONG_AGO)
            entry.external_attr = 0o755 << 16  # readable for Lambda's user
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, file.read_bytes())


# ── checking ─────────────────────────────────────────────────────────────────────────────────────


def translate(out: Path) -> Mapping[str, Any]:
    """What CloudFormation makes of `template.json`, also kept as `translated.json`. Exits when it cannot be made."""
    template = json.loads((out / "template.json").read_text())
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://bucket/key"  # what `aws cloudformation package` would put there
    command = [str(python_with(REQUIREMENTS)), str(TRANSLATE)]
    result = subprocess.run(  # noqa: S603
        command, input=json.dumps(template), env=_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        sys.exit("The SAM translator refuses the template.")
    (out / "translated.json").write_text(result.stdout)
    translated: Mapping[str, Any] = json.loads(result.stdout)
    return translated


def lint(out: Path) -> list[str]:
    """What cfn-lint finds in `translated.json`. On the SAM template itself it lets misspelt properties pass."""
    cfn_lint = python_with(REQUIREMENTS).with_name("cfn-lint")
    command = [str(cfn_lint), "--format", "parseable", str(out / "translated.json")]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    found = result.stdout.splitlines()
    if result.returncode and not found:
        sys.exit("cfn-lint does not run.")
    return found


if __name__ == "__main__":
    sys.exit(main())
