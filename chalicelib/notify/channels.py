"""The kinds of channel: how each is addressed, signed, and says that it took a message. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote_plus, unquote

from chalicelib import __version__
from chalicelib.errors import Fault
from chalicelib.expect import unexpected_status
from chalicelib.notify.markup import SPARED_FOR_SLACK, for_slack, one_line, plain, plain_url
from chalicelib.notify.texts import CHINESE, ENGLISH, Words, dumped
from chalicelib.notify.throttling import is_throttled
from chalicelib.ports import Letter, Outgoing, Reply
from chalicelib.shape import escaped
from chalicelib.task import Channel, Json

TIMEOUT = 10
"""Seconds that a channel may take to answer."""

OK = range(200, 300)


def _bad_status(reply: Reply) -> str | None:
    return None if reply.status in OK else unexpected_status(reply.status, ("2xx",), reply.headers.get("location"))


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a robot takes a message: `burst` at once, and then one in `every` seconds."""

    burst: int
    every: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of channel.

    `address(channel, now)` is the URL to post to. `refusal(reply)` is why the channel did not take the message,
    None when it did. `code`: the member of the reply that says why; empty where the reply is text.
    `wrap(text)` is the body that carries a text of at most `most` bytes; `most_of_template` are the bytes that a
    channel's own template may grow to, None where no limit is known. `plain` and `plain_url` keep a value, or a URL,
    from meaning something in it, and `escape` what was cut to its length. `signs`: whether a secret signs it, in the
    address or (`seal`) in the body. `by_mail`: no request goes out, but a letter.
    """

    pace: Pace
    words: Words = CHINESE
    wrap: Callable[[str], str] = lambda text: dumped({"msgtype": "text", "text": {"content": text}})
    most: int = 2000
    most_of_template: Callable[[str], int | None] = lambda _template: None
    plain: Callable[[str], str] = plain
    plain_url: Callable[[str], str] = plain_url
    escape: Callable[[str], str] = lambda text: text
    address: Callable[[Channel, float], str] = lambda channel, _now: channel.url
    seal: Callable[[Channel, str, float], str] = lambda _channel, body, _now: body
    refusal: Callable[[Reply], str | None] = _bad_status
    code: str = ""
    signs: bool = False
    by_mail: bool = False


def _dingtalk(channel: Channel, now: float) -> str:
    """With a secret, DingTalk wants a time and a signature of it in the query.

    Source: DingTalk, custom robot, security settings: base64(HMAC-SHA256(secret, <ms> newline <secret>)).
    """
    if not channel.secret:
        return channel.url
    stamp = str(round(now * 1000))
    mac = hmac.new(channel.secret.encode(), f"{stamp}\n{channel.secret}".encode(), hashlib.sha256).digest()
    separator = "&" if "?" in channel.url else "?"
    return f"{channel.url}{separator}timestamp={stamp}&sign={quote_plus(base64.b64encode(mac))}"


def _feishu(channel: Channel, body: str, now: float) -> str:
    """With a secret, Feishu wants a time and a signature in the body, which must be an object then.

    Source: Feishu, custom bot, signature verification: base64(HMAC-SHA256(key=<s> newline <secret>, nothing)).
    """
    message = _object(body)
    if not channel.secret or message is None:
        return body
    stamp = str(round(now))
    mac = hmac.new(f"{stamp}\n{channel.secret}".encode(), b"", hashlib.sha256).digest()
    return dumped({"timestamp": stamp, "sign": base64.b64encode(mac).decode(), **message})


def _object(body: str) -> dict[str, Json] | None:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _bad_errcode(reply: Reply) -> str | None:
    """A robot answers 200 whatever happens; `errcode` 0 says that it took the message."""
    return _bad_status(reply) or _bad_code(reply, "errcode", "errmsg")


def _bad_code_of_feishu(reply: Reply) -> str | None:
    """Feishu says `code` 0, and why not with status 400 as well as with 200. An older form is `StatusCode` 0."""
    if reply.status not in (*OK, 400):
        return _bad_status(reply)
    older = _whole(reply, "StatusCode") == 0 and _whole(reply, "code") is None
    return None if older else _bad_code(reply, "code", "msg")


def _bad_code(reply: Reply, code: str, message: str) -> str | None:
    if reply.undecoded:
        return reply.undecoded
    said = _whole(reply, code)
    if said is None:
        return f"the reply has no {code} that is a whole number"
    return None if said == 0 else f"{code} {said!s:.20}: {_text(reply, message)}"


def _not_ok(reply: Reply) -> str | None:
    """Slack answers 200 and `ok`; else a word that says why not."""
    said = escaped(reply.body[:200].decode(errors="replace")).strip()
    if bad := _bad_status(reply):
        return f"{bad}: {said}"
    return None if said == "ok" else f"the reply is not ok: {said}"


def _member(reply: Reply, name: str) -> object:
    try:
        return json.loads(reply.body)[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _whole(reply: Reply, name: str) -> int | None:
    value = _member(reply, name)
    return value if type(value) is int else None


def _text(reply: Reply, name: str) -> str:
    value = _member(reply, name)
    return escaped(value)[:200] if isinstance(value, str) else ""


_CHINA = Pace(5, 4)
"""DingTalk and WeCom take 20 messages a minute. After a burst of 5, 15 more fit into any minute."""

_FEISHU = Kind(
    Pace(4, 1),  # it takes 5 a second and 100 a minute
    wrap=lambda text: dumped({"msg_type": "text", "content": {"text": text}}),
    most=15_000,  # of 20 KB for the whole body
    seal=_feishu,
    most_of_template=lambda _: 15_000,
    refusal=_bad_code_of_feishu,
    code="code",
    signs=True,
)


def _most_of_wecom(template: str) -> int:
    """WeCom takes 2,048 bytes of a text and 4,096 of Markdown."""
    return 4_000 if '"markdown' in template else 2_000


_CHINESE_ROBOT = Kind(_CHINA, refusal=_bad_errcode, code="errcode")

KINDS: Mapping[str, Kind] = {
    "dingtalk": replace(_CHINESE_ROBOT, address=_dingtalk, signs=True, most_of_template=lambda _: 18_000),  # of 20,000
    "wecom": replace(_CHINESE_ROBOT, most_of_template=_most_of_wecom),
    "feishu": _FEISHU,
    "lark": replace(_FEISHU, words=ENGLISH),
    "slack": Kind(
        Pace(1, 1),
        words=ENGLISH,
        wrap=lambda text: dumped({"text": text}),
        most=20_000,  # of 40,000 characters, of which each may become five
        most_of_template=lambda _: 20_000,
        plain=partial(plain, spared=SPARED_FOR_SLACK),
        plain_url=partial(plain_url, spared=SPARED_FOR_SLACK),
        escape=for_slack,
        refusal=_not_ok,
    ),
    "email": Kind(
        Pace(1, 1),
        words=ENGLISH,
        wrap=lambda text: text,
        most=20_000,
        plain=one_line,
        plain_url=one_line,
        by_mail=True,
    ),
    "webhook": Kind(  # a program reads it, and nobody says how much it takes
        Pace(50, 0.02), plain=lambda text: text, plain_url=lambda url: url
    ),
}
"""Sources of limits and codes: the vendors' pages that docs/channels.md names."""


