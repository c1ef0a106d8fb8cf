"""A flaky partner: a small HTTP server whose URLs choose how it behaves, and which remembers what it got.

`USAGE` below is its documentation, and what it answers at `/`. It runs beside the local run, or alone:
`python -m infra.local.receiver 8001`. It stands for a foreign system, so it shares no code with the product.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import math
import random
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

HOST = "127.0.0.1"

USAGE = """\
A flaky partner for kkbida. The URL that a task goes to chooses what happens:

  /ok                  200 "success"
  /fail/{n}            503 for the first n requests of a task (by webhook-id), then 200 "success"
  /wrong-body          200, but the body is "sorry"
  /status/{code}       that status
  /hang/{seconds}      silence for so long, then 200 "success"
  /drip/{seconds}      200 at once, and then the body, a byte at a time, for so long
  /redirect            302 to /ok
  /busy/{seconds}      429 with Retry-After for the first request of a task, then 200 "success"
  /cut                 the connection closes without a reply
  /large/{bytes}       200 with so large a body
  /random/{percent}    503 for that share of requests, else 200 "success"; ?seed= makes it repeatable
  /dingtalk            {"errcode":0,"errmsg":"ok"}, as DingTalk answers; ?secret= makes it check the signature
  /dingtalk/{errcode}  the same with another errcode
  /wecom /wecom/{errcode}  as WeCom answers
  /feishu /feishu/{code}   {"code":0,"msg":"success","data":{}}, as Feishu and Lark answer; ?secret= as above
  /slack /slack/{status}   "ok", as Slack answers; any other status says so

It remembers the last requests:

  GET    /received     ?webhook_id= &path= (begins with) &since= (seconds since the epoch)
  GET    /counts       how many requests came for each webhook-id; ?path= (begins with)
  DELETE /received     forget all of it
"""

HEAD_LIMIT = 65_536
BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request that are taken; a sender of more is cut off."""

LARGEST = 1024 * 1024 * 1024
LONGEST = 3600
"""Bytes and seconds that a URL may ask for."""

MOST_REQUESTS = 20_000
MOST_BYTES = 64 * 1024 * 1024
"""How many requests are remembered, and how many bytes of bodies: the oldest are forgotten first."""

MOST_TASKS = 200_000
"""How many pairs of webhook-id and path are counted."""

CHUNK = 65_536
DRIP = 0.1
"""Seconds between two bytes that drip."""


# ── what came, and the memory of it ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came. `at`: seconds since the epoch. Header names are in lower case."""

    at: float
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> Mapping[str, str]:
        """The query; the last value of each name."""
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: several[-1] for name, several in values.items()}

    def header(self, name: str) -> str:
        """The value of a header, empty when there is none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def webhook_id(self) -> str:
        """Which task this is about; empty when the request does not say."""
        return self.header("webhook-id")


@dataclass(slots=True)
class Memory:
    """The requests of late, and how many came for each task and path. Belongs to one event loop."""

    requests: deque[Incoming] = field(default_factory=deque)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    size: int = 0

    def add(self, incoming: Incoming) -> int:
        """Remember a request; how many came before for the same task and path."""
        self.requests.append(incoming)
        self.size += len(incoming.body)
        while len(self.requests) > MOST_REQUESTS or self.size > MOST_BYTES:
            self.size -= len(self.requests.popleft().body)
        key = (incoming.webhook_id, incoming.path)
        self.counts[key] += 1
        if len(self.counts) > MOST_TASKS:
            del self.counts[next(iter(self.counts))]
        return self.counts[key] - 1

    def clear(self) -> None:
        """Forget everything."""
        self.requests.clear()
        self.counts.clear()
        self.size = 0


# ── how each URL behaves: pure, but for the dice ─────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do: stay silent for `silence` seconds, then reply; or cut the connection.

    `drip`: seconds over which the body goes out. `filler`: bytes that follow the body.
    """

    status: int = 200
    body: bytes = b"success"
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    silence: float = 0
    drip: float = 0
    filler: int = 0
    cut: bool = False


SUCCESS = Answer()
UNAVAILABLE = Answer(503, b"not now")


class NoSuchBehaviour(Exception):
    """The URL asks for nothing that is known."""


Behaviour = Callable[[str, Incoming, int], Answer]
"""(what stands behind the name in the path, the request, how many like it came before) -> what to do."""


def _fail(argument: str, _incoming: Incoming, before: int) -> Answer:
    return UNAVAILABLE if before < _number(argument, LARGEST) else SUCCESS


def _status(argument: str, _incoming: Incoming, _before: int) -> Answer:
    code = int(_number(argument, 599))
    if code < 200:  # noqa: PLR2004
        raise NoSuchBehaviour
    return Answer(code, http.client.responses.get(code, "").encode())


