"""The kinds of channel: address, signature, and whether the message was taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import __version__
from chalicelib.notify.channels import KINDS, TIMEOUT, is_busy, letter, mailto_faults, outgoing, refusal
from chalicelib.ports import Letter, Outgoing, Reply
from tests.unit.makers import NOON, channel, reply

DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n"
WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k3y"


def test_dingtalk_and_feishu_sign_and_nobody_else_does() -> None:
    assert {name for name, kind in KINDS.items() if kind.signs} == {"dingtalk", "feishu", "lark"}


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


@pytest.mark.parametrize("kind", ["dingtalk", "wecom", "feishu", "slack", "webhook"])
def test_a_channel_that_redirects_names_the_place(kind: str) -> None:
    answer = Reply(status=302, headers={"location": "https://login.example/"})
    why = refusal(channel(kind=kind), answer) or ""
    assert why.startswith('status 302 not in 2xx; it redirects to "https://login.example/"')


@pytest.mark.parametrize("kind", ["dingtalk", "wecom", "feishu"])
def test_a_robot_whose_answer_is_not_decoded_is_told_as_such(kind: str) -> None:
    answer = Reply(status=200, body=b"\x0b\x03\x80{}\x03", undecoded='body is encoded as "br", which is not decoded')
    assert refusal(channel(kind=kind), answer) == answer.undecoded


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


# ── Feishu and Lark ──────────────────────────────────────────────────────────────────────────────

FEISHU = "https://open.feishu.cn/open-apis/bot/v2/hook/t0k3n"

# By: printf '' | openssl dgst -sha256 -hmac "$(printf '1764590400\nit-is-a-secret')" -binary | base64
SEALED = "ZYWAzJtiwF472XbFQnDeo6ZeUZmqxJhNd/x/gLfpK2o="


@pytest.mark.parametrize("kind", ["feishu", "lark"])
def test_feishu_is_signed_in_the_body_as_its_manual_says(kind: str) -> None:
    robot = channel(kind=kind, url=FEISHU, secret="it-is-a-secret")
    sent = outgoing(robot, '{"msg_type":"text","content":{"text":"上海"}}', now=NOON)
    assert sent.url == FEISHU
    assert json.loads(sent.body or b"") == {
        "timestamp": "1764590400",
        "sign": SEALED,
        "msg_type": "text",
        "content": {"text": "上海"},
    }


@pytest.mark.parametrize("body", ["[1]", "no JSON", "[" * 100_000])
def test_a_body_that_has_no_room_for_a_signature_goes_to_feishu_as_it_is(body: str) -> None:
    assert outgoing(channel(kind="feishu", secret="S"), body, now=NOON).body == body.encode()


def test_without_a_secret_feishu_gets_the_body_as_it_is() -> None:
    assert outgoing(channel(kind="feishu"), '{"a": 1}', now=NOON).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}', None),
        (200, '{"Extra":null,"StatusCode":0,"StatusMessage":"success"}', None),
        (200, '{"code":19021,"data":{},"msg":"sign match fail"}', "code 19021: sign match fail"),
        (200, '{"StatusCode":0,"code":19024,"msg":"Key Words Not Found"}', "code 19024: Key Words Not Found"),
        (400, '{"code":9499,"msg":"Bad Request","data":{}}', "code 9499: Bad Request"),
        (200, "{}", "the reply has no code that is a whole number"),
        (500, '{"code":0}', "status 500 not in 2xx"),
    ],
)
def test_feishu_took_the_message_only_if_it_says_code_0(status: int, body: str, why: str | None) -> None:
    assert refusal(channel(kind="feishu"), reply(body, status)) == why


# ── Slack ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, "ok", None),
        (200, "<html>sign in</html>", "the reply is not ok: <html>sign in</html>"),
        (400, "invalid_payload", "status 400 not in 2xx: invalid_payload"),
        (404, "no_service", "status 404 not in 2xx: no_service"),
    ],
)
def test_slack_took_the_message_only_if_it_says_ok(status: int, body: str, why: str | None) -> None:
    assert refusal(channel(kind="slack"), reply(body, status)) == why


# ── busy ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "status", "body", "busy"),
    [
        ("dingtalk", 200, '{"errcode":130101,"errmsg":"send too fast"}', True),
        ("wecom", 200, '{"errcode":45009,"errmsg":"api freq out of limit"}', True),
        ("wecom", 200, '{"errcode":130101}', False),
        ("feishu", 200, '{"code":11232,"msg":"frequency limited"}', True),
        ("feishu", 400, '{"code":9499,"msg":"Bad Request"}', False),
        ("slack", 429, "rate_limited", True),
        ("webhook", 429, "", True),
        ("webhook", 503, '{"errcode":45009}', False),
    ],
)
def test_each_robot_has_its_own_way_to_say_that_it_was_told_too_much(
    kind: str, status: int, body: str, *, busy: bool
) -> None:
    assert is_busy(channel(kind=kind), reply(body, status)) is busy


# ── e-mail ───────────────────────────────────────────────────────────────────────────────────────


def test_a_letter_goes_to_all_who_are_named() -> None:
    mail = channel(kind="email", url="mailto:ops@example.com, dev%2Bnight@example.com")
    assert letter(mail, "3 tasks", "text") == Letter(
        to=("ops@example.com", "dev+night@example.com"), subject="3 tasks", text="text"
    )


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mailto:ops@example.com", None),
        ("mailto:o'hara+1@mail.example.com,b@c", None),
        ("https://example.com", "must be mailto:"),
        ("mailto:", "must name 1 to 50"),
        ("mailto:ops", "must name 1 to 50"),
        ("mailto:a@b.c,", "must name 1 to 50"),
        ("mailto:a@b.c%0d%0aBcc:x@y.z", "must name 1 to 50"),
        ("mailto:Ops <ops@example.com>", "must name 1 to 50"),
        ("mailto:" + ",".join(["a@b.c"] * 51), "must name 1 to 50"),
    ],
)
def test_a_mail_channel_names_plain_addresses(url: str, fault: str | None) -> None:
    found = [it.detail for it in mailto_faults(url)]
    assert len(found) == (0 if fault is None else 1)
    assert all(it.startswith(fault or "") for it in found)
