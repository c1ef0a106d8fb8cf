"""By which answers a channel says that it got too many messages: one table. Pure.

Where a code has several meanings, the message decides. Sources: DingTalk, custom robot, error codes and global error
codes (90001 to 90018; 88 carries one of these in its message); WeCom, global error codes; Feishu and Lark, custom bot,
and open platform, generic error codes (9499 is "Bad Request" as well as "too many request"); Slack, rate limits;
Amazon SES, SendEmail errors and SMTP reply codes (RFC 5321, 4.2.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

TOO_MANY_REQUESTS = 429

MAX_RETRY_AFTER_SECONDS = 6 * 3600
"""A channel is asked again after this many seconds, even if it asks for a longer wait."""

_TOO_MANY = re.compile(
    r"too[ _-]?(?:many[ _-]?requests?|many messages|fast|frequent)"
    r"|\b(?:rate|freq(?:uency)?|qps|webhook over)[ _-]?limit|\bfreq out of limit|\bmessage_limit_exceeded"
    r"|throttl|\bqpslimit|sending rate exceeded|message quota exceeded|limitexceeded"
    r"|限流|频率|频繁|太快|过快|超限|暂时禁用|被禁用",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Throttled:
    """One answer that means "too many messages". None and an empty set mean any; what is given must all match."""

    status: int | None = None
    codes: frozenset[int] = frozenset()
    message: re.Pattern[str] | None = None

    def matches(self, status: int, code: int | None, message: str) -> bool:
        """Whether the answer is this one."""
        return (
            self.status in (None, status)
            and (not self.codes or code in self.codes)
            and (self.message is None or self.message.search(message) is not None)
        )


_BY_STATUS = Throttled(status=TOO_MANY_REQUESTS)
_BY_MESSAGE = Throttled(message=_TOO_MANY)

_DINGTALK_CALLS = frozenset(range(90_001, 90_019)) - {90_017}
"""Calls of an interface are suspended. 90017 is about the number of organisations that use one address."""

_FEISHU = (
    _BY_STATUS,
    Throttled(codes=frozenset({11_232, 230_020, 99_991_400})),
    Throttled(codes=frozenset({9_499}), message=_TOO_MANY),
    _BY_MESSAGE,
)

ANSWERS: Mapping[str, tuple[Throttled, ...]] = {
    "dingtalk": (
        _BY_STATUS,
        Throttled(codes=frozenset({90_030, 130_101, 410_100, 410_101, 450_101, 660_026}) | _DINGTALK_CALLS),
        Throttled(codes=frozenset({88}), message=re.compile(r"sub_?code\D{0,3}900(?:0[1-9]|1[0-68])", re.IGNORECASE)),
        _BY_MESSAGE,
    ),
    "wecom": (_BY_STATUS, Throttled(codes=frozenset({45_009, 45_011, 45_033})), _BY_MESSAGE),
    "feishu": _FEISHU,
    "lark": _FEISHU,
    "slack": (_BY_STATUS, _BY_MESSAGE),
    "email": (_BY_MESSAGE,),
    "webhook": (_BY_STATUS,),
}
"""By kind of channel."""


def is_throttled(kind: str, status: int, code: int | None, message: str) -> bool:
    """Whether the answer of a channel of this kind, which did not take a message, says that it got too many."""
    return any(answer.matches(status, code, message) for answer in ANSWERS[kind])


def retry_after(headers: Mapping[str, str], body: bytes) -> float:
    """The seconds for which a throttled channel asks to be left alone, 0 when it does not say.

    `Retry-After` in seconds; Feishu and Lark name them in `x-ogw-ratelimit-reset`, Slack's API in the body too.
    """
    said = (headers.get("retry-after"), headers.get("x-ogw-ratelimit-reset"), _in_body(body))
    found = [int(it) for it in said if it and re.fullmatch(r"[0-9]{1,9}", it.strip())]
    return float(min(max(found, default=0), MAX_RETRY_AFTER_SECONDS))


def _in_body(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["retry_after"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
