"""Which replies count, and the exact sentence about those that do not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from encodings.aliases import aliases
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery.judge import Judgement, broken_rules, excerpt, judge, no_reply, same, text_of
from chalicelib.errors import InvalidRequest, Kind, SendFailed
from chalicelib.expect import REGEX_SECONDS, status_matches
from chalicelib.ports import Reply
from chalicelib.shape import MOST_DEPTH
from chalicelib.submission import read
from chalicelib.task import Expectation, Json, Verdict
from tests.cases import share
from tests.unit.makers import NOON, SETTINGS, AnyAddress, reply
from tests.unit.plainly import counts, plain
from tests.unit.strategies import EXPECTATIONS, STATUS_LISTS, STATUS_PATTERNS


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


@pytest.mark.parametrize(
    ("status", "location", "sentence"),
    [
        (
            *(308, "https://www.partner.example/hook"),
            'status 308 not in 2xx; it redirects to "https://www.partner.example/hook", and redirects are not followed',
        ),
        (301, '/a"b\n', 'status 301 not in 2xx; it redirects to "/a\\"b\\n", and redirects are not followed'),
        (
            *(302, "https://a.example/x?token=hunter2&y=1"),
            'status 302 not in 2xx; it redirects to "https://a.example/x?…", and redirects are not followed',
        ),
        (302, "", 'status 302 not in 2xx; it redirects to "", and redirects are not followed'),
        (300, "x" * 9000, f'status 300 not in 2xx; it redirects to "{"x" * 200}", and redirects are not followed'),
        (201, "/here", None),
        (400, "/here", "status 400 not in 2xx"),
        (503, "/here", "status 503 not in 2xx"),
    ],
)
def test_a_redirect_names_its_place(status: int, location: str, sentence: str | None) -> None:
    answer = Reply(status=status, headers={"location": location})
    assert broken(answer, status=("2xx",)) == ([sentence] if sentence else [])


def test_a_body_that_is_not_decoded_breaks_the_rules_about_bodies_and_no_others() -> None:
    answer = Reply(status=200, body=b"\x0b\x03\x80success\x03", undecoded='body is encoded as "br"')
    assert broken(answer, status=("2xx",)) == []
    assert broken(answer, status=("4xx",)) == ["status 200 not in 4xx"]
    for rules in ({"contains": "success"}, {"equals": "success"}, {"regex": "success"}, {"json": {"$.code": 0}}):
        assert broken(answer, status=("2xx",), **rules) == ['body is encoded as "br"']


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
        ('{"a": [1, 2]}', {"$.a": [1]}, ["$.a is [1,2], not [1]"]),
        ('"ok"', {"$": "ok"}, []),
        ('{"a": 1, "b": 2}', {"$.a": 9, "$.c": 9, "$.b": 9}, ["$.a is 1, not 9", "$.c is missing", "$.b is 2, not 9"]),
        ('{"n": 12345678901234567890123}', {"$.n": 12345678901234567890123}, []),
        ('{"n": 12345678901234567890124}', {"$.n": 12345678901234567890123}, [
            "$.n is 12345678901234567890124, not 12345678901234567890123"
        ]),
        ("<html>", {"$.code": 0}, ["body is not JSON, so $.code cannot be looked up"]),
        ("", {"$.code": 0}, ["body is not JSON, so $.code cannot be looked up"]),
        ("1" * 5000, {"$": 0}, [f"$ is {'1' * 120}…, not 0"]),
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
        ("上海".encode("gbk"), "text/html; charset=gb2312", "上海"),
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


# ── any expectation, any reply ───────────────────────────────────────────────────────────────────


def expectation(submitted: Json) -> Expectation:
    return read({"url": "https://partner.example/", "expect": submitted}, SETTINGS, AnyAddress(), NOON).expect


def steps_of(path: str) -> list[str | int]:
    """The steps of a path such as the tests make, read in another way than `json_path` does."""
    found = re.findall(r"""\.([^.\[]+)|\[(-?\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""", path)
    return [int(index) if index else name or single or double for name, index, single, double in found]


def planted(path: str, value: Json) -> Json:
    """A document in which the value stands at the path."""
    for step in reversed(steps_of(path)):
        others = [None] * (abs(step) - (step < 0)) if isinstance(step, int) else []
        value = {step: value} if isinstance(step, str) else [*others, value] if step >= 0 else [value, *others]
    return value


def near(value: Json) -> list[Json]:
    """What a careless comparison would hold for the same."""
    if isinstance(value, bool) or value is None:
        return [int(value or 0), str(value).lower()]
    if isinstance(value, int | float):
        return [bool(value), str(value), *([float(value)] if abs(value) < 2**53 else [])]
    if isinstance(value, list):
        return [[*value, None], value[1:], value[::-1]]
    return [{**value, "more": 1}, dict(list(value.items())[1:])] if isinstance(value, dict) else [[value], f"{value} "]


@st.composite
def replies(draw: st.DrawFn, expect: Json) -> Reply:
    """A reply in UTF-8 that may meet the expectation, or nearly does."""
    text = st.text(max_size=4)
    bodies = [text, JSON.map(json.dumps), st.sampled_from(["12", "ok", "成功", "aaa", "code=0", "\ufeffsuccess"])]
    for word in (expect[rule] for rule in ("contains", "equals") if rule in expect):
        bodies.append(st.sampled_from([word, word.swapcase(), f"{word}\n", f" {word}", word[1:], f"\ufeff{word}"]))
        bodies.append(st.builds("{}{}{}".format, text, st.just(word), text))
    for path, value in expect.get("json", {}).items():
        bodies.append(st.sampled_from([json.dumps(planted(path, it)) for it in (value, *near(value))]))
    likely = [status for status in range(100, 600) if counts(status, expect.get("status", ["2xx"]))]
    status = draw(st.sampled_from(likely or [200]) | st.integers(100, 599))
    return reply(draw(st.one_of(bodies[::-1])), status)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Json, Reply]:
    """An expectation of a rule or two, and a reply."""
    expect = draw(EXPECTATIONS)
    rules = draw(st.sets(st.sampled_from(sorted(expect)), min_size=1, max_size=2)) if expect else set()
    expect = {name: expect[name] for name in sorted(rules)}
    return expect, draw(replies(expect))


def holds(text: str, path: str, wanted: Json) -> bool:
    try:
        return plain(at(json.loads(text), steps_of(path))) == plain(wanted)
    except (ValueError, LookupError):
        return False


def at(document: Json, steps: list[str | int]) -> Json:
    """What stands there. Raises KeyError."""
    for step in steps:
        document = named(document)[step]
    return document


def named(document: Json) -> Mapping[str | int, Json]:
    """What an object or a list holds, by each way to name it."""
    if isinstance(document, list):
        return {place: item for n, item in enumerate(document) for place in (n, n - len(document))}
    return document if isinstance(document, dict) else {}


def meets(expect: Json, answer: Reply) -> bool:
    """Whether a reply in UTF-8 is as expected: the rules once more, as plainly as they can be said."""
    text = answer.body.decode().removeprefix("\ufeff")
    return (
        counts(answer.status, expect.get("status", ["2xx"]))
        and ("contains" not in expect or expect["contains"] in text)
        and ("equals" not in expect or expect["equals"] == text)
        and ("regex" not in expect or re.search(expect["regex"], text) is not None)
        and all(holds(text, path, wanted) for path, wanted in expect.get("json", {}).items())
    )


@share(2)
@given(cases())
def test_the_judge_agrees_with_the_rules_read_plainly(case: tuple[Json, Reply]) -> None:
    expect, answer = case
    judgement = judge(expectation(expect), answer)
    assert (judgement.verdict is Verdict.DELIVERED) == meets(expect, answer)


@given(STATUS_LISTS | st.lists(STATUS_PATTERNS.map("!{}".format), min_size=1, max_size=3))
def test_the_statuses_of_a_list_are_a_plain_set_of_numbers(patterns: list[str]) -> None:
    found = {status for status in range(100, 600) if status_matches(status, patterns)}
    assert found == {status for status in range(100, 600) if counts(status, patterns)}


CHARSETS = st.sampled_from(CODECS) | st.sampled_from(sorted(set(aliases.values()))) | st.text(max_size=10)
CONTENT_TYPES = st.text(max_size=40) | st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["text/plain; charset=", "text/html;charset*=utf-8''", 'a/b; charset="', "charset*0=", ";;charset="]
    ),
    CHARSETS,
    st.sampled_from(["", '"', "; charset=gbk", "''", "\r\n x"]),
)


@share(2)
@given(
    EXPECTATIONS, st.integers(100, 599), st.binary(max_size=60) | JSON.map(json.dumps).map(str.encode), CONTENT_TYPES
)
def test_no_reply_can_break_the_judge_and_every_reason_can_be_stored(
    expect: Json, status: int, body: bytes, content_type: str
) -> None:
    rules, answer = expectation(expect), reply(body, status, content_type)
    judgement = judge(rules, answer)
    assert judge(rules, answer) == judgement
    assert (judgement.verdict is Verdict.DELIVERED) == (judgement.reason is None)
    (judgement.reason or "").encode()


@given(st.binary(max_size=40), CONTENT_TYPES, st.integers(0, 50))
def test_what_is_kept_is_as_much_of_the_text_as_the_limit_holds(body: bytes, content_type: str, limit: int) -> None:
    answer = reply(body, content_type=content_type)
    text = text_of(answer)
    kept, length = excerpt(answer, limit)
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit
    assert kept == text or len(text[: len(kept) + 1].encode()) > limit
    assert length == len(text.encode())


# ── hostile patterns ─────────────────────────────────────────────────────────────────────────────

ATOMS = st.sampled_from(["a", "b", ".", r"\w", "[ab]", "[^b]", r"\1", "(?R)", r"\b", "", "(?i:A)", r"\p{L}", "^", "$"])
REPEATS = st.sampled_from(["+", "*", "?", "{2,}", "{1,60}", "{40}", "*?", "++", "{e<=2}"])
GROUPS = st.sampled_from(["({})", "(?:{})", "(?={})", "(?<={})", "(?>{})", "(?:{}|a)", "(a|{})"])
HOSTILE = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda group, inside, repeat: group.format(inside) + repeat, GROUPS, inner, REPEATS),
        st.tuples(inner, inner).map("".join),
    ),
    max_leaves=8,
)


@share(0.4)
@given(HOSTILE, st.sampled_from(["a" * 3000, "a" * 3000 + "!", "ab" * 1500, "b" * 30 + "a" * 30]))
def test_no_pattern_that_is_accepted_holds_a_worker_up(pattern: str, text: str) -> None:
    began = thread_time()
    try:
        rules = expectation({"regex": pattern})
    except InvalidRequest:
        rules = Expectation()
    judge(rules, reply(text))
    assert thread_time() - began < 10 * REGEX_SECONDS