def _busy(argument: str, _incoming: Incoming, before: int) -> Answer:
    wait = str(round(_number(argument, LONGEST)))
    return SUCCESS if before else Answer(429, b"too busy", headers=(("Retry-After", wait),))


def _drip(argument: str, _incoming: Incoming, _before: int) -> Answer:
    seconds = _number(argument, LONGEST)
    return Answer(body=b"success".ljust(round(seconds / DRIP), b"."), drip=seconds)


def _random(argument: str, incoming: Incoming, before: int) -> Answer:
    """With a seed, the same task fails at the same tries in every run."""
    seed = incoming.query.get("seed")
    dice = random.Random(None if seed is None else f"{seed} {incoming.webhook_id} {before}")  # noqa: S311
    return UNAVAILABLE if dice.random() * 100 < _number(argument, 100) else SUCCESS


def _robot(argument: str, incoming: Incoming, _before: int) -> Answer:
    """DingTalk and WeCom answer 200 with an errcode; 310000 is DingTalk's for a wrong signature."""
    errcode = round(_number(argument or "0", LARGEST))
    if not _is_signed(incoming.query):
        errcode = 310_000
    reply = {"errcode": errcode, "errmsg": "not taken" if errcode else "ok"}
    return Answer(body=json.dumps(reply, separators=(",", ":")).encode(), content_type="application/json")


def _feishu(argument: str, incoming: Incoming, _before: int) -> Answer:
    """Feishu answers with a code; 19021 is that for a wrong signature."""
    code = round(_number(argument or "0", LARGEST))
    if not _is_sealed(incoming):
        code = 19_021
    return _json({"code": code, "msg": "not taken" if code else "success", "data": {}})


def _is_sealed(incoming: Incoming) -> bool:
    """Feishu's rule: Base64 of HMAC-SHA256 over nothing, keyed with the timestamp, a line feed and the secret."""
    secret = incoming.query.get("secret")
    if secret is None:
        return True
    message = json.loads(incoming.body)
    mac = hmac.digest(f"{message.get('timestamp')}\n{secret}".encode(), b"", hashlib.sha256)
    return hmac.compare_digest(base64.b64encode(mac), str(message.get("sign")).encode())


def _slack(argument: str, _incoming: Incoming, _before: int) -> Answer:
    status = round(_number(argument or "200", 599))
    return Answer(status, b"ok" if status == 200 else b"invalid_payload")  # noqa: PLR2004


def _is_signed(query: Mapping[str, str]) -> bool:
    """DingTalk's rule: Base64 of HMAC-SHA256 over the timestamp, a line feed and the secret, keyed with the secret."""
    secret, timestamp = query.get("secret"), query.get("timestamp", "")
    if secret is None:
        return True
    mac = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return hmac.compare_digest(base64.b64encode(mac), query.get("sign", "").encode())


BEHAVIOURS: Mapping[str, Behaviour] = {
    "ok": lambda *_: SUCCESS,
    "fail": _fail,
    "wrong-body": lambda *_: Answer(body=b"sorry"),
    "status": _status,
    "hang": lambda argument, *_: Answer(silence=_number(argument, LONGEST)),
    "drip": _drip,
    "redirect": lambda *_: Answer(302, b"over there", headers=(("Location", "/ok"),)),
    "busy": _busy,
    "cut": lambda *_: Answer(cut=True),
    "large": lambda argument, *_: Answer(body=b"", filler=round(_number(argument, LARGEST))),
    "random": _random,
    "dingtalk": _robot,
    "wecom": _robot,
    "feishu": _feishu,
    "slack": _slack,
}


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise NoSuchBehaviour from error
    if not 0 <= number <= most:
        raise NoSuchBehaviour
    return number


def behave(incoming: Incoming, before: int) -> Answer:
    """What a request that should be delivered meets; `before`: how many like it came before."""
    name, _, argument = incoming.path.strip("/").partition("/")
    if name not in BEHAVIOURS:
        raise NoSuchBehaviour
    return BEHAVIOURS[name](argument, incoming, before)


# ── what it tells ────────────────────────────────────────────────────────────────────────────────


def respond(incoming: Incoming, memory: Memory) -> Answer:
    """Answer a request: its own pages, or the behaviour that the URL asks for (and remember it)."""
    page = PAGES.get((incoming.method, incoming.path))
    try:
        return page(incoming, memory) if page else behave(incoming, memory.add(incoming))
    except NoSuchBehaviour:
        return Answer(404, b"There is no such behaviour. See /\n")


