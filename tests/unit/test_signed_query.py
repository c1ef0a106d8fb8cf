"""The spellings of a query: all that well-known clients sign for the same names and values, and not too many."""

from __future__ import annotations

from itertools import product
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.signed_query import PLAIN_OR_ENCODED, spellings

WRITTEN = st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), min_size=1, max_size=2), max_size=3)

MOST = 900
"""Spellings of any query."""


@given(WRITTEN)
def test_every_spelling_means_the_same(query: dict[str, list[str]]) -> None:
    asked = sorted((name, value) for name, values in query.items() for value in values)
    for written in spellings(query):
        assert sorted(parse_qsl(written[1:], keep_blank_values=True, errors="surrogatepass")) == asked


@given(st.dictionaries(st.text(max_size=30), st.lists(st.text(max_size=300), min_size=1, max_size=3), max_size=5))
def test_there_are_not_too_many_and_none_twice(query: dict[str, list[str]]) -> None:
    found = list(spellings(query))
    assert len(found) == len(set(found)) <= MOST


def test_a_query_of_nothing_has_one_spelling() -> None:
    assert list(spellings({})) == ["?"]


def is_found(written: str) -> bool:
    return f"?{written}" in spellings(parse_qs(written, keep_blank_values=True))


@pytest.mark.parametrize("character", sorted(PLAIN_OR_ENCODED))
@pytest.mark.parametrize("space", ["%20", "+"])
def test_each_character_is_taken_plain_and_encoded(character: str, space: str) -> None:
    for text in (character, quote(character, safe=""), quote(character, safe="").lower()):
        assert is_found(f"q=a{text}b{space}c"), text


@pytest.mark.parametrize(
    "written",
    [
        "q=a%3Ab+c%20d", "q=a:b%3Ac", "q=a:b%3ac", "flag", "flag=", "flag&a=1", "a=1&flag&b=", "a=&b", "b=1&a=2",
        "a=1&b=2", "a=2&a=1&b=0", "b=0&a=2&a=1", "q=%E6%88%90%E5%8A%9F", "q=%e6%88%90+%e5%8a%9f", "q=a=b==",
        "q=%7Ea~b", "=x", "=",
        "a%5B%5D=1", "a[]=1", "q=100%25", "q=a%2Bb", "q=a%26b%23", "since=2026-01-01T00:00:00+08:00",
        "since=2026-01-01T00%3A00%3A00%2B08%3A00",
    ],
)  # fmt: skip
def test_what_clients_write_is_found(written: str) -> None:
    assert is_found(written)


def test_all_combinations_of_a_short_query_are_found() -> None:
    texts = [(":", "%3A"), ("+", "%20"), ("/", "%2F"), ("@", "%40"), ("!", "%21")]
    for chosen in product(*texts):
        assert is_found("q=" + "x".join(chosen) + "&limit=5")


LONG = "https://partner.example:443/a/b/c/d?e=(f)&g='h'!,i;j*k$ l m@n"


@pytest.mark.parametrize(
    "written",
    [
        urlencode({"q": LONG, "limit": 5}),
        urlencode({"q": LONG, "limit": 5}, quote_via=quote, safe=""),
        "q=" + quote(LONG, safe="!'()*~"),
        "q=" + quote(LONG, safe=":/?@!$'()*,;"),
        "q=" + quote(LONG, safe=":/?@!$'()*,; ").replace(" ", "+"),
        "q=" + quote(LONG, safe="* ").replace(" ", "+"),
        "q=" + quote(LONG, safe=":/?@!$()*,;=[]{}|^`\\"),
    ],
)
def test_a_long_query_is_found_as_well_known_clients_write_it(written: str) -> None:
    assert is_found(written)


def test_a_long_query_may_write_each_character_in_its_own_way() -> None:
    assert is_found("q=" + quote("a:b/c:d/e:f/g:h/i j:k", safe=":"))
