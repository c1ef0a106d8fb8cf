"""By which answers a channel says that it got too many messages."""

from __future__ import annotations

import pytest

from chalicelib.notify.channels import KINDS, is_busy, refusal
from chalicelib.notify.throttling import ANSWERS, MAX_RETRY_AFTER_SECONDS, retry_after
from tests.unit.makers import channel, reply


def test_each_kind_of_channel_has_its_answers() -> None:
    assert ANSWERS.keys() == KINDS.keys()


THROTTLED = [
    ("dingtalk", 200, '{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}'),
    ("dingtalk", 200, '{"errcode":410100,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":90030,"errmsg":"webhook over limit"}'),
    ("dingtalk", 200, '{"errcode":90001,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":90018,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":660026,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":88,"errmsg":"ding talk error[subcode=90002,submsg=x]"}'),
    ("dingtalk", 200, '{"errcode":88,"sub_code":"90018","sub_msg":"x"}'),
    ("dingtalk", 200, '{"errcode":88,"errmsg":"您的服务器的所有请求都被暂时禁用了"}'),
    ("dingtalk", 200, '{"errcode":999999,"errmsg":"发送速度太快而限流"}'),
    ("dingtalk", 403, '{"code":"Forbidden.AccessDenied.QpsLimitForApi","message":"x"}'),
    ("wecom", 200, '{"errcode":45009,"errmsg":"api freq out of limit"}'),
    ("wecom", 200, '{"errcode":45011,"errmsg":"x"}'),
    ("wecom", 200, '{"errcode":45033,"errmsg":"x"}'),
    ("wecom", 200, '{"errcode":1,"errmsg":"API 调用太频繁，请稍候再试"}'),
    ("feishu", 200, '{"code":11232,"msg":"frequency limited psm[lark.oapi]appID[1500]"}'),
    ("feishu", 400, '{"code":9499,"msg":"too many request","data":{}}'),
    ("feishu", 200, '{"code":9499,"msg":"frequency limited psm"}'),
    ("feishu", 400, '{"code":99991400,"msg":"request trigger frequency limit"}'),
    ("feishu", 400, '{"code":230020,"msg":"x"}'),
    ("lark", 400, '{"code":9499,"msg":"Too Many Requests","data":{}}'),
    ("slack", 429, "rate_limited"),
    ("slack", 200, "rate_limited"),
    ("slack", 403, "ratelimited: rate limited"),
    ("slack", 400, "message_limit_exceeded"),
    *((kind, 429, "") for kind in sorted(KINDS) if kind != "email"),
]

OTHERS = [
    ("dingtalk", 200, '{"errcode":310000,"errmsg":"keywords not in content"}'),
    ("dingtalk", 200, '{"errcode":-1,"errmsg":"系统繁忙"}'),
    ("dingtalk", 200, '{"errcode":90017,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":90019,"errmsg":"x"}'),
    ("dingtalk", 200, '{"errcode":88,"errmsg":"ding talk error[subcode=40014,submsg=不合法的access_token]"}'),
    ("dingtalk", 200, '{"errcode":45009,"errmsg":"x"}'),
    ("wecom", 200, '{"errcode":130101,"errmsg":"x"}'),
    ("wecom", 200, '{"errcode":93000,"errmsg":"invalid webhook url"}'),
    ("wecom", 200, '{"errcode":40058,"errmsg":"content exceed max length"}'),
    ("wecom", 200, '{"errcode":45002,"errmsg":"消息内容大小超过限制"}'),
    ("feishu", 400, '{"code":9499,"msg":"Bad Request","data":{}}'),
    ("feishu", 200, '{"code":19024,"msg":"Key Words Not Found"}'),
    ("feishu", 200, '{"code":"11232"}'),
    ("slack", 400, "invalid_payload"),
    ("slack", 400, "too_many_attachments"),
    ("webhook", 503, '{"errcode":45009,"errmsg":"too many requests"}'),
    ("webhook", 500, "rate limit"),
]


@pytest.mark.parametrize(("kind", "status", "body"), THROTTLED)
def test_such_an_answer_says_too_many(kind: str, status: int, body: str) -> None:
    assert refusal(channel(kind=kind), reply(body, status)) is not None, "it is looked at only if it is a refusal"
    assert is_busy(channel(kind=kind), reply(body, status))


@pytest.mark.parametrize(("kind", "status", "body"), OTHERS)
def test_such_an_answer_says_something_else(kind: str, status: int, body: str) -> None:
    assert not is_busy(channel(kind=kind), reply(body, status))


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b"", 0),
        ({"retry-after": "120"}, b"", 120),
        ({"retry-after": " 120 "}, b"", 120),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", 0),
        ({"retry-after": "-1"}, b"", 0),
        ({"retry-after": "9" * 5000}, b"", 0),
        ({"retry-after": "999999999"}, b"", MAX_RETRY_AFTER_SECONDS),
        ({"x-ogw-ratelimit-reset": "37"}, b"", 37),
        ({"retry-after": "5"}, b'{"ok":false,"retry_after":30}', 30),
        ({}, b"[1]", 0),
        ({}, b"[" * 100_000, 0),
    ],
)
def test_a_throttled_channel_says_how_long_it_wants_to_be_left_alone(
    headers: dict[str, str], body: bytes, seconds: float
) -> None:
    assert retry_after(headers, body) == seconds