def _received(incoming: Incoming, memory: Memory) -> Answer:
    query = incoming.query
    task, path, since = query.get("webhook_id"), query.get("path", ""), _number(query.get("since", "0"), math.inf)
    wanted = (
        each
        for each in memory.requests
        if task in (None, each.webhook_id) and each.path.startswith(path) and each.at >= since
    )
    return _json({"received": [_shown(each) for each in wanted]})


def _shown(each: Incoming) -> dict[str, Any]:
    """A body that is not UTF-8 is shown in Base64."""
    try:
        body = {"body": each.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(each.body).decode()}
    seen = {"at": each.at, "method": each.method, "path": each.path, "query": each.query, "webhook_id": each.webhook_id}
    return {**seen, "headers": dict(each.headers), **body}


def _counts(incoming: Incoming, memory: Memory) -> Answer:
    counts: Counter[str] = Counter()
    for (webhook_id, path), count in memory.counts.items():
        if path.startswith(incoming.query.get("path", "")):
            counts[webhook_id] += count
    return _json({"counts": counts})


def _clear(_incoming: Incoming, memory: Memory) -> Answer:
    memory.clear()
    return Answer(204, b"")


PAGES: Mapping[tuple[str, str], Callable[[Incoming, Memory], Answer]] = {
    ("GET", "/"): lambda *_: Answer(body=USAGE.encode()),
    ("GET", "/received"): _received,
    ("GET", "/counts"): _counts,
    ("DELETE", "/received"): _clear,
}


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value, ensure_ascii=False).encode(), content_type="application/json")


# ── on the wire ──────────────────────────────────────────────────────────────────────────────────


async def _converse(memory: Memory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept alive until the client leaves or a reply ends it."""
    try:
        while (incoming := await read(reader)) is not None:
            answer = respond(incoming, memory)
            await asyncio.sleep(answer.silence)
            if answer.cut:
                break
            await _write(writer, incoming, answer)
    except (ConnectionError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client broke off, or did not speak HTTP: nothing is owed to it
    finally:
        writer.close()


async def read(reader: asyncio.StreamReader) -> Incoming | None:
    """The next request; None when the client has left. Raises ValueError for what is not HTTP/1.1."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = tuple(_header(line) for line in lines)
    incoming = Incoming(time.time(), method, target, headers)
    length = int(incoming.header("content-length") or 0)
    if length > BODY_LIMIT or incoming.header("transfer-encoding"):
        raise ValueError("the body is too large, or comes in chunks")
    return Incoming(incoming.at, method, target, headers, await reader.readexactly(length)) if length else incoming


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


async def _write(writer: asyncio.StreamWriter, incoming: Incoming, answer: Answer) -> None:
    bodiless = incoming.method == "HEAD" or answer.status in (204, 304)
    if answer.drip and not bodiless:
        writer.write(head(answer))
        return await _write_slowly(writer, answer)
    writer.write(head(answer) + (b"" if bodiless else answer.body))
    for size in () if bodiless else _chunks(answer.filler):
        writer.write(b"." * size)
        await writer.drain()
    return await writer.drain()


async def _write_slowly(writer: asyncio.StreamWriter, answer: Answer) -> None:
    for byte in answer.body:
        await asyncio.sleep(answer.drip / len(answer.body))
        writer.write(bytes([byte]))
        await writer.drain()


def _chunks(size: int) -> Iterable[int]:
    return (min(CHUNK, size - sent) for sent in range(0, size, CHUNK))


def head(answer: Answer) -> bytes:
    """A reply up to its body, as it goes on the wire."""
    lines = [
        f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}",
        f"Content-Type: {answer.content_type}",
    ]
    if answer.status != 204:  # noqa: PLR2004
        lines.append(f"Content-Length: {len(answer.body) + answer.filler}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# ── running it ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def receiving(listener: socket.socket) -> Iterator[None]:
    """Receive in a thread of its own while the block runs. Connections that are open at its end are cut."""
    started: Future[asyncio.AbstractEventLoop] = Future()
    stop = asyncio.Event()
    thread = Thread(target=lambda: asyncio.run(_receive(listener, started, stop)), name="receiver", daemon=True)
    thread.start()
    loop = started.result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _receive(listener: socket.socket, started: Future[asyncio.AbstractEventLoop], stop: asyncio.Event) -> None:
    server = await asyncio.start_server(partial(_converse, Memory()), sock=listener, limit=HEAD_LIMIT)
    started.set_result(asyncio.get_running_loop())
    await stop.wait()
    server.close()


def main(port: int) -> None:
    """Run it alone until it is killed."""
    listener = socket.create_server((HOST, port), backlog=1024)
    print(f"http://{HOST}:{listener.getsockname()[1]}/", flush=True)
    asyncio.run(_receive(listener, Future(), asyncio.Event()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
