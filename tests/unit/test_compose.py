"""From a task to the bytes on the wire."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import __version__
from chalicelib.delivery.compose import compose
from chalicelib.ports import Outgoing
from chalicelib.task import Json
from tests.unit.makers import NOON, request, task

URL = "https://partner.example/callback"


def composed(*, number: int = 1, most_seconds: float = 60, **of_request: Json) -> Outgoing:
    it = task(request=request(**of_request), number=number)
    return compose(it, now=NOON + 0.9, most_seconds=most_seconds)


def header(outgoing: Outgoing, name: str) -> list[str]:
    return [value for key, value in outgoing.headers.items() if key.lower() == name]


# ── the query ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"city": "上海"}, "city=%E4%B8%8A%E6%B5%B7"),
        ({"城市": "a b"}, "%E5%9F%8E%E5%B8%82=a+b"),
        ({"q": "a&b=c#d?e+f%"}, "q=a%26b%3Dc%23d%3Fe%2Bf%25"),
        ({"n": 1, "f": 1.5, "big": 12345678901234567890123}, "n=1&f=1.5&big=12345678901234567890123"),
        ({"yes": True, "no": False}, "yes=true&no=false"),
        ({"none": None, "empty": ""}, "none=&empty="),
        ({"a": [1, "x", None, True]}, "a=1&a=x&a=&a=true"),
        ({"a": []}, ""),
        ({"a": {"b": [1, "上"]}}, "a=%7B%22b%22%3A%5B1%2C%22%E4%B8%8A%22%5D%7D"),
        ({"a": [{"b": 1}, [2, 3]]}, "a=%7B%22b%22%3A1%7D&a=%5B2%2C3%5D"),
        ({"": "x"}, "=x"),
    ],
)
def test_the_params_of_a_get_are_its_query(params: dict[str, Json], query: str) -> None:
    outgoing = composed(method="GET", params=params)
    assert (urlsplit(outgoing.url).query, outgoing.body) == (query, None)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (URL, f"{URL}?a=1"),
        (f"{URL}?", f"{URL}?a=1"),
        (f"{URL}?b=2&c=%20x", f"{URL}?b=2&c=%20x&a=1"),
        ("http://partner.example", "http://partner.example?a=1"),
        ("https://partner.example:8443/a;b/c?d", "https://partner.example:8443/a;b/c?d&a=1"),
    ],
)
def test_the_query_that_the_url_has_is_kept(method: str, url: str, sent: str) -> None:
    assert composed(method=method, url=url, params={"a": 1}).url == sent


@pytest.mark.parametrize("url", ["HTTP://Partner.Example?", "https://partner.example/a?b=%e4&c#", "http://例え.jp/上"])
def test_a_url_without_params_is_not_touched(url: str) -> None:
    assert composed(method="GET", url=url).url == url


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=8), max_size=4))
def test_a_receiver_reads_the_params_as_they_were_submitted(params: dict[str, str]) -> None:
    query = urlsplit(composed(method="GET", url=f"{URL}?kept=1", params=params).url).query
    assert parse_qsl(query, keep_blank_values=True) == [("kept", "1"), *params.items()]


# ── the body ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given_", "body", "content_type"),
    [
        ({"body": {"a": [1, None, "上"]}}, '{"a":[1,null,"上"]}', "application/json"),
        ({"body": 12345678901234567890123}, "12345678901234567890123", "application/json"),
        ({"body": False}, "false", "application/json"),
        ({"body": []}, "[]", "application/json"),
        ({"body": 'a "text" 上'}, 'a "text" 上', "text/plain; charset=utf-8"),
        ({"body": ""}, "", "text/plain; charset=utf-8"),
        ({"body": "<a/>", "content_type": "text/xml"}, "<a/>", "text/xml"),
        ({"body": '{"a": 1}', "content_type": "application/json"}, '{"a": 1}', "application/json"),
        ({"body": {"a": 1}, "content_type": "application/vnd.a+json"}, '{"a":1}', "application/vnd.a+json"),
        ({"params": {"city": "上海", "n": 1}}, '{"city":"上海","n":1}', "application/json"),
        (
            {"params": {"city": "上 海", "n": [1, 2]}, "content_type": "application/x-www-form-urlencoded"},
            "city=%E4%B8%8A+%E6%B5%B7&n=1&n=2",
            "application/x-www-form-urlencoded",
        ),
        (
            {"params": {"a": True}, "content_type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"},
            "a=true",
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
        ),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_is_sent_in_the_form_that_its_type_asks_for(
    method: str, given_: dict[str, Json], body: str, content_type: str
) -> None:
    outgoing = composed(method=method, **given_)
    assert (outgoing.body, header(outgoing, "content-type")) == (body.encode(), [content_type])
    assert outgoing.url == URL


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_beside_a_body_the_params_are_the_query(method: str) -> None:
    outgoing = composed(method=method, params={"a": 1}, body={"b": 2})
    assert (outgoing.url, outgoing.body) == (f"{URL}?a=1", b'{"b":2}')


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_without_a_body_there_is_neither_a_body_nor_a_type_of_it(method: str) -> None:
    outgoing = composed(method=method)
    assert (outgoing.method, outgoing.body, header(outgoing, "content-type")) == (method, None, [])


JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner | st.text(), max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_receiver_reads_the_body_as_it_was_submitted(body: Json) -> None:
    assert repr(json.loads(composed(body=body).body or b"")) == repr(body)


# ── the headers ──────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_says_which_task_it_is_which_try_and_when() -> None:
    assert composed(number=3, headers={"X-Order": "42"}).headers == {
        "User-Agent": f"kkbida/{__version__}",
        "Accept": "*/*",
        "X-Order": "42",
        "webhook-id": "task-1",
        "webhook-timestamp": "1764590400",
        "webhook-attempt": "3",
    }


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "ACCEPT"])
def test_what_is_only_a_default_gives_way_in_any_case(name: str) -> None:
    assert header(composed(headers={name: "mine"}), name.lower()) == ["mine"]


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-attempt"])
def test_what_is_ours_stays_ours(name: str) -> None:
    assert header(composed(headers={name: "forged"}), name) == header(composed(), name)


# ── the time ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("asked", "most", "seconds"), [(10, 60, 10), (60, 60, 60), (120, 60, 60), (0.5, 60, 0.5)])
def test_an_attempt_lasts_as_long_as_asked_within_the_most(asked: float, most: float, seconds: float) -> None:
    assert composed(timeout=asked, most_seconds=most).timeout == seconds
