"""The examples of the SDK's README do what they say, one after another, against a real local run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import kkbida
from tests.local.conftest import Run

README = Path(__file__).parents[2] / "sdk" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def here(block: str, run: Run, key: tuple[str, str]) -> str:
    """The example, with the addresses and a key of the local run in the place of those of the page."""
    ours = block.replace("https://kkbida.example", run.access["api"]).replace("key_...", key[0])
    ours = ours.replace("kks_...", key[1])
    return ours.replace("https://partner.example/callback", run.access["receiver"] + "/ok")


def test_the_examples_run(
    run: Run, key: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(here(block, run, key), names)
    said = capsys.readouterr().out
    assert said.count("\n") > 250, "a line for each of the batch"
    assert "('/url', 'must begin with http:// or https://')" in said
    assert "delivered\n" in said
    assert names["task"].status == kkbida.Status.DELIVERED


def test_every_kind_of_error_is_told_of() -> None:
    errors = {name for name in kkbida.__all__ if issubclass(type(it := getattr(kkbida, name)), type) and is_error(it)}
    assert {name for name in errors if f"`{name}`" not in README.read_text()} == set()


def is_error(kind: type) -> bool:
    return issubclass(kind, kkbida.KkbidaError)
