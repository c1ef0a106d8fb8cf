"""Which submissions are the same one: what the id and the digest of a task are made of."""

from __future__ import annotations

import json
from collections.abc import Hashable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.accept import Submitter, accept, digest
from chalicelib.shape import parse
from chalicelib.task import Json, Task
from tests.house import House

PARTNER = "https://partner.example/callback"


def raw_digest(raw: str) -> str:
    return digest(parse(raw.encode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":{"c":2,"d":3}}', ' { "b" : { "d":3, "c":2 },\r\n\t"a":1 } '),
        ('"é/上"', r'"\u00e9\/\u4e0a"'),
        ('"😀"', r'"\ud83d\ude00"'),
    ],
)
def test_how_json_is_written_makes_no_other_content(one: str, other: str) -> None:
    assert raw_digest(one) == raw_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1.1", "1.10"),
        ("1e2", "100.0"),
        ("0", "-0"),
        ("12345678901234567.89", "12345678901234567.12"),
        ("0.0", "-0.0"),
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ('""', "null"),
        ("9007199254740992", "9007199254740993"),
        ('"é"', '"e\u0301"'),
        ('"K"', '"\u212a"'),
        ('"a"', '"a "'),
        ('"a"', '"A"'),
        ("[1,2]", "[2,1]"),
        ("[[]]", "[{}]"),
        ('{"a":null}', "{}"),
        ('{"url":"http://a/"}', '{"url":"http://a/","method":"POST"}'),
        ('{"a":"b"}', '["a","b"]'),
        ('{"a":{"b":1},"c":2}', '{"a":{"b":1,"c":2}}'),
    ],
)
def test_what_a_receiver_could_tell_apart_is_other_content(one: str, other: str) -> None:
    """So is what only a default makes equal: the next release may have another default."""
    assert raw_digest(one) != raw_digest(other)


FEW = st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, 0.0, "", "1", "é", "e\u0301", "a"])
JSON = st.recursive(
    FEW | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abé") | st.text(max_size=2), inner),
    max_leaves=6,
)


def content(value: Json) -> Hashable:
    """What two values share only when nobody can tell them apart, whatever the order of their members."""
    if isinstance(value, dict):
        return "object", frozenset((name, content(member)) for name, member in value.items())
    if isinstance(value, list):
        return "list", tuple(map(content, value))
    return type(value).__name__, repr(value)


@given(JSON, JSON)
def test_two_submissions_have_one_digest_only_when_their_content_is_the_same(one: Json, other: Json) -> None:
    assert (digest(one) == digest(other)) == (content(one) == content(other))


def shuffled(value: Json, random: Random) -> Json:
    """The value with the members of its objects in another order."""
    if isinstance(value, dict):
        members = list(value.items())
        random.shuffle(members)
        return {name: shuffled(member, random) for name, member in members}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@given(JSON, st.randoms(), st.sampled_from([None, 1, "\t\r\n"]), st.booleans())
def test_the_digest_does_not_depend_on_order_space_or_escapes(
    value: Json, random: Random, indent: Any, ascii_only: bool
) -> None:
    written = json.dumps(shuffled(value, random), indent=indent, ensure_ascii=ascii_only)
    assert raw_digest(written) == digest(value)


# ── whose key it is ──────────────────────────────────────────────────────────────────────────────


def accepted(house: House, caller: str, key: str | None) -> Task:
    return accept(house.world, {"url": PARTNER}, by=Submitter(caller=caller), key=key)


def test_one_key_of_two_callers_is_two_tasks() -> None:
    house = House()
    mine, yours = accepted(house, "orders", "42"), accepted(house, "billing", "42")
    assert mine.task_id != yours.task_id
    assert (mine.caller, yours.caller) == ("orders", "billing")
    assert [accepted(house, caller, "42") for caller in ("orders", "billing")] == [mine, yours]


NAMES = st.text(alphabet='ab",[]\\ é', max_size=4) | st.text(max_size=4)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=8))
def test_a_task_belongs_to_its_caller_and_its_key_and_to_no_other_pair(pairs: list[tuple[str, str]]) -> None:
    house = House()
    ids = {pair: accepted(house, *pair).task_id for pair in pairs}
    assert len(set(ids.values())) == len(ids)
    again = {pair: accepted(house, *pair).task_id for pair in pairs}
    assert again == ids


def test_without_a_key_each_submission_is_a_task_of_its_own() -> None:
    house = House()
    assert len({accepted(house, "orders", None).task_id for _ in range(50)}) == 50
