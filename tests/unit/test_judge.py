"""Which replies count, and the exact sentence about those that do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery.judge import Judgement, broken_rules, excerpt, judge, no_reply, same, text_of
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Reply
from chalicelib.shape import MOST_DEPTH
from chalicelib.task import Expectation, Json, Verdict
from tests.unit.makers import reply


def broken(answer: Reply, **rules: Json) -> list[str]:
    return list(broken_rules(Expectation(**rules), answer))


@pytest.mark.parametrize(
    ("status", "patterns", "sentence"),
    [
        (503, ("2xx",), "status 503 not in 2xx"),
        (302, ("2xx",), "status 302 not in 2xx"),
        (204, ("2xx", "!204"), "status 204 not in 2xx, !204"),
        (201, ("200", "202-299"), "status 201 not in 200, 202-299"),
        (204, ("!204",), "status 204 not in !204"),
    ],
)
def test_a_status_that_does_not_count_is_named(status: int, patterns: tuple[str, ...], sentence: str) -> None:
    assert broken(reply(status=status), status=patterns) == [sentence]


@pytest.mark.parametrize("status", [200, 204, 299])
def test_without_an_expectation_any_2xx_counts(status: int) -> None:
    assert judge(Expectation(), reply("whatever", status)) == Judgement(Verdict.DELIVERED)


@pytest.mark.parametrize(
    ("body", "rule", "sentences"),
    [
        ("it is a success", {"contains": "success"}, []),
        ("SUCCESS", {"contains": "success"}, ['body does not contain "success"']),
        ("", {"contains": "success"}, ['body does not contain "success"']),
        ("成功", {"contains": "成功"}, []),
        ("失败", {"contains": "成功"}, ['body does not contain "成功"']),
        ("no", {"contains": 'say "yes"\n'}, ['body does not contain "say \\"yes\\"\\n"']),
        ("success", {"equals": "success"}, []),
        ("success\n", {"equals": "success"}, ['body is not "success"']),
        ("", {"equals": ""}, []),
        ("x", {"equals": ""}, ['body is not ""']),
        ("code=0;", {"regex": r"code=\d+"}, []),
        ("code=;", {"regex": r"code=\d+"}, [r'body does not match "code=\\d+"']),
        ("a\nok\nb", {"regex": "(?m)^ok$"}, []),
        ("x", {"regex": "("}, ['regex "(" is no regular expression: missing ) at position 1']),
    ],
)
def test_the_text_of_the_body_is_judged(body: str, rule: dict[str, str], sentences: list[str]) -> None:
    assert broken(reply(body), **rule) == sentences


@pytest.mark.parametrize(
    ("body", "wanted", "sentences"),
    [
        ('{"code": 0}', {"$.code": 0}, []),
        ('{"code": 0.0}', {"$.code": 0}, []),
        ('{"code": "0"}', {"$.code": 0}, ['$.code is "0", not 0']),
        ('{"code": false}', {"$.code": 0}, ["$.code is false, not 0"]),
        ('{"code": 1}', {"$.code": True}, ["$.code is 1, not true"]),
        ('{"code": true}', {"$.code": True}, []),
        ('{"code": null}', {"$.code": None}, []),
        ("{}", {"$.code": None}, ["$.code is missing"]),
        ('{"code": null}', {"$.code": 0}, ["$.code is null, not 0"]),
        ('{"a": [1, 2, 3]}', {"$.a[-1]": 3, "$.a[0]": 1}, []),
        ('{"a": [1]}', {"$.a[1]": 1}, ["$.a[1] is missing"]),
        ('{"a": [1]}', {"$.a[-2]": 1}, ["$.a[-2] is missing"]),
        ('{"a": {"0": 1}}', {"$.a[0]": 1}, ["$.a[0] is missing"]),
        ('{"a": [1]}', {"$.a.b": 1}, ["$.a.b is missing"]),
        ('{"a": "text"}', {"$.a[0]": "t"}, ["$.a[0] is missing"]),
        ('{"a": null}', {"$.a.b": 1}, ["$.a.b is missing"]),
        ("[]", {"$.a": 1}, ["$.a is missing"]),
        ('{"数据": {"名 字": "上海"}}', {"$.数据['名 字']": "上海"}, []),
        ('{"城市": "北京"}', {"$.城市": "上海"}, ['$.城市 is "北京", not "上海"']),
        ('{"a": {"b": [1, {"c": null}]}}', {"$.a": {"b": [1.0, {"c": None}]}}, []),
        ('{"a": [1, 2]}', {"$.a": [1]}, ["$.a is [1, 2], not [1]"]),
        ('"ok"', {"$": "ok"}, []),
        ('{"a": 1, "b": 2}', {"$.a": 9, "$.c": 9, "$.b": 9}, ["$.a is 1, not 9", "$.c is missing", "$.b is 2, not 9"]),
        ('{"n": 12345678901234567890123}', {"$.n": 12345678901234567890123}, []),
        ('{"n": 12345678901234567890124}', {"$.n": 12345678901234567890123}, [
            "$.n is 12345678901234567890124, not 12345678901234567890123"
        ]),
        ("<html>", {"$.code": 0}, ["body is not JSON, so $.code cannot be looked up"]),
        ("", {"$.code": 0}, ["body is not JSON, so $.code cannot be looked up"]),
        ("1" * 5000, {"$": 0}, ["body is not JSON, so $ cannot be looked up"]),
        ("[" * 100_000, {"$": 0}, ["body is not JSON, so $ cannot be looked up"]),
        ("\ufeff{}", {"$": {}}, []),
        (r'{"a": "\ud800"}', {"$.a": ""}, [r'$.a is "\ud800", not ""']),
    ],
)  # fmt: skip
def test_a_value_in_the_json_of_the_body_is_judged(body: str, wanted: dict[str, Json], sentences: list[str]) -> None:
    assert broken(reply(body), json=wanted) == sentences


def test_every_rule_must_hold_and_the_first_broken_one_is_the_reason() -> None:
    rules: Json = {"status": ("200",), "contains": "yes", "equals": "yes", "regex": "^y", "json": {"$.a": 1}}
    sentences = [
        "status 500 not in 200",
        'body does not contain "yes"',
        'body is not "yes"',
        'body does not match "^y"',
        "body is not JSON, so $.a cannot be looked up",
    ]
    assert broken(reply("no", 500), **rules) == sentences
    assert judge(Expectation(**rules), reply("no", 500)) == Judgement(Verdict.FAILED, "reply", sentences[0])


def test_a_reply_that_did_not_come_is_a_failure_of_its_kind() -> None:
    failure = SendFailed(Kind.DNS, "The name a.example was not found.")
    assert no_reply(failure) == Judgement(Verdict.FAILED, "dns", "The name a.example was not found.")


@pytest.mark.parametrize(("length", "shown"), [(118, '"' + "x" * 118 + '"'), (119, '"' + "x" * 119 + "…")])
def test_a_reason_quotes_no_more_than_a_person_reads(length: int, shown: str) -> None:
    assert broken(reply("y"), contains="x" * length) == [f"body does not contain {shown}"]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", r"(\w+\s?)*$", "(?:a|aa)+$", "(?R)", "(?e)(?:xyzxyz){e<=5}$"])
def test_a_pattern_that_would_never_end_is_stopped_and_named(pattern: str) -> None:
    sentence = f"regex {json.dumps(pattern)} took longer than 0.1 s on this body"
    assert broken(reply("a" * 50_000 + "b!"), regex=pattern) == [sentence]


# ── bytes to text ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("上海".encode(), "text/plain", "上海"),
        ("上海".encode(), "", "上海"),
        ("上海".encode("gbk"), "text/html; charset=gbk", "上海"),
        ("上海".encode("gb18030"), 'text/html; charset="GB18030"', "上海"),
        ("上海".encode("utf-16"), "text/plain; charset=utf-16", "上海"),
        ("café".encode("latin-1"), "text/plain; charset=ISO-8859-1", "café"),
        (b"caf\xe9", "text/plain", "caf\ufffd"),
        ("上海".encode(), "text/plain; charset=klingon", "上海"),
        ("上海".encode(), "text/plain; charset=", "上海"),
        ("上海".encode(), "text/plain; charset=\x00", "上海"),
        (b"aGk=", "text/plain; charset=base64", "aGk="),
        (b"uryyb", "text/plain; charset=rot13", "uryyb"),
        (b"+2AA-", "text/plain; charset=utf-7", "+2AA-"),
        (rb"\ud800", "text/plain; charset=unicode_escape", r"\ud800"),
        (rb"\ud800", "text/plain; charset=raw_unicode_escape", r"\ud800"),
        (b"a-b" * 9, "text/plain; charset=punycode", "a-b" * 9),
        ("上".encode("gbk") + b"\xff!", "text/plain; charset=gbk", "上\ufffd!"),
        (b"\xef\xbb\xbfsuccess", "text/plain", "success"),
    ],
)
def test_the_body_is_decoded_by_its_charset(body: bytes, content_type: str, text: str) -> None:
    assert text_of(reply(body, content_type=content_type)) == text


def test_a_reply_without_headers_is_utf_8() -> None:
    assert text_of(Reply(status=200, body="上海".encode())) == "上海"


CODECS = ["utf-8", "utf-16", "utf-32", "utf-7", "gbk", "gb18030", "big5", "hz", "iso2022_jp", "shift_jis", "cp1252"]
CODECS += ["unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined", "zlib", "hex", "uu", "utf_8_sig"]


@given(st.binary(max_size=40), st.sampled_from(CODECS).map("text/plain; charset={}".format) | st.text(max_size=40))
def test_whatever_comes_becomes_text_that_can_be_stored(body: bytes, content_type: str) -> None:
    text_of(reply(body, content_type=content_type)).encode()


@pytest.mark.parametrize(
    ("body", "charset", "limit", "kept", "length"),
    [
        (b"success", "utf-8", 100, "success", 7),
        (b"success", "utf-8", 7, "success", 7),
        (b"success", "utf-8", 4, "succ", 7),
        (b"success", "utf-8", 0, "", 7),
        ("上海".encode(), "utf-8", 5, "上", 6),
        ("上海".encode("gbk"), "gbk", 5, "上", 6),
        (b"\xff\xff", "utf-8", 4, "\ufffd", 6),
    ],
)
def test_what_is_kept_is_whole_characters_within_the_limit(
    body: bytes, charset: str, limit: int, kept: str, length: int
) -> None:
    assert excerpt(reply(body, content_type=f"text/plain; charset={charset}"), limit) == (kept, length)


# ── JSON, whatever it holds ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [1, MOST_DEPTH, MOST_DEPTH + 2, 700, *range(960, 1000), 5000])
def test_a_reply_of_any_depth_is_judged(depth: int) -> None:
    [sentence] = broken(reply("[" * depth + "]" * depth), json={"$.code": 0})
    too_deep = (
        "body is nested too deep, so $.code cannot be looked up",
        "body is not JSON, so $.code cannot be looked up",
    )
    assert (sentence == "$.code is missing") if depth <= MOST_DEPTH else (sentence in too_deep)
    [sentence] = broken(reply("[" * depth + "]" * depth), json={"$": 0})
    assert sentence.startswith("$ is [" if depth <= MOST_DEPTH else "body is n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_is_the_same_as_itself_after_its_way_through_json(value: Json) -> None:
    assert same(json.loads(json.dumps(value)), value)
    assert broken(reply(json.dumps(value)), json={"$": value}) == []


@given(JSON, JSON)
def test_two_values_are_the_same_when_json_says_so(one: Json, other: Json) -> None:
    def plain(value: Json) -> str:
        return json.dumps(value, sort_keys=True)

    assert same(one, other) == same(other, one)
    if plain(one) == plain(other):
        assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ([True], [1], False),
        ({"a": [True]}, {"a": [1]}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([], {}, False),
        ("1", 1, False),
        (None, 0, False),
        (None, False, False),
        (10**30, 10**30 + 1, False),
        ("é", "e\u0301", False),
    ],
)
def test_true_is_no_number_and_text_is_no_number(one: Json, other: Json, equal: bool) -> None:
    assert same(one, other) is same(other, one) is equal


@given(
    st.binary(max_size=60),
    st.sampled_from([{"contains": "x"}, {"equals": "x"}, {"regex": "x"}, {"json": {"$.a[0]": 1}}]),
)
def test_no_reply_can_break_the_judge_and_every_reason_can_be_stored(body: bytes, rules: Json) -> None:
    judgement = judge(Expectation(**rules), reply(body))
    assert (judgement.verdict is Verdict.DELIVERED) == (judgement.reason is None)
    (judgement.reason or "").encode()
