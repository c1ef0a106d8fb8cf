"""The kinds of channel: address, signature, and whether the message was taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import __version__
from chalicelib.notify.channels import KINDS, TIMEOUT, outgoing, refusal
from chalicelib.ports import Outgoing
from tests.unit.makers import NOON, channel, reply

DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n"
WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k3y"


def test_there_are_three_kinds_and_only_dingtalk_signs() -> None:
    assert {name: kind.signs for name, kind in KINDS.items()} == {"dingtalk": True, "wecom": False, "webhook": False}


def test_a_notice_is_a_post_of_the_rendered_text() -> None:
    hook = channel(kind="webhook", url="https://ops.example/hook", content_type="text/plain; charset=utf-8")
    assert outgoing(hook, "上海", now=NOON) == Outgoing(
        method="POST",
        url="https://ops.example/hook",
        headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": f"kkbida/{__version__}"},
        body="上海".encode(),
        timeout=TIMEOUT,
    )


# By: printf '1764590400123\nSEC-it-is-a-secret' | openssl dgst -sha256 -hmac SEC-it-is-a-secret -binary | base64
SIGNED = "timestamp=1764590400123&sign=rx8IT37aE9Hcqln%2B719OONEODZz8EvTa7QTdGmi6WRY%3D"


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        (DINGTALK, f"{DINGTALK}&{SIGNED}"),
        ("https://oapi.dingtalk.com/robot/send", f"https://oapi.dingtalk.com/robot/send?{SIGNED}"),
    ],
)
def test_dingtalk_is_signed_as_its_manual_says(url: str, signed: str) -> None:
    assert outgoing(channel(url=url, secret="SEC-it-is-a-secret"), "{}", now=NOON + 0.123).url == signed


@pytest.mark.parametrize(
    ("kind", "url"), [("dingtalk", DINGTALK), ("wecom", WECOM), ("webhook", "https://ops.example/")]
)
def test_without_a_secret_the_address_is_as_it_was_given(kind: str, url: str) -> None:
    assert outgoing(channel(kind=kind, url=url), "{}", now=NOON).url == url


@pytest.mark.parametrize("kind", ["dingtalk", "wecom"])
@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, '{"errcode":0,"errmsg":"ok"}', None),
        (200, '{"errcode":0}', None),
        (200, '{"errcode": 310000, "errmsg": "sign not match"}', "errcode 310000: sign not match"),
        (200, '{"errcode": 130101}', "errcode 130101: "),
        (200, '{"errcode": -1, "errmsg": "系统繁忙"}', "errcode -1: 系统繁忙"),
        (200, '{"errcode": 1, "errmsg": ["a", {"b": 1}]}', "errcode 1: "),
        (200, r'{"errcode": 1, "errmsg": "\ud800"}', r"errcode 1: \ud800"),
        (200, '{"errcode": "0"}', "the reply has no errcode that is a whole number"),
        (200, '{"errcode": false}', "the reply has no errcode that is a whole number"),
        (200, '{"errcode": null}', "the reply has no errcode that is a whole number"),
        (200, '{"errcode": []}', "the reply has no errcode that is a whole number"),
        (200, '{"errcode": 0.0}', "the reply has no errcode that is a whole number"),
        (200, "{}", "the reply has no errcode that is a whole number"),
        (200, '{"errmsg":"ok"}', "the reply has no errcode that is a whole number"),
        (200, "[0]", "the reply has no errcode that is a whole number"),
        (200, '"errcode"', "the reply has no errcode that is a whole number"),
        (200, "0", "the reply has no errcode that is a whole number"),
        (200, "null", "the reply has no errcode that is a whole number"),
        (200, "", "the reply has no errcode that is a whole number"),
        (200, "<html>ok</html>", "the reply has no errcode that is a whole number"),
        (200, b"\xff\xfe\x00", "the reply has no errcode that is a whole number"),
        (200, "[" * 100_000, "the reply has no errcode that is a whole number"),
        (200, '{"errcode":' + "1" * 5000 + "}", "the reply has no errcode that is a whole number"),
        (302, '{"errcode":0}', "status 302 not in 2xx"),
        (429, '{"errcode":0}', "status 429 not in 2xx"),
        (500, "", "status 500 not in 2xx"),
    ],
)
def test_a_robot_took_the_message_only_if_it_says_errcode_0(
    kind: str, status: int, body: str | bytes, why: str | None
) -> None:
    assert refusal(channel(kind=kind), reply(body, status)) == why


@pytest.mark.parametrize("depth", range(960, 1000))
def test_an_errcode_nested_as_deep_as_json_can_be_read_is_refused(depth: int) -> None:
    body = '{"errcode":' + "[" * depth + "]" * depth + "}"
    assert (refusal(channel(), reply(body)) or "").startswith("the reply")


def test_a_refusal_is_never_longer_than_a_person_reads() -> None:
    said = refusal(channel(), reply(f'{{"errcode": {"1" * 4000}, "errmsg": "{"x" * 9000}"}}'))
    assert said == f"errcode {'1' * 20}: {'x' * 200}"


@given(st.binary(max_size=60), st.sampled_from(sorted(KINDS)), st.integers(100, 599))
def test_no_reply_can_break_it_and_every_refusal_can_be_stored(body: bytes, kind: str, status: int) -> None:
    (refusal(channel(kind=kind), reply(body, status)) or "").encode()


@pytest.mark.parametrize(("status", "taken"), [(200, True), (204, True), (299, True), (301, False), (500, False)])
def test_a_plain_webhook_took_it_when_it_answers_2xx(status: int, taken: bool) -> None:
    why = refusal(channel(kind="webhook"), reply("whatever", status))
    assert why == (None if taken else f"status {status} not in 2xx")
