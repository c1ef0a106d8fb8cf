"""For receivers: whether a delivery is kkbida's.

The signatures are those of Standard Webhooks (https://www.standardwebhooks.com), with several secrets at a time.
No framework is imported: each method takes that framework's own request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from kkbida.errors import NotGenuine
from kkbida.wire import Json

PREFIX = "whsec_"
"""What a secret begins with."""

MOST_AGE = 300
"""Seconds that a delivery may be old, or ahead. An older one may be overheard and sent again."""

MAX_BODY_BYTES = 10_485_760
"""Of a delivery. kkbida's have fewer: a task comes to it through Lambda, which takes 6 MB."""

MAX_TIMESTAMP_DIGITS = 12

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class FlaskRequest(Protocol):
    """As much of Flask's request as is needed."""

    @property
    def headers(self) -> Any:
        """The headers, by any spelling of their names."""

    def get_data(self) -> bytes:
        """The body."""


class DjangoRequest(Protocol):
    """As much of Django's request as is needed."""

    @property
    def headers(self) -> Any:
        """The headers, by any spelling of their names."""

    @property
    def body(self) -> bytes:
        """The body."""


class StarletteRequest(Protocol):
    """As much of Starlette's request, which is also FastAPI's, as is needed."""

    @property
    def headers(self) -> Any:
        """The headers, by any spelling of their names."""

    async def body(self) -> bytes:
        """The body."""


@dataclass(frozen=True)
class Delivery:
    """A delivery that is kkbida's. Do the work once for each `task_id`: the same may come again."""

    task_id: str
    sent_at: datetime
    body: bytes

    def json(self) -> Json:
        """The body, read. Raises ValueError when it is no JSON."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error


class Receiver:
    """Takes in what was signed with one of the secrets (`whsec_...`), and raises NotGenuine for all else.

    `now` tells the seconds since the epoch. Raises ValueError for a secret that is none. What a framework raises while
    it reads a request, such as its own error for a body that is larger than it is set to take, passes through.
    """

    def __init__(self, *secrets: str, now: Callable[[], float] = time.time) -> None:
        if not secrets:
            raise ValueError("give at least one secret")
        self._keys = tuple(map(_key, secrets))
        self._now = now

    def verify(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """The delivery with such headers and body, the bytes as they came. Names may be in upper or lower case."""
        found = {
            name.lower(): value
            for name, value in headers.items()
            if isinstance(value, str) and value.isascii() and value.isprintable()
        }
        missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not found.get(name)]
        if missing:
            raise NotGenuine(f"it has no {' and no '.join(missing)} in visible ASCII")
        sent_at = self._timely(found[TIMESTAMP])
        self._signed(f"{found[ID]}.{found[TIMESTAMP]}.".encode() + body, found[SIGNATURE])
        return Delivery(found[ID], sent_at, body)

    def _timely(self, timestamp: str) -> datetime:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= MAX_TIMESTAMP_DIGITS):
            raise NotGenuine(f"{TIMESTAMP} is no number of seconds")
        if not abs(self._now() - int(timestamp)) <= MOST_AGE:
            raise NotGenuine(f"{TIMESTAMP} is more than {MOST_AGE} seconds from now")
        return datetime.fromtimestamp(int(timestamp), timezone.utc)

    def _signed(self, content: bytes, signatures: str) -> None:
        wanted = [hmac.digest(key, content, hashlib.sha256) for key in self._keys]
        given = [_bytes(it.removeprefix("v1,")) for it in signatures.split() if it.startswith("v1,")]
        if not any([hmac.compare_digest(one, other) for one in given for other in wanted]):  # noqa: C419 - all compared
            raise NotGenuine(f"{SIGNATURE} is by none of the secrets")

    def flask(self, request: FlaskRequest) -> Delivery:
        """The delivery in Flask's request."""
        with _whole():
            body = request.get_data()
        return self.verify(request.headers, body)

    def django(self, request: DjangoRequest) -> Delivery:
        """The delivery in Django's request. The view must be `csrf_exempt`."""
        with _whole():
            body = request.body
        return self.verify(request.headers, body)

    async def starlette(self, request: StarletteRequest) -> Delivery:
        """The delivery in the request of Starlette or FastAPI."""
        return self.verify(request.headers, await request.body())

    fastapi = starlette

    def wsgi(self, environ: MutableMapping[str, Any]) -> Delivery:
        """The delivery in a WSGI environment. Its body is read, and put back for whoever reads it next."""
        length = MAX_BODY_BYTES + 1 if environ.get("wsgi.input_terminated") else _length(environ.get("CONTENT_LENGTH"))
        with _whole():
            body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        _check_size(len(body))
        names = {f"HTTP_{name.upper().replace('-', '_')}": name for name in (ID, TIMESTAMP, SIGNATURE)}
        return self.verify({name: environ.get(key, "") for key, name in names.items()}, body)

    async def asgi(self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> Delivery:
        """The delivery in an ASGI request, without a framework. Its body is read."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise NotGenuine("it broke off")
            body += message.get("body", b"")
            _check_size(len(body))
            more = message.get("more_body", False)
        return self.verify(headers, bytes(body))

    def aws_lambda(self, event: Mapping[str, Any]) -> Delivery:
        """The delivery in the event of API Gateway (REST or HTTP API), a function URL or a load balancer."""
        several = {name: values[-1] for name, values in (event.get("multiValueHeaders") or {}).items() if values}
        body = event.get("body") or ""
        raw = _bytes(body) if event.get("isBase64Encoded") else body.encode(errors="surrogatepass")
        return self.verify({**several, **(event.get("headers") or {})}, raw)


@contextmanager
def _whole() -> Iterator[None]:
    """Raises NotGenuine when the sender breaks off while its body is read."""
    try:
        yield
    except OSError as error:
        raise NotGenuine("it broke off") from error


def _length(given: object) -> int:
    """The bytes of a body that `CONTENT_LENGTH` announces. Raises NotGenuine when it is no such number."""
    text = str(given or "0")
    if not (text.isascii() and text.isdecimal()):
        raise NotGenuine("its Content-Length is no number")
    digits = text.lstrip("0") or "0"
    _check_size(MAX_BODY_BYTES + 1 if len(digits) > len(str(MAX_BODY_BYTES)) else int(digits))
    return int(digits)


def _check_size(length: int) -> None:
    if length > MAX_BODY_BYTES:
        raise NotGenuine(f"it has more than {MAX_BODY_BYTES} bytes")


def _key(secret: str) -> bytes:
    """The bytes of a secret. Raises ValueError, which does not tell it."""
    key = _bytes(secret.strip().removeprefix(PREFIX))
    if not key or not secret.strip().startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX}, and the rest is base64")
    return key


def _bytes(text: str) -> bytes:
    """What is written in base64; nothing if it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