def is_busy(channel: Channel, reply: Reply) -> bool:
    """Whether a channel that did not take a message says that it got too many: see `throttling.ANSWERS`."""
    kind = KINDS[channel.kind]
    code = _whole(reply, kind.code) if kind.code else None
    return is_throttled(channel.kind, reply.status, code, reply.body[:MAX_MESSAGE_BYTES].decode(errors="replace"))


def is_too_many(channel: Channel, said: str) -> bool:
    """Whether a failure that came in words says so."""
    return is_throttled(channel.kind, 0, None, said)


MAX_MESSAGE_BYTES = 2_000
"""Bytes of a reply in which its message is looked for: robots answer in a few hundred."""


def outgoing(channel: Channel, body: str, *, now: float) -> Outgoing:
    """The request that carries a notice."""
    kind = KINDS[channel.kind]
    return Outgoing(
        method="POST",
        url=kind.address(channel, now),
        headers={"Content-Type": channel.content_type, "User-Agent": f"kkbida/{__version__}"},
        body=kind.seal(channel, body, now).encode(),
        timeout=TIMEOUT,
    )


def letter(channel: Channel, subject: str, text: str, taken: Container[str] = ()) -> Letter:
    """The e-mail that carries a notice, to those who have not taken it yet.

    The address of its channel is `mailto:a@example.com,b@example.com`.
    """
    to = tuple(dict.fromkeys(it for it in recipients(channel.url) if it not in taken))
    return Letter(to=to, subject=one_line(subject), text=text)


MAILTO = "mailto:"


def recipients(url: str) -> tuple[str, ...]:
    """The addresses in a `mailto:` URL."""
    return tuple(part.strip() for part in unquote(url.removeprefix(MAILTO)).split(","))


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
MOST_RECIPIENTS = 50
"""Of one letter; SES takes no more."""


def mailto_faults(url: str) -> Iterator[Fault]:
    """What is wrong with the address of an e-mail channel."""
    if not url.startswith(MAILTO):
        yield Fault("/url", "must be mailto: and addresses, such as mailto:ops@example.com,dev@example.com")
    elif not 1 <= len(recipients(url)) <= MOST_RECIPIENTS or not all(map(_ADDRESS.fullmatch, recipients(url))):
        yield Fault("/url", f"must name 1 to {MOST_RECIPIENTS} plain addresses, with commas between them")


def refusal(channel: Channel, reply: Reply) -> str | None:
    """Why the channel did not take the message; None when it did."""
    return KINDS[channel.kind].refusal(reply)
