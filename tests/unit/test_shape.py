"""What is wrong with JSON that comes in: all of it at once, each fault with its pointer."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from chalicelib import json_text
from chalicelib.errors import InvalidRequest
from chalicelib.json_text import JsonText
from chalicelib.shape import (
    MOST_DEPTH,
    MOST_DIGITS,
    Anything,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    OrNull,
    Record,
    Shape,
    Shown,
    Text,
    Time,
    child,
    parse,
    require,
    seconds,
)
from chalicelib.task import Json

NAME, COUNT = Text(least=1, most=5), Number(least=0, most=9, whole=True)


def faults(shape: Shape, value: Json) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.detail) for fault in shape.faults(value, "")]


WHOLE = Shown(name="Whole", fields={"a": Field(COUNT), "b": Field(OrNull(NAME))}, sometimes={"c": Field(NAME)})

FITTING: list[tuple[Shape, Json]] = [
    (NAME, "a"),
    (NAME, "上海上海上"),
    (Text(most=0), ""),
    (Text(most=9, choices=("GET", "PUT")), "PUT"),
    (COUNT, 0),
    (COUNT, 9),
    (Number(least=0, most=1), 0.5),
    (Number(least=0, most=1), 1),
    (Number(least=0, most=1), -0.0),
    (Flag(), False),
    (ListOf(shape=NAME, most=2), []),
    (ListOf(shape=NAME, most=2), ["a", "b"]),
    (MapOf(shape=COUNT, most=1, longest=1), {"a": 1}),
    (Anything(), None),
    (Record(), {}),
    (Record(fields={"a": Field(shape=NAME)}), {}),
    (Record(fields={"a": Field(shape=NAME)}), {"a": None}),
    (Record(fields={"a": Field(shape=Record(name="Inner", fields={"b": Field(NAME)}))}), {"a": {"b": None}}),
    (Record(fields={"a": Field(shape=Record(name="Inner"))}), {"a": None}),
    (Record(fields={"a": Field(Text(most=9, choices=("GET",)))}), {"a": None}),
    (Record(fields={"a": Field(Anything())}), {"a": None}),
    (Text(), "x" * 10_000),
    (Text(most=9, visible=True), "a ~!"),
    (Number(), -1e300),
    (OrNull(NAME), None),
    (OrNull(NAME), "a"),
    (OrNull(Text(choices=("a",))), None),
    (OrNull(WHOLE), None),
    (Time(), "2026-12-01T08:00:00Z"),
    (Time(), "2026-12-01T08:00:00.123+08:00"),
    (Time(), "1970-01-01T00:00:00Z"),
    (WHOLE, {"a": 1, "b": None}),
    (WHOLE, {"a": 1, "b": "x", "c": "y"}),
]
UNFITTING: list[tuple[Shape, Json, str]] = [
    (NAME, 1, "must be a string, not a number"),
    (NAME, None, "must be a string, not null"),
    (NAME, True, "must be a string, not true or false"),
    (NAME, [], "must be a string, not a list"),
    (NAME, {}, "must be a string, not an object"),
    (NAME, "", "must have 1 to 5 characters, and has 0"),
    (NAME, "abcdef", "must have 1 to 5 characters, and has 6"),
    (Text(most=9, choices=("GET", "PUT")), "get", "must be one of GET, PUT"),
    (COUNT, "1", 'must be a whole number, not "1"'),
    (COUNT, True, "must be a whole number, not true"),
    (COUNT, 1.0, "must be a whole number, not 1.0"),
    (COUNT, None, "must be a whole number, not null"),
    (COUNT, -1, "must be from 0 to 9"),
    (COUNT, 10, "must be from 0 to 9"),
    (COUNT, 10**4000, "must be from 0 to 9"),
    (Number(least=1, most=2_592_000), 0.99, "must be from 1 to 2,592,000"),
    (Number(least=0.1, most=3), 0, "must be from 0.1 to 3"),
    (Number(least=0, most=1), False, "must be a number, not false"),
    (Number(least=0, most=1), "0.5", 'must be a number, not "0.5"'),
    (Number(least=0, most=1), float("nan"), "must be from 0 to 1"),
    (Flag(), 1, "must be true or false, not a number"),
    (Flag(), "true", "must be true or false, not a string"),
    (ListOf(shape=NAME, most=2), "ab", "must be a list, not a string"),
    (ListOf(shape=NAME, least=1, most=2), [], "must have 1 to 2 items, and has 0"),
    (ListOf(shape=NAME, most=2), ["a"] * 3, "must have 0 to 2 items, and has 3"),
    (MapOf(shape=NAME, most=1), [], "must be an object, not a list"),
    (MapOf(shape=NAME, most=1), {"a": "a", "b": "b"}, "must have at most 1 members, and has 2"),
    (Record(), [], "must be an object, not a list"),
    (Record(), None, "must be an object, not null"),
    (Text(most=9, visible=True), "键", "must have visible ASCII characters only"),
    (Text(most=9, visible=True), "a\n", "must have visible ASCII characters only"),
    (OrNull(NAME), "", "must have 1 to 5 characters, and has 0"),
    (OrNull(Text(choices=("a",))), "b", "must be one of a"),
    (Time(), 1, "must be a string, not a number"),
    (Time(), "yesterday", "must be a time as in RFC 3339, such as 2026-12-01T08:00:00Z"),
    (WHOLE, None, "must be an object, not null"),
]


@pytest.mark.parametrize(("shape", "value"), FITTING)
def test_what_has_the_shape_passes(shape: Shape, value: Json) -> None:
    assert faults(shape, value) == []


@pytest.mark.parametrize(("shape", "value", "detail"), UNFITTING)
def test_what_has_not_the_shape_is_told_why(shape: Shape, value: Json, detail: str) -> None:
    assert faults(shape, value) == [("", detail)]


def is_valid(shape: Shape, value: Json) -> bool:
    return bool(Draft202012Validator(shape.schema(), validate_formats=True).is_valid(value))


@pytest.mark.parametrize(("shape", "value"), FITTING)
def test_what_has_the_shape_is_valid_by_its_schema(shape: Shape, value: Json) -> None:
    assert is_valid(shape, value)


@pytest.mark.parametrize(("shape", "value"), [row[:2] for row in UNFITTING])
def test_what_has_not_the_shape_is_not_valid_by_its_schema(shape: Shape, value: Json) -> None:
    a_whole_number_to_json_schema = shape is COUNT and repr(value) == "1.0"
    assert is_valid(shape, value) == a_whole_number_to_json_schema


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01", "2026-12-01T00:00:00Z", "2026-12-01t00:00:00z", "2026-12-01T08:00:00+08:00",
        "2026-11-30T22:30:00-01:30",
        "2026-12-01T00:00:00-00:00", "2026-12-01T00:00:00+00:00", "2026-12-01T23:59:00+23:59", "2026-11-30T23:59:60Z",
        "2026-11-30T15:59:60-08:00", "2026-12-01T05:29:60+05:30", "2026-12-01T00:00:00.0Z",
        f"2026-12-01T00:00:00.{'0' * 400}9z",
    ],
)  # fmt: skip
def test_a_moment_has_many_spellings(text: str) -> None:
    assert faults(Time(), text) == []
    assert seconds(text) == 1_796_083_200


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1985-04-12T23:20:50.52Z", 482_196_050.52),  # the examples of RFC 3339, section 5.8
        ("1996-12-19T16:39:57-08:00", 851_042_397),
        ("1990-12-31T23:59:60Z", 662_688_000),
        ("1990-12-31T15:59:60-08:00", 662_688_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800.5),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("2026-12-01T00:00:00.1234567890123Z", 1_796_083_200.123456),
        ("1970-01-01T00:00:00.000001Z", 0.000001),
    ],
)
def test_a_time_is_seconds_since_the_epoch(text: str, at: float) -> None:
    assert faults(Time(), text) == []
    assert seconds(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z", "2026-04-31", "2026-13-01", "2026-00-01", "2026-12-00", "2026-12-32", "0000-01-01",
        "2026-12-01T24:00:00Z", "2026-12-01T23:60:00Z", "2026-12-01T23:59:61Z", "2026-12-01T23:59:60Z",
        "2026-11-30T22:59:60Z",
        "2026-11-30T23:59:60+01:00", "2026-12-01T00:00:00", "2026-12-01T00:00Z", "2026-12-01T00Z", "20261201T000000Z",
        "20261201", "2026-W49-2", "2026-335", "2026-12-01T00:00:00.Z", "2026-12-01T00:00:00,5Z", "2026-12-01 00:00:00Z",
        "2026-12-01T00:00:00+8:00", "2026-12-01T00:00:00+0800", "2026-12-01T00:00:00+24:00",
        "2026-12-01T00:00:00+08:60",
        "2026-12-01T00:00:00 Z", " 2026-12-01", "2026-12-01Z", "2026-12-01T", "+2026-12-01", "12026-12-01",
        "２026-12-01",
        "2026-12-01T00:00:00Z\n", "",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    assert len(faults(Time(), text)) == 1


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_time_beyond_all_records_is_refused(text: str) -> None:
    assert len(faults(Time(), text)) == 1


def test_a_schema_tells_what_each_member_is_for() -> None:
    told = Record(
        name="Order",
        fields={"id": Field(NAME, "Its id.", required=True), "inner": Field(Record(name="Inner"), "More.")},
        example={"id": "a"},
    )
    assert told.schema() == {
        "title": "Order",
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 5, "description": "Its id."},
            "inner": {
                "anyOf": [
                    {"title": "Inner", "type": "object", "properties": {}, "additionalProperties": False},
                    {"type": "null"},
                ],
                "description": "More.",
            },
        },
        "required": ["id"],
        "additionalProperties": False,
        "examples": [{"id": "a"}],
    }


def test_what_is_shown_lacks_nothing_and_holds_nothing_undeclared_and_readers_take_more() -> None:
    assert faults(WHOLE, {"a": -1, "d": 1}) == [
        ("/a", "must be from 0 to 9"),
        ("/d", "is not declared"),
        ("/b", "is missing"),
    ]
    assert is_valid(WHOLE, {"a": 1, "b": None, "d": 1})
    assert not is_valid(WHOLE, {"a": 1})


TREE = Record(
    fields={
        "id": Field(shape=NAME, required=True),
        "counts": Field(shape=ListOf(shape=COUNT, most=5)),
        "labels": Field(shape=MapOf(shape=NAME, most=5, longest=6)),
        "inner": Field(shape=Record(fields={"deep": Field(shape=Record(fields={"n": Field(shape=COUNT)}))})),
    }
)


def test_every_fault_at_any_depth_is_found_in_one_go() -> None:
    value = {
        "counts": [1, "2", 3, 40],
        "labels": {"a/b": 1, "c~d": "x", "": "", "too long": "x"},
        "inner": {"deep": {"n": 1.5, "m": 1}, "more": None},
        "extra": {"n": 1},
    }
    assert dict(faults(TREE, value)) == {
        "/id": "is missing",
        "/counts/1": 'must be a whole number, not "2"',
        "/counts/3": "must be from 0 to 9",
        "/labels/a~1b": "must be a string, not a number",
        "/labels/": "must have 1 to 5 characters, and has 0",
        "/labels/too long": "has a name of more than 6 characters",
        "/inner/deep/n": "must be a whole number, not 1.5",
        "/inner/deep/m": "is unknown; known are n",
        "/inner/more": "is unknown; known are deep",
        "/extra": "is unknown; known are id, counts, labels, inner",
    }


@pytest.mark.parametrize("value", [{}, {"id": None}])
def test_null_counts_as_absent_and_so_as_missing(value: Json) -> None:
    assert faults(TREE, value) == [("/id", "is missing")]


def test_an_item_or_a_member_that_may_be_named_freely_is_not_absent_when_null() -> None:
    assert faults(TREE, {"id": "a", "counts": [None], "labels": {"a": None}}) == [
        ("/counts/0", "must be a whole number, not null"),
        ("/labels/a", "must be a string, not null"),
    ]


def test_require_raises_all_of_them() -> None:
    with pytest.raises(InvalidRequest) as refused:
        require(TREE, {"x": 1})
    assert [fault.pointer for fault in refused.value.faults] == ["/x", "/id"]
    require(TREE, {"id": "a"})


@pytest.mark.parametrize(
    ("key", "pointer"), [("a", "/a"), ("a/b", "/a~1b"), ("a~b", "/a~0b"), ("~1", "/~01"), ("", "/"), (0, "/0")]
)
def test_a_pointer_is_written_as_rfc_6901_has_it(key: str | int, pointer: str) -> None:
    assert child("", key) == pointer


# ── from bytes ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "is not JSON: Expecting value at line 1, column 1"),
        (b"   ", "is not JSON"),
        (b'{"a":1,}', "is not JSON"),
        (b"{'a':1}", "is not JSON"),
        (b"{}{}", "is not JSON: Extra data at line 1, column 3"),
        (b'"a\nb"', "is not JSON: Invalid control character"),
        (b"\x00", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON: Unexpected UTF-8 BOM"),
        (b'"\xff"', "is not valid UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "is not valid UTF-8 at byte 1"),
        ("{}".encode("utf-16"), "is not valid UTF-8 at byte 0"),
        (b"NaN", "cannot be taken: NaN is no JSON number"),
        (b"[-Infinity]", "cannot be taken: -Infinity is no JSON number"),
        (b"1e999", "cannot be taken: the number 1e999 is too large"),
        (b"-1e999", "cannot be taken: the number -1e999 is too large"),
        (b"1" * 5000, "cannot be taken: a number of 5000 digits is too long; at most 4300 are read"),
        (b'{"a":1,"b":2,"a":3}', 'cannot be taken: "a" stands twice in one object'),
        (b'[{"a":{"":1,"":1}}]', 'cannot be taken: "" stands twice in one object'),
        (rb'{"a":1,"\u0061":1}', 'cannot be taken: "a" stands twice in one object'),
        (rb'{"\ud800":1,"\ud800":1}', r'cannot be taken: "\ud800" stands twice in one object'),
        (rb'"\ud800"', "holds half of a surrogate pair"),
        (rb'{"a":["\udc00x"]}', "holds half of a surrogate pair"),
        (rb'{"\ude00\ud83d":1}', "holds half of a surrogate pair"),
        (b"[" * 100_000, "is nested too deep"),
        (b'{"a":' * 100_000, "is nested too deep"),
        (b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "is nested too deep: more than 100 levels"),
        (b'[{"a":' * 60 + b"1" + b"}]" * 60, "is nested too deep: more than 100 levels"),
    ],
)
def test_what_could_not_come_out_as_it_went_in_is_refused(raw: bytes, detail: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(raw)
    [fault] = refused.value.faults
    assert (fault.pointer, fault.detail[: len(detail)]) == ("", detail)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '"上海 😀 \\u0000"',
        "-0.0",
        "9" * MOST_DIGITS,
        '{"a":{"a":1},"b":{"a":1}}',
        "[" * MOST_DEPTH + "]" * MOST_DEPTH,
        "1e308",
        "12345678901234567890.5",
    ],
)
def test_what_is_taken_comes_out_as_the_same_value(text: str) -> None:
    value = parse(text.encode())
    assert repr(parse(json_text.dumps(value).encode())) == repr(value)
    assert json_text.dumps(value) == json_text.dumps(json.loads(text)) or value == JsonText(text)


def test_big_whole_numbers_keep_every_digit_and_text_every_character() -> None:
    assert parse('{"n":123456789012345678901234567890,"t":"\\ud83d\\ude00上"}'.encode()) == {
        "n": 123456789012345678901234567890,
        "t": "😀上",
    }


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789.eE-+\\ud8 truefalsn', max_size=40).map(str.encode))
def test_any_bytes_are_json_or_an_invalid_request(raw: bytes) -> None:
    with suppress(InvalidRequest):
        json.dumps(parse(raw), ensure_ascii=False, allow_nan=False).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_all_json_is_taken_as_it_is(value: Json, ascii_only: bool) -> None:
    assert repr(parse(json.dumps(value, ensure_ascii=ascii_only).encode())) == repr(value)
