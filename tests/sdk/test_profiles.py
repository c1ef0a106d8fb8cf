"""The file of profiles: no profile lends its secret to another, no writer loses what another one wrote."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kkbida.cli.profiles import default_path
from kkbida.cli.profiles_file import BadProfile, Profile, Profiles

URL = Profile("https://kkbida.example")


@pytest.fixture
def kept(tmp_path: Path) -> Profiles:
    return Profiles(tmp_path / "kkbida" / "profiles.ini")


def written(kept: Profiles, text: str | bytes) -> Profiles:
    kept.path.parent.mkdir(parents=True)
    kept.path.write_bytes(text if isinstance(text, bytes) else text.encode())
    kept.path.chmod(0o600)
    return kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "DEFAULT",
        "a\nb",
        "a\rb",
        "a]",
        "[a",
        "a b",
        " a",
        "a=b",
        "a;b",
        "-a",
        ".a",
        "a\x00",
        "\ud800",
        "a" * 65,
        "#a",
    ],
)
def test_a_name_that_the_file_cannot_hold_is_refused(kept: Profiles, name: str) -> None:
    with pytest.raises(BadProfile, match="profile"):
        kept.put(name, URL)
    assert not kept.path.exists()


@pytest.mark.parametrize("name", ["default", "prod", "Default", "eu-1", "ann@prod", "生产", "1", "a.b_c+d", "a" * 64])
def test_other_names_are_kept(kept: Profiles, name: str) -> None:
    kept.put(name, URL)
    assert kept.all() == {name: URL}


@pytest.mark.parametrize(
    "value", ["kks_1\n[evil]", "kks_1\r[evil]", " kks_1", "kks_1 ", "kks_1\x00", "kks_\ud800", "\t"]
)
@pytest.mark.parametrize("field", ["url", "key_id", "secret", "operator", "cookie", "csrf_token", "device"])
def test_a_value_that_the_file_would_not_give_back_is_refused_and_not_told(
    kept: Profiles, field: str, value: str
) -> None:
    kept.put("prod", URL)
    before = kept.path.read_bytes()
    with pytest.raises(BadProfile, match=f"The {field} of a profile") as refused:
        kept.put("prod", replace(URL, **{field: value}))
    assert "kks_" not in str(refused.value)
    assert kept.path.read_bytes() == before


def test_a_section_named_default_lends_nothing_to_others(kept: Profiles) -> None:
    written(kept, "[DEFAULT]\nurl = https://d.example\nkey_id = key_1\nsecret = s\n\n[prod]\nurl = https://p.example\n")
    assert kept.find("prod") == Profile("https://p.example")
    kept.put("staging", URL)
    assert kept.find("staging") == URL
    assert kept.remove("DEFAULT"), "what an earlier version made can be removed"
    assert sorted(kept.all()) == ["prod", "staging"]


@pytest.mark.parametrize("secret", ["%(key_id)s", "%", "%%", "${url}", "#a", ";a", "a = b", "[a]", '"a"', "a\\nb"])
def test_a_value_is_no_more_than_its_text(kept: Profiles, secret: str) -> None:
    kept.put("prod", replace(URL, secret=secret))
    assert kept.find("prod").secret == secret


BROKEN = {
    "no section": "kks_topsecret\n",
    "half a line": "[prod]\nurl = https://p.example\nkks_topsecret\n",
    "a section twice": "[prod]\nsecret = kks_topsecret\n[prod]\n",
    "a value twice": "[prod]\nsecret = kks_topsecret\nsecret = kks_topsecret\n",
    "no UTF-8": b"[prod]\nsecret = kks_topsecret\xff\n",
    "UTF-16": "[prod]\nsecret = kks_topsecret\n".encode("utf-16"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("do", [Profiles.all, lambda it: it.put("x", URL), lambda it: it.remove("prod")])
def test_a_broken_file_is_said_to_be_without_what_stands_in_it(
    kept: Profiles, text: str | bytes, do: Callable[[Profiles], object]
) -> None:
    written(kept, text)
    before = kept.path.read_bytes()
    with pytest.raises(BadProfile, match=r"profiles\.ini cannot be read: (line|byte) ") as told:
        do(kept)
    assert "kks_" not in str(told.value)
    assert told.value.__cause__ is None
    assert "\n" not in str(told.value)
    assert kept.path.read_bytes() == before


def test_a_mark_at_the_beginning_is_passed_over(kept: Profiles) -> None:
    assert written(kept, "\ufeff[prod]\r\nurl = https://kkbida.example\r\n").all() == {"prod": URL}


def test_a_file_that_cannot_be_read_is_not_taken_for_an_empty_one(kept: Profiles) -> None:
    kept.path.mkdir(parents=True)
    with pytest.raises(BadProfile, match=r"profiles\.ini cannot be read: Is a directory"):
        kept.put("prod", URL)


def test_where_no_file_can_be_written_a_sentence_says_so(kept: Profiles) -> None:
    kept.path.parent.write_text("a file where the folder should be")
    with pytest.raises(BadProfile, match=r"cannot be (read|written): "):
        kept.put("prod", URL)


def test_the_file_is_for_its_owner_alone_whatever_the_mask(kept: Profiles) -> None:
    before = os.umask(0)
    try:
        kept.put("prod", URL)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(it.stat().st_mode) for it in kept.path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


def test_a_link_to_the_file_stays_one(kept: Profiles, tmp_path: Path) -> None:
    kept.path.parent.mkdir()
    kept.path.symlink_to(tmp_path / "elsewhere.ini")
    kept.put("prod", URL)
    assert kept.path.is_symlink()
    assert Profiles(tmp_path / "elsewhere.ini").all() == {"prod": URL}


def test_writers_at_the_same_time_lose_nothing(kept: Profiles) -> None:
    together = threading.Barrier(8)

    def keep(writer: int) -> None:
        together.wait(30)
        for number in range(10):
            kept.put(f"p{writer}.{number}", URL)

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(keep, range(8)))
    assert len(kept.all()) == 80
    assert sorted(it.name for it in kept.path.parent.iterdir()) == ["profiles.ini", "profiles.ini.lock"]


def test_a_change_is_made_to_what_the_profile_is_at_that_moment(kept: Profiles) -> None:
    kept.put("prod", replace(URL, operator="ann", cookie="c"))
    kept.change("prod", lambda now: replace(now, key_id="key_1", secret="s"))
    assert kept.find("prod") == replace(URL, operator="ann", cookie="c", key_id="key_1", secret="s")


def test_a_write_that_fails_leaves_the_file_and_no_draft(kept: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put("prod", URL)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kkbida.cli.profiles_file.os.fsync", full)
    with pytest.raises(BadProfile, match="cannot be written: No space left on device"):
        kept.put("staging", URL)
    assert kept.all() == {"prod": URL}
    assert sorted(it.name for it in kept.path.parent.iterdir()) == ["profiles.ini", "profiles.ini.lock"]


def test_the_home_may_be_empty_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_path({"HOME": "/home/ann"}) == Path("/home/ann/.config/kkbida/profiles.ini")
    assert default_path({"HOME": "/home/ann", "XDG_CONFIG_HOME": "/x"}) == Path("/x/kkbida/profiles.ini")
    assert default_path({"HOME": ""}).is_absolute()

    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("kkbida.cli.profiles.Path.expanduser", unknown)
    with pytest.raises(BadProfile, match="Set HOME"):
        default_path({})
