"""How status patterns, JSON paths and regular expressions are read."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.expect import REGEX_LENGTH, bounded_regex, json_path, status_matches, status_range


@pytest.mark.parametrize(
    ("pattern", "negated", "first", "last"),
    [
        ("200", False, 200, 200),
        ("2xx", False, 200, 299),
        ("5XX", False, 500, 599),
        ("200-204", False, 200, 204),
        ("200-200", False, 200, 200),
        ("!204", True, 204, 204),
        ("!4xx", True, 400, 499),
        (" 404 ", False, 404, 404),
    ],
)
def test_a_status_pattern_is_a_range_taken_in_or_out(pattern: str, negated: bool, first: int, last: int) -> None:
    assert status_range(pattern) == (negated, range(first, last + 1))


@pytest.mark.parametrize(
    "pattern",
    [
        "", "!", "20", "2000", "099", "600", "6xx", "xx", "2x", "2xxx", "x2x", "200-", "-200", "299-200", "2xx-3xx",
        "!!200", "200,201", "２００", "200\n201", "ok", "*",
    ],
)  # fmt: skip
def test_anything_else_is_no_status_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=rf'^"{re.escape(pattern)}" (is no status pattern|ends before it begins)'):
        status_range(pattern)


@pytest.mark.parametrize(
    ("status", "patterns", "matches"),
    [
        (200, ["2xx"], True),
        (299, ["2xx"], True),
        (300, ["2xx"], False),
        (199, ["2xx"], False),
        (404, ["2xx", "404"], True),
        (204, ["2xx", "!204"], False),
        (204, ["!204", "2xx"], False),
        (204, ["204", "!204"], False),
        (200, ["!204"], True),
        (204, ["!204"], False),
        (429, ["4xx", "!408", "!429"], False),
        (400, ["4xx", "!408", "!429"], True),
        (503, ["4xx", "!408", "!429"], False),
        (200, [], False),
    ],
)
def test_a_status_must_be_taken_in_and_not_taken_out(status: int, patterns: list[str], matches: bool) -> None:
    assert status_matches(status, patterns) is matches


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.code", ("code",)),
        ("$.data.list[0].id", ("data", "list", 0, "id")),
        ("$[-1]", (-1,)),
        ("$['a b']", ("a b",)),
        ('$["a.b"][2]', ("a.b", 2)),
        ("$.数据['名字']", ("数据", "名字")),
        ("$.a-b_c1", ("a-b_c1",)),
        ("$['']", ("",)),
        (r"$['it\'s']", ("it's",)),
        (r"""$['say "so"']""", ('say "so"',)),
        (r'$["say \"so\""]', ('say "so"',)),
        (r"$['back\\slash']", ("back\\slash",)),
        (r"$['line\nbreak']", ("line\nbreak",)),
        (r"$['\u4e0a\u6d77']", ("上海",)),
        (r"$['\ud83d\ude00']", ("😀",)),
        ("$['$.code']", ("$.code",)),
    ],
)
def test_a_json_path_is_a_row_of_names_and_places(path: str, steps: tuple[str | int, ...]) -> None:
    assert json_path(path) == steps


@pytest.mark.parametrize(
    "path",
    [
        "", "code", ".code", "@.a", "$code", "$.", "$..a", "$.*", "$[*]", "$[1:2]", "$[?@.a]", "$['a','b']", "$[1",
        "$['a]", "$[]", "$.1a", "$[1.5]", "$.a ", " $.a", "$[١]", "$[9999999999]", r"$['\q']", r"$['\u12']",
        "$['a\tb']", r"""$['\"']""",
    ],
)  # fmt: skip
def test_a_path_to_many_values_or_none_is_refused(path: str) -> None:
    refusals = rf'^"{re.escape(path)}" (is no JSON path|cannot be read from )|holds an escape that JSON does not have'
    with pytest.raises(ValueError, match=refusals):
        json_path(path)


@given(st.text(alphabet="$.[]'\"\\ab0-1 u4e", max_size=12) | st.text(max_size=8))
def test_a_path_can_be_read_or_is_refused_and_nothing_else(path: str) -> None:
    with suppress(ValueError):
        assert all(isinstance(step, str | int) for step in json_path(f"${path}"))


@given(st.text(max_size=20))
def test_any_name_can_be_written_in_quotes(name: str) -> None:
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(name.encode("utf-16-le")).cast("H"))
    assert json_path(f"$['{escaped}']") == (name,) == json_path(f'$["{escaped}"]')


@pytest.mark.parametrize(
    "pattern",
    [
        "", "success", "成功", r"(?i)ok", r"^\d{4}-\d{2}-\d{2}$", r"(?:\d{1,3}\.){3}\d{1,3}", r"\p{Han}+", r"\(?xyz\)?",
        r"([0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\s*)+", r"[\s\S]{1000,}", r"(?P<x>a)(?P=x)",
    ],
)  # fmt: skip
def test_a_usual_pattern_is_taken(pattern: str) -> None:
    assert bounded_regex(pattern).pattern == pattern


@pytest.mark.parametrize(
    "pattern", ["(", ")", "[", "a**", "(?P<a>", "a{2,1}", r"\p{nothing}", "(?1)", "(" * 900, r"\L<a>"]
)
def test_a_pattern_that_cannot_be_compiled_says_so(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^is no regular expression: "):
        bounded_regex(pattern)


def test_a_pattern_has_a_longest_length() -> None:
    assert bounded_regex("a" * REGEX_LENGTH)
    with pytest.raises(ValueError, match=r"^is longer than 1000 characters$"):
        bounded_regex("a" * (REGEX_LENGTH + 1))


@pytest.mark.parametrize(
    "pattern",
    [
        "a{9999999}",
        "a{9999999,}",
        "(a{9999}){9999}",
        "(?:(?:(?:.{10}){10}){10}){10000}",
        "a{999}" * 100,
        "(?:ab?){1000000}",
        "(?:" + "[ab]" * 200 + "){1000}",
        "(a)(?#c){1000000}",
    ],
)
def test_a_pattern_that_would_eat_the_memory_is_not_even_compiled(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^repeats too much: .* more than 5000 steps$"):
        bounded_regex(pattern)


@pytest.mark.parametrize(
    ("taken", "refused"), [("a{4993}", "a{4994}"), ("(?:ab){454}", "(?:ab){455}"), ("(a{4980}){1}", "(a{4980}){2}")]
)
def test_a_pattern_may_have_five_thousand_steps(taken: str, refused: str) -> None:
    assert bounded_regex(taken)
    with pytest.raises(ValueError, match=r"^repeats too much"):
        bounded_regex(refused)


@pytest.mark.parametrize("pattern", ["(?x)(a) {9999999}", "(?x)a{9 999 999}", "(?i-x:a)", r"\\(?x)a", "(?x:a)"])
def test_spaces_that_could_hide_a_repetition_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^sets the flag x, which is not taken"):
        bounded_regex(pattern)


@given(st.text(max_size=12) | st.text(alphabet="()[]{}?*+|^$\\.,0123<>=!:Pabx", max_size=12))
def test_a_pattern_is_compiled_or_refused_and_nothing_else(pattern: str) -> None:
    with suppress(ValueError):
        assert bounded_regex(pattern).pattern == pattern
