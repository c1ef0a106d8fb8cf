"""The command about master keys, on the file of one server."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from chalicelib import smtp
from chalicelib.embedded import open_embedded
from chalicelib.sealing import Sealer, key_id
from chalicelib.settings import load
from chalicelib.vault import FileVault
from infra import keys
from tests.contract.backends import FakeClock
from tests.contract.samples import audit, channel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store, _ = open_embedded(str(tmp_path / "kkbida.db"), load({}), FakeClock(), FileVault(tmp_path / "master.key"))
    store.save_channel(channel(), audit("team"))
    store.close()
    return tmp_path


def run(folder: Path, *arguments: str) -> None:
    keys.main(arguments, {"DATA": str(folder)})


def key_ids(folder: Path) -> list[str]:
    return [key_id(it) for it in FileVault(folder / "master.key").read_all()]


def test_a_key_is_changed_in_two_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [old] = key_ids(folder)
    run(folder, "rotate")
    new, behind = key_ids(folder)
    assert behind == old
    assert (folder / "master.key").stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    run(folder, "status")
    assert capsys.readouterr().out == f"{new}: channel team\n{old}: nothing needs it\n"
    run(folder, "drop")
    assert key_ids(folder) == [new]
    assert sorted(it.name for it in folder.glob("master.key*")) == ["master.key"]


def test_a_key_that_is_in_use_is_not_dropped(folder: Path) -> None:
    [old] = key_ids(folder)
    vault = FileVault(folder / "master.key")
    vault.replace(vault.read_all(), (b"n" * 32, *vault.read_all()))
    store, _ = open_embedded(str(folder / "kkbida.db"), load({}), FakeClock(), vault, reseals=False)
    with pytest.raises(SystemExit, match=f"Key {old} is still needed by channel team"):
        keys._drop(store, vault)
    store.close()
    assert old in key_ids(folder)


def test_a_password_is_encrypted_for_the_setting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    run(folder, "seal")
    sealed = capsys.readouterr().out.strip()
    assert "hunter2" not in sealed
    assert load({"KKBIDA_SMTP_PASSWORD": sealed}).smtp_password == sealed
    assert Sealer(FileVault(folder / "master.key")).open(sealed, smtp.OWNER) == "hunter2"


def test_a_lost_key_is_said_in_one_sentence_and_its_channels_can_be_removed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [lost] = key_ids(folder)
    (folder / "master.key").unlink()
    with pytest.raises(SystemExit, match=rf"^Master key {lost} is missing in .*: the channel team .* Put that"):
        run(folder, "status")
    run(folder, "forget")
    assert capsys.readouterr().out == "1 channels were removed, whose key is lost.\n"
    run(folder, "status")
