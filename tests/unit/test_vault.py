"""The master key is made once, kept where nobody else reads it, and the same ever after; on disk and on AWS."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from chalicelib.errors import SettingsError
from chalicelib.parameters import ParameterVault
from chalicelib.ports import Vault
from chalicelib.settings import load
from chalicelib.vault import FileVault, MemoryVault
from tests.contract.samples import at_once


@pytest.fixture(params=["file", "memory", "parameter"])
def vault(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    if request.param == "parameter":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with mock_aws():
            yield ParameterVault(load({}))
    else:
        yield FileVault(tmp_path / "master.key") if request.param == "file" else MemoryVault()


def test_there_is_no_master_key_before_it_is_made(vault: Vault) -> None:
    assert vault.read() is None


def test_a_master_key_is_made_once(vault: Vault) -> None:
    vault.make()
    first = vault.read()
    assert first is not None
    assert len(first) == 32
    vault.make()
    assert vault.read() == first


def test_of_many_who_make_it_at_once_all_have_the_same(tmp_path: Path) -> None:
    def make(_: int) -> bytes | None:
        vault = FileVault(tmp_path / "master.key")
        vault.make()
        return vault.read()

    assert len(set(at_once(8, make))) == 1
    assert [it.name for it in tmp_path.iterdir()] == ["master.key"]


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    FileVault(tmp_path / "master.key").make()
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("something else")
    with pytest.raises(SettingsError, match=r"master\.key holds no master key"):
        FileVault(tmp_path / "master.key").read()


def test_on_aws_it_is_encrypted_under_the_name_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        vault = ParameterVault(load({"KKBIDA_MASTER_KEY_PARAMETER": "/stack/master-key"}))
        vault.make()
        found = vault._ssm.get_parameter(Name="/stack/master-key")["Parameter"]
    assert found["Type"] == "SecureString"
    assert len(found["Value"]) > 44, "not the key itself"
