"""URLs as they are submitted and as they are sent: left as they are, or refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery.compose import with_query
from chalicelib.url import Url, parse_url


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//",
        "//key//x?q=a+b&c=%2B&u=http://h//y;z='1'",
        "/a%2fb?sign=x%2fy%3d",
        "/A%2FB",
        "/%7euser/~user",
        "/a/%2e%2e/b",
        "/a/../b/./c",
        "/..",
        "/a?",
        "/?",
        "/??a?b",
        "/a?b&&c=&=d&",
        "/a?filter[a]=1&items[]=2",
        "/a;b=c,d/@:!$&'()*+,;=",
        "/a?x=%00%0d%0a%E4%ff",
        "/[x]",
    ],
)
def test_a_target_is_sent_to_the_last_character_as_it_was_given(target: str) -> None:
    assert parse_url(f"http://a.example{target}").request_target == target
    assert parse_url(f"http://a.example{target}#part").request_target == target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example", "/"),
        ("http://a.example?x=1", "/?x=1"),
        ("http://a.example?", "/?"),
        ("http://a.example#x", "/"),
        ("http://a.example/上?é=%2f", "/%E4%B8%8A?%C3%A9=%2f"),
    ],
)
def test_what_http_cannot_carry_is_translated_and_nothing_else(url: str, target: str) -> None:
    assert parse_url(url).request_target == target


@given(
    st.from_regex(
        r"(/([a-zA-Z0-9._~!$&'()*+,;=:@\[\]-]|%[0-9a-fA-F]{2}){0,5}){1,4}(\?[a-z=&/?%0-9]{0,3})?", fullmatch=True
    )
)
def test_any_path_is_refused_or_sent_as_it_is(target: str) -> None:
    try:
        sent = parse_url(f"https://a.example{target}").request_target
    except ValueError as error:
        assert "%" in target
        assert "two hexadecimal digits" in str(error)  # noqa: PT017
    else:
        assert sent == target


@pytest.mark.parametrize(
    ("url", "authority", "parsed"),
    [
        ("http://A.Example/", "a.example", Url("http", "a.example", 80, "/")),
        ("HTTPS://a.example:443", "a.example", Url("https", "a.example", 443, "/")),
        ("http://a.example:/", "a.example", Url("http", "a.example", 80, "/")),
        ("http://a.example:00443/", "a.example:443", Url("http", "a.example", 443, "/")),
        ("https://a_b.example:80/", "a_b.example:80", Url("https", "a_b.example", 80, "/")),
        ("http://a.example./", "a.example.", Url("http", "a.example.", 80, "/")),
        ("http://例え.JP/", "xn--r8jz45g.jp", Url("http", "xn--r8jz45g.jp", 80, "/")),
        ("http://[2606:4700::1111]:81/", "[2606:4700::1111]:81", Url("http", "2606:4700::1111", 81, "/")),
        ("http://[fe80::1%25eth0]/", "[fe80::1%eth0]", Url("http", "fe80::1%eth0", 80, "/")),
        ("http://0x7f.1/", "0x7f.1", Url("http", "0x7f.1", 80, "/")),
    ],
)
def test_a_host_is_read_without_regard_to_case_and_by_its_ascii_form(url: str, authority: str, parsed: Url) -> None:
    assert parse_url(url) == parsed
    assert parsed.authority == authority


CHARACTER = ", which no URL can contain; in a path or a query it is written "
PERCENT = ", but % must be followed by two hexadecimal digits; a percent sign itself is written %25"
PORT = "; ports are numbers from 1 to 65535"
APART = "names a host and a port that cannot be told apart; write host:port, an IPv6 address as [::1]"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("partner.example/callback", "must begin with http:// or https://"),
        ("http:/partner.example", "must begin with http:// or https://"),
        (" http://partner.example/", "must begin with http:// or https://"),
        ("http://", "names no host"),
        ("http://:80/", "names no host"),
        ("http://?x", "names no host"),
        ("http://a@b.example/", "holds credentials; put them into a header"),
        ("http://exa mple/", f"holds ' ' at character 11{CHARACTER}%20"),
        ("http://a.example/\n", f"holds '\\n' at character 18{CHARACTER}%0A"),
        ("http://a.example/\r\nX-Evil: 1", f"holds '\\r' at character 18{CHARACTER}%0D"),
        ("http://a.exa\tmple/", f"holds '\\t' at character 13{CHARACTER}%09"),
        ("http://a.example/\x00", f"holds '\\x00' at character 18{CHARACTER}%00"),
        ("http://a.example/\x7f", f"holds '\\x7f' at character 18{CHARACTER}%7F"),
        ("http://a.example/\u2028", f"holds '\\u2028' at character 18{CHARACTER}%E2%80%A8"),
        ("http://a.example/\u3000", f"holds '\\u3000' at character 18{CHARACTER}%E3%80%80"),
        ("http://a.example/\udc00", f"holds '\\udc00' at character 18{CHARACTER}%ED%B0%80"),
        ("http://a.example\\@b.example/", f"holds '\\\\' at character 17{CHARACTER}%5C"),
        ("http://a.example/{name}", f"holds '{{' at character 18{CHARACTER}%7B"),
        ("http://a.example/%", f"holds '%' at character 18{PERCENT}"),
        ("http://a.example/?a=50%&b=%2f", f"holds '%&b' at character 23{PERCENT}"),
        ("http://a.example/%2g", f"holds '%2g' at character 18{PERCENT}"),
        ("http://a.example/%\u0664\u0661", f"holds '%\\u0664\\u0661' at character 18{PERCENT}"),
        ("http://a.example:0/", f"names port '0'{PORT}"),
        ("http://a.example:65536/", f"names port '65536'{PORT}"),
        (f"http://a.example:{'9' * 3000}/", f"names port '{'9' * 20}'{PORT}"),
        ("http://a.example:-1/", f"names port '-1'{PORT}"),
        ("http://a.example:8_0/", f"names port '8_0'{PORT}"),
        ("http://a.example:\u0664/", f"names port '\\u0664'{PORT}"),
        ("http://[::1", APART),
        ("http://::1]/", APART),
        ("http://::1/", APART),
        ("http://a:b:80/", APART),
        ("http://[::1]80/", APART),
        ("http://[v1.x]/", "names [v1.x], which is no IPv6 address"),
        ("http://[127.0.0.1]/", "names [127.0.0.1], which is no IPv6 address"),
        ("http://*.example/", "names a host with '*' in it; host names consist of letters, digits, - and ."),
        ("http://%61.example/", "names a host with '%' in it; host names consist of letters, digits, - and ."),
        ("http://a..example/", "names a host whose parts between the dots are not 1 to 63 characters long"),
        ("http://.example/", "names a host whose parts between the dots are not 1 to 63 characters long"),
        (f"http://{'a' * 64}.example/", "names a host whose parts between the dots are not 1 to 63 characters long"),
        (f"http://{'a.' * 127}example/", "names a host whose parts between the dots are not 1 to 63 characters long"),
        ("http://part℀ner.example/", "names a host that is not an internationalized domain name: "),
        ("http://１２７.0.0.1/", "names a host that is not an internationalized domain name: "),
        ("http://127。0。0。1/", "names a host that is not an internationalized domain name: "),
    ],
)
def test_what_is_no_url_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is compared
        parse_url(url)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("url", "query", "whole"),
    [
        ("http://a.example/x", "b=1", "http://a.example/x?b=1"),
        ("http://a.example/x?", "b=1", "http://a.example/x?b=1"),
        ("http://a.example/x?a=%2f", "b=1", "http://a.example/x?a=%2f&b=1"),
        ("HTTP://A.example//%7e?a", "b=1", "HTTP://A.example//%7e?a&b=1"),
        ("http://a.example?", "", "http://a.example?"),
        ("http://a.example", "", "http://a.example"),
        ("http://a.example#", "b=1", "http://a.example?b=1#"),
    ],
)
def test_params_are_added_behind_the_url_and_change_nothing_of_it(url: str, query: str, whole: str) -> None:
    assert with_query(url, query) == whole
