"""Channels are encrypted at rest, under the master key, in both stores; and the key can be changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from chalicelib import master_keys
from chalicelib.embedded import open_embedded
from chalicelib.errors import Unavailable
from chalicelib.keyring import calling_key, signing_key
from chalicelib.ports import Store
from chalicelib.sealing import Sealer, key_id
from chalicelib.settings import load
from chalicelib.signing import fingerprint
from chalicelib.task import Caller, SigningSecret, evolve
from chalicelib.vault import FileVault, MemoryVault
from tests.contract.backends import FakeClock, StoreBackend
from tests.contract.samples import NOW, audit, channel

TOKEN, SECRET = "t0k3n-of-the-robot", "SEC-of-the-robot"
ROBOT = evolve(channel(), url=f"https://oapi.dingtalk.com/robot/send?access_token={TOKEN}", secret=SECRET)


def save(store: Store, channel_id: str = "team", version: int = 1) -> None:
    one = evolve(ROBOT, channel_id=channel_id, version=version)
    assert store.save_channel(one, audit(channel_id, at=NOW + version))


def test_what_is_stored_of_a_channel_holds_neither_its_address_nor_its_secret(store_backend: StoreBackend) -> None:
    save(store_backend.store)
    save(store_backend.store, version=2)
    assert store_backend.store.channels() == [evolve(ROBOT, version=2)]
    stored = store_backend.stored()
    assert ROBOT.memo.encode() in stored or json.dumps(ROBOT.memo).encode() in stored or b"team" in stored
    for secret in (TOKEN, SECRET, "oapi.dingtalk.com"):
        assert secret.encode() not in stored
    [sealed_under] = store_backend.store.sealed_under().values()
    assert sealed_under == key_id(store_backend.vault.read_all()[0])


def test_a_wrong_key_is_named_and_opens_nothing(store_backend: StoreBackend) -> None:
    save(store_backend.store)
    other = MemoryVault()
    other.make()
    [right] = map(key_id, store_backend.vault.read_all())
    with pytest.raises(Unavailable) as refused:
        store_backend.with_vault(other).channels()
    assert str(refused.value) == (
        f"Master key {right} is missing in this process: the channel team is encrypted under it. Put that key back, as "
        "another line."
    )


def test_while_the_key_is_changed_both_keys_open_and_at_the_end_the_old_one_can_be_dropped(
    store_backend: StoreBackend,
) -> None:
    save(store_backend.store, "a")
    save(store_backend.store, "b")
    [old] = store_backend.vault.read_all()
    new = b"n" * 32
    assert store_backend.vault.replace((old,), (new, old))
    assert [it.url for it in store_backend.store.channels()] == [ROBOT.url] * 2
    save(store_backend.store, "b", version=2)
    assert store_backend.store.sealed_under() == {"a": key_id(old), "b": key_id(new)}
    dropped, kept = master_keys.drop(store_backend.store, store_backend.vault)
    assert (dropped, dict(kept)) == ([], {key_id(old): ["channel a"]})
    assert store_backend.vault.read_all() == (new, old)
    assert store_backend.store.reseal() == 1
    assert store_backend.store.reseal() == 0
    assert set(store_backend.store.sealed_under().values()) == {key_id(new)}
    assert master_keys.drop(store_backend.store, store_backend.vault) == ([key_id(old)], {})
    assert store_backend.vault.read_all() == (new,)
    assert [it.secret for it in store_backend.with_vault(store_backend.vault).channels()] == [SECRET] * 2


def test_a_rotation_encrypts_everything_anew(store_backend: StoreBackend) -> None:
    save(store_backend.store)
    new = master_keys.rotate(store_backend.store, store_backend.vault)
    first, _ = map(key_id, store_backend.vault.read_all())
    assert first == new
    assert store_backend.store.sealed_under() == {"team": new}
    assert store_backend.store.channels()[0].url == ROBOT.url


def test_a_key_of_a_secret_that_was_handed_out_is_not_dropped(store_backend: StoreBackend) -> None:
    store, vault = store_backend.store, store_backend.vault
    vault.make()
    old = vault.read_all()[0]
    signing = SigningSecret(
        secret_id="s-1", source_app="orders", fingerprint=fingerprint(signing_key(old, "s-1")), created_at=NOW
    )
    calling = Caller(
        key_id="key_1",
        source_app="orders",
        scopes=(),
        fingerprint=fingerprint(calling_key(old, "key_1").encode()),
        created_at=NOW,
        created_by="li.lei",
    )
    store.add_signing_secret(signing, audit("s-1"))
    store.add_caller(calling, audit("key_1"))
    master_keys.rotate(store, vault)
    dropped, kept = master_keys.drop(store, vault)
    assert dropped == []
    assert kept == {key_id(old): ["signing secret s-1 of orders", "caller key_1 of orders"]}
    store.remove_signing_secret("s-1", audit("s-1", at=NOW + 1))
    store.remove_caller("key_1", audit("key_1", at=NOW + 1))
    assert master_keys.drop(store, vault)[0] == [key_id(old)]


def test_a_channel_whose_key_is_lost_can_be_removed(store_backend: StoreBackend) -> None:
    save(store_backend.store)
    other = MemoryVault()
    other.make()
    lost = store_backend.with_vault(other)
    save(lost, "another")
    with pytest.raises(Unavailable):
        lost.channels()
    assert lost.forget_unreadable_channels() == 1
    assert [it.channel_id for it in lost.channels()] == ["another"]


# ── the text itself ──────────────────────────────────────────────────────────────────────────────


def test_a_sealed_text_opens_for_what_it_was_sealed_for_and_only_unchanged() -> None:
    sealer = Sealer(MemoryVault())
    sealed = sealer.seal("hush", "channel a")
    assert sealed != sealer.seal("hush", "channel a"), "each has a nonce of its own"
    assert sealer.open(sealed, "channel a") == "hush"
    with pytest.raises(Unavailable, match="Cannot decrypt the channel b: it was changed, or it belongs"):
        sealer.open(sealed, "channel b")
    body = sealed.rpartition(".")[2]
    for place in (0, 31, 40, len(body) - 3):
        changed = body[:place] + ("A" if body[place] != "A" else "B") + body[place + 1 :]
        with pytest.raises(Unavailable, match="Cannot decrypt"):
            sealer.open(sealed.replace(body, changed), "channel a")
    for text in ("", "hush", "v1.0123456789ab.short", "v2" + sealed[2:]):
        with pytest.raises(Unavailable, match="what is stored is not an encrypted text"):
            sealer.open(text, "channel a")


def test_a_row_that_was_copied_to_another_channel_does_not_open() -> None:
    sealer = Sealer(MemoryVault())
    row = json.loads(sealer.row(ROBOT))
    with pytest.raises(Unavailable, match="Cannot decrypt the channel other"):
        sealer.channel(json.dumps({**row, "channel_id": "other"}))


def test_a_key_that_came_since_is_read_from_the_vault() -> None:
    vault = MemoryVault()
    one, other = Sealer(vault), Sealer(vault)
    one.seal("x", "y")
    old = vault.read_all()
    vault.replace(old, (b"n" * 32, *old))
    assert other.open(one.seal("hush", "y"), "y") == "hush"
    assert one.open(other.seal("hush", "y"), "y") == "hush"


# ── a file of before ─────────────────────────────────────────────────────────────────────────────


def plain_file(path: Path, *channel_ids: str) -> None:
    """A file whose channels are stored as versions before this one did."""
    store, _ = open_embedded(str(path), load({}), FakeClock(), MemoryVault())
    for channel_id in channel_ids:
        save(store, channel_id)
    rows = [json.loads(text) for (text,) in store._rows("SELECT channel FROM channels")]
    plain = [{"url": ROBOT.url, "secret": SECRET, **it} for it in rows]
    for it in plain:
        del it["sealed"]
    values = [(it["channel_id"], it["version"], it["created_at"], json.dumps(it)) for it in plain]
    store.database.write(lambda tx: tx.execute("DELETE FROM channels"))  # else a row has room to grow where it lies
    store.database.write(lambda tx: tx.executemany("INSERT INTO channels VALUES (?, ?, ?, ?)", values))
    store.close()


def test_channels_that_an_earlier_version_stored_are_encrypted_when_the_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "kkbida.db"
    plain_file(path, "team")
    assert TOKEN.encode() in path.read_bytes()
    vault = FileVault(tmp_path / "master.key")
    for _ in range(2):
        store, _ = open_embedded(str(path), load({}), FakeClock(), vault)
        assert store.channels() == [evolve(ROBOT, version=2)]
        store.close()
        stored = b"".join(it.read_bytes() for it in tmp_path.iterdir())
        assert TOKEN.encode() not in stored
        assert SECRET.encode() not in stored


def test_no_byte_of_what_was_stored_in_the_clear_stays_in_the_file_or_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite leaves the bytes of a row where they were, unless a connection or its build says otherwise."""
    connect = sqlite3.connect

    def careless(*given: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **more)
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    path = tmp_path / "kkbida.db"
    plain_file(path, "a", "b", "c")  # a page with one row is written over
    store, _ = open_embedded(str(path), load({}), FakeClock(), FileVault(tmp_path / "master.key"))
    other = connect(path)
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    other.close()
    stored = b"".join(it.read_bytes() for it in tmp_path.iterdir())
    store.close()
    assert TOKEN.encode() not in stored
    assert SECRET.encode() not in stored


def test_a_file_whose_master_key_is_missing_does_not_open_and_says_why(tmp_path: Path) -> None:
    path, key = tmp_path / "kkbida.db", tmp_path / "master.key"
    store, _ = open_embedded(str(path), load({}), FakeClock(), FileVault(key))
    save(store)
    store.close()
    key.rename(tmp_path / "kept")
    with pytest.raises(Unavailable, match=r"Master key [0-9a-f]{12} is missing in .*: the channel team"):
        open_embedded(str(path), load({}), FakeClock(), FileVault(key))
    assert not key.exists(), "no other key takes its place"
    (tmp_path / "kept").replace(key)
    store, _ = open_embedded(str(path), load({}), FakeClock(), FileVault(key))
    assert store.channels() == [ROBOT]
    store.close()
