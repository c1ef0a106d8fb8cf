"""Signatures as Standard Webhooks has them, held to that project's own library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from chalicelib.errors import SettingsError
from chalicelib.signing import as_text, derive, fingerprint, from_text, master_keys_of, sign, verify, written

KEYS = st.binary(min_size=24, max_size=64)
IDS = st.uuids().map(str)
TIMESTAMPS = st.integers(0, 4_000_000_000)
BODIES = st.text().map(str.encode)
KEY, OTHER = b"k" * 32, b"o" * 32


@given(KEYS, IDS, TIMESTAMPS, BODIES)
def test_a_signature_is_the_one_that_the_library_makes(key: bytes, webhook_id: str, at: int, body: bytes) -> None:
    theirs = Webhook(as_text(key)).sign(webhook_id, datetime.fromtimestamp(at, UTC), body.decode())
    assert sign([key], webhook_id, str(at), body) == theirs


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    key = from_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.lists(KEYS, min_size=1, max_size=3, unique=True), IDS, TIMESTAMPS, st.binary())
def test_whoever_has_one_of_the_keys_can_verify(keys: list[bytes], webhook_id: str, at: int, body: bytes) -> None:
    header = sign(keys, webhook_id, str(at), body)
    assert len(header.split()) == len(keys)
    assert all(verify([key], webhook_id, str(at), body, header) for key in keys)
    assert verify([b"another key of some length", *keys], webhook_id, str(at), body, header)


CHANGES = {
    "the key": {"keys": [OTHER]},
    "no key": {"keys": []},
    "the id": {"webhook_id": "id-2"},
    "the time": {"timestamp": "1001"},
    "the body": {"body": b"pay 1001"},
    "where the time ends": {"timestamp": "1000.", "body": b"pay 100"},
    "the signature": {"signature": "v1,AAAA"},
    "its version": {"signature": sign([KEY], "id-1", "1000", b"pay 100").replace("v1,", "v2,")},
    "no signature": {"signature": ""},
    "what is no base64": {"signature": "v1,é v1 ,"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_was_changed_does_not_verify(change: dict[str, object]) -> None:
    right = {"webhook_id": "id-1", "timestamp": "1000", "body": b"pay 100"}
    signed = {**right, "keys": [KEY], "signature": sign([KEY], *right.values())}  # type: ignore[arg-type]
    assert verify(**signed)  # type: ignore[arg-type]
    assert not verify(**{**signed, **change})  # type: ignore[arg-type]


@given(KEYS)
def test_a_key_reads_back_from_its_text(key: bytes) -> None:
    assert from_text(as_text(key)) == key
    assert as_text(key).startswith("whsec_")


@pytest.mark.parametrize("text", ["", "secret", "whsec", "whsec_!", base64.b64encode(KEY).decode()])
def test_what_is_no_secret_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|base64|ase64"):
        from_text(text)


def test_each_purpose_and_name_has_a_key_of_its_own_that_is_always_the_same() -> None:
    keys = [derive(master, purpose, name) for master in (KEY, OTHER) for purpose in "ab" for name in ("", "a", "b")]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}
    assert derive(KEY, "signing-secret", "a").hex() == derive(KEY, "signing-secret", "a").hex()
    assert derive(bytes(32), "signing-secret", "x").hex() == (
        "3cbaec1ce5caf9efc2e2a1c36d0bd1c5d0cf0cc5fe1770932154e46b627df7f8"
    ), "keys that were shown must not change with a release"


def test_a_fingerprint_is_short_and_of_its_key_alone() -> None:
    assert fingerprint(KEY) != fingerprint(OTHER)
    assert len(fingerprint(KEY)) == 12


def test_a_master_key_reads_back_from_its_text() -> None:
    assert master_keys_of(written(KEY) + "\n", "there") == (KEY,)
    assert master_keys_of(written(KEY, b"o" * 32), "there") == (KEY, b"o" * 32)


@pytest.mark.parametrize("text", ["", "short", written(b"k" * 31), written(b"k" * 33), "ключ"])
def test_what_is_no_master_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="there holds no master key") as refused:
        master_keys_of(text, "there")
    assert not text or text not in str(refused.value)
