"""The kinds of channel: how each is addressed, signed, and says that it took a message. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

from chalicelib import __version__
from chalicelib.ports import Outgoing, Reply
from chalicelib.shape import escaped
from chalicelib.task import Channel

TIMEOUT = 10
"""Seconds that a channel may take to answer."""

OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of channel.

    `address(channel, now)` is the URL to post to. `refusal(reply)` is why the channel did not take the
    message, None when it did. `signs`: whether a secret signs it.
    """

    address: Callable[[Channel, float], str]
    refusal: Callable[[Reply], str | None]
    signs: bool = False


def _plain(channel: Channel, now: float) -> str:  # noqa: ARG001 - the same for every kind
    return channel.url


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


def _bad_status(reply: Reply) -> str | None:
    return None if reply.status in OK else f"status {reply.status} not in 2xx"


def _bad_errcode(reply: Reply) -> str | None:
    """A robot answers 200 whatever happens; `errcode` 0 says that it took the message."""
    if bad := _bad_status(reply):
        return bad
    errcode = _errcode(reply)
    if errcode is None:
        return "the reply has no errcode that is a whole number"
    return None if errcode == 0 else f"errcode {errcode!s:.20}: {_errmsg(reply)}"


def _member(reply: Reply, name: str) -> object:
    try:
        return json.loads(reply.body)[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _errcode(reply: Reply) -> int | None:
    errcode = _member(reply, "errcode")
    return errcode if type(errcode) is int else None


def _errmsg(reply: Reply) -> str:
    errmsg = _member(reply, "errmsg")
    return escaped(errmsg)[:200] if isinstance(errmsg, str) else ""


KINDS: Mapping[str, Kind] = {
    "dingtalk": Kind(_dingtalk, _bad_errcode, signs=True),
    "wecom": Kind(_plain, _bad_errcode),
    "webhook": Kind(_plain, _bad_status),
}


BUSY = {"dingtalk": (130_101,), "wecom": (45_009,)}
"""The `errcode` by which a robot says: too many messages. Sources: the error tables of DingTalk and of WeCom."""

TOO_MANY_REQUESTS = 429


def is_busy(channel: Channel, reply: Reply) -> bool:
    """Whether the channel did not look at the message, because it had too many."""
    return reply.status == TOO_MANY_REQUESTS or _errcode(reply) in BUSY.get(channel.kind, ())


def outgoing(channel: Channel, body: str, *, now: float) -> Outgoing:
    """The request that carries a notice."""
    return Outgoing(
        method="POST",
        url=KINDS[channel.kind].address(channel, now),
        headers={"Content-Type": channel.content_type, "User-Agent": f"kkbida/{__version__}"},
        body=body.encode(),
        timeout=TIMEOUT,
    )


def refusal(channel: Channel, reply: Reply) -> str | None:
    """Why the channel did not take the message; None when it did."""
    return KINDS[channel.kind].refusal(reply)
