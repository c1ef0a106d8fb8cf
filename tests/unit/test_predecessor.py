"""URLs as Spring's RestTemplate makes them of a template and values (mode URI_COMPONENT)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import predecessor
from chalicelib.errors import IdempotencyConflict, InvalidRequest, TooLarge
from chalicelib.predecessor import expand, told
from chalicelib.shape import MapOf, Text

HOST = "https://partner.example"


@pytest.mark.parametrize(
    ("template", "values", "url"),
    [
        ("/a/{p}", {"p": "b"}, "/a/b"),
        ("/{p}/{p}", {"p": "上海"}, "/%E4%B8%8A%E6%B5%B7/%E4%B8%8A%E6%B5%B7"),
        ("/{p}", {"p": "a/b"}, "/a%2Fb"),
        ("/{p}", {"p": "a?b#c"}, "/a%3Fb%23c"),
        ("/{p}", {"p": "a b"}, "/a%20b"),
        ("/{p}", {"p": "a=b&c;d+e,f:g@h!"}, "/a=b&c;d+e,f:g@h!"),
        ("/?q={q}", {"q": "a=b&c"}, "/?q=a%3Db%26c"),
        ("/?q={q}", {"q": "a+b/c?d:e;f"}, "/?q=a+b/c?d:e;f"),
        ("/?q={q}", {"q": "a b#c[d]"}, "/?q=a%20b%23c%5Bd%5D"),
        ("/?q={q}", {"q": "100%"}, "/?q=100%25"),
        ("/?q={q}", {"q": "%20"}, "/?q=%2520"),
        ("/a%20b?c=%E4", {}, "/a%2520b?c=%25E4"),
        ("/?{n}={v}", {"n": "上", "v": "下"}, "/?%E4%B8%8A=%E4%B8%8B"),
        ("/?a={x}b{x}", {"x": "1"}, "/?a=1b1"),
        ("/?a=b=c&d&e=", {}, "/?a=b%3Dc&d&e="),
        ("/{id:[0-9]+}", {"id": 42}, "/42"),
        ("/?{i}&{f}&{t}&{o}", {"i": 42, "f": 1.5, "t": True, "o": {"a": [1]}}, "/?42&1.5&true&%7B%22a%22:%5B1%5D%7D"),
        ("/?q={q}", {"q": "{other}"}, "/?q=%7Bother%7D"),
        ("/?q={q}", {"q": ""}, "/?q="),
        ("/a//b/", {}, "/a/b/"),
        ("", {"unused": "1"}, ""),
        ("/a#frag-{p}", {"p": "x"}, "/a"),
        ("/{}", {}, "/%7B%7D"),
    ],
)  # fmt: skip
def test_a_template_is_filled_in_and_then_encoded(template: str, values: dict[str, Any], url: str) -> None:
    assert expand(HOST + template, values) == HOST + url


def test_the_host_is_filled_in_as_well() -> None:
    assert expand("HTTPS://{host}:8443/x", {"host": "a.example"}) == "HTTPS://a.example:8443/x"


@pytest.mark.parametrize("values", [{}, {"b": "1"}, {"a": None}])
def test_a_place_without_a_value_is_a_fault(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        expand(f"{HOST}/{{a}}", values)
    assert [fault.pointer for fault in refused.value.faults] == ["/requestParam"]


@pytest.mark.parametrize(
    ("template", "value"), [("/{a}" * 1300, "%" * 200_000), ("/?a={a}&{a}={a}", "x" * 2000), ("/{a}", "x" * 4001)]
)
def test_a_url_that_would_be_too_long_is_never_built(
    template: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predecessor, "quote", pytest.fail)
    with pytest.raises(InvalidRequest) as refused:
        expand(HOST + template, {"a": value, "unused": "x" * 100_000})
    assert [fault.pointer for fault in refused.value.faults] == ["/url"]


def test_values_without_a_place_do_not_count() -> None:
    assert expand(f"{HOST}/{{a}}", {"a": "x" * 4000, "unused": "x" * 100_000}) == f"{HOST}/{'x' * 4000}"


def test_whatever_is_refused_is_told_in_both_languages() -> None:
    assert told(TooLarge("It has 9 bytes.")) == "任务添加失败，请求不正确 (It has 9 bytes.)"
    assert told(IdempotencyConflict("Key k.")) == "任务添加失败，请求不正确 (Key k.)"
    faults = tuple(MapOf(shape=Text(most=1)).faults({"expectResult": "too long"}, ""))
    assert told(InvalidRequest(faults=faults)).startswith("任务添加失败，期待结果不能为空 (expectResult must have")
