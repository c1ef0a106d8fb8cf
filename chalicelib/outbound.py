"""The one door to URLs that users supply: a request leaves for a vetted address only, and is capped in time and bytes.

    vet the URL ─> look the name up, once ─> vet every address ─> connect to one of these ─> send ─> read, capped

requests prepares the request and its transport adapter sends it; the connection below it is ours, because only there
can an address be pinned and each wait be bounded. `Session.send` is left out on purpose: it reads the body of a
redirect whole, and decoded, even when it is not to follow it.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import SKIP_HEADER

from chalicelib.address import Address, forbidden
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Outgoing, Reply
from chalicelib.settings import Settings
from chalicelib.task import DEFAULT_PORTS, Phase

Resolver = Callable[[str], Sequence[str]]
"""From a name to its addresses. Raises OSError when it has none."""

CHECK_SECONDS = 1.0
"""Seconds for which `check` waits for a name: somebody is waiting for the 202."""

MOST_LOOK_UPS = 256
"""Look-ups at a time. One that hangs cannot be stopped, only left behind, and each holds a thread."""

FRAMING = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that are made from the URL and the body, whatever the task says: else a receiver could be deceived."""

ASIDE = 262_144
"""Bytes of a reply beside its body: status lines, headers, interim replies."""

CHUNK = 65_536
"""Bytes of a body that are taken at a time."""

ORDER = tuple(Phase)
"""The phases of an exchange."""

# urllib3 writes whole URLs, with the secrets in their queries, into its debug lines and warnings.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def look_up(name: str) -> list[str]:
    """The addresses of a name, by the system's resolver, in its order. Raises OSError when there are none."""
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Outbound:
    """The port `Http`. One object serves any number of threads; each request has a connection of its own.

    `resolve` and `context` are there for tests and for private certificate authorities; a given context is changed
    so that its sockets keep to the caps.
    """

    def __init__(
        self, settings: Settings, *, resolve: Resolver = look_up, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._given_context = context
        self._look_ups = threading.BoundedSemaphore(MOST_LOOK_UPS)

    def send(self, outgoing: Outgoing) -> Reply:
        """Send one request and read its reply, within its caps. Raises SendFailed with the kind of failure.

        Until the connection is up (TLS included) it takes `connect_timeout` at most, in all `outgoing.timeout`.
        A body that comes encoded is decoded, and capped as such.
        """
        stopwatch = Stopwatch()
        try:
            return self._send(outgoing, stopwatch)
        except SendFailed as failure:
            failure.phases = stopwatch.laps()
            raise

    def _send(self, outgoing: Outgoing, stopwatch: Stopwatch) -> Reply:
        connect_by = Deadline.in_(min(self._settings.connect_timeout, outgoing.timeout))
        deadline = Deadline.in_(outgoing.timeout)
        aim = aim_at(outgoing.url, self._settings.ports)
        addresses = self._vetted(aim.host, connect_by)
        stopwatch.enter(Phase.CONNECT)
        limit = self._settings.read_limit
        trip = Trip(aim, addresses, connect_by=connect_by, deadline=deadline, limit=limit, stopwatch=stopwatch)
        with _told(aim.host), closing(trip):
            return _exchange(_Adapter(self._pool(trip)), _prepared(outgoing, aim.url), trip)

    def check(self, url: str) -> None:
        """Vet a URL before it is stored: raises SendFailed (forbidden_address) when it names a forbidden
        address or port. A name that does not resolve within a second passes: the check that counts is at connect."""
        aim = aim_at(url, self._settings.ports)
        try:
            self._vetted(aim.host, Deadline.in_(CHECK_SECONDS))
        except SendFailed as failure:
            if failure.kind is not Kind.DNS:
                raise

    def vetted(self, host: str, seconds: float) -> list[str]:
        """The addresses of a host that something other than HTTP connects to. Raises SendFailed."""
        return [str(address) for address in self._vetted(host, Deadline.in_(seconds))]

    def _vetted(self, host: str, by: Deadline) -> Sequence[Address]:
        addresses = _literal(host) or self._looked_up(host, by)
        for address in addresses:
            if why := forbidden(address, self._settings.allow_networks):
                raise SendFailed(Kind.FORBIDDEN, f"{host} leads to an address that is not allowed: {why}.")
        return addresses

    def _looked_up(self, name: str, by: Deadline) -> Sequence[Address]:
        try:
            found = self._answer(name, by)
        except TimeoutError:
            raise SendFailed(Kind.DNS, f"The name {name} was not looked up within {by}.") from None
        except OSError as error:
            raise SendFailed(Kind.DNS, f"The name {name} was not found: {error.strerror}.") from None
        if not found:
            raise SendFailed(Kind.DNS, f"The name {name} has no address.")
        return [ip_address(address) for address in dict.fromkeys(found)]

    def _answer(self, name: str, by: Deadline) -> Sequence[str]:
        if not self._look_ups.acquire(timeout=by.left()):
            raise TimeoutError
        answer: Future[Sequence[str]] = Future()
        threading.Thread(target=self._ask, args=(name, answer), name="look-up", daemon=True).start()
        return answer.result(by.left())

    def _ask(self, name: str, answer: Future[Sequence[str]]) -> None:
        try:
            answer.set_result(self._resolve(name))
        except OSError as error:
            answer.set_exception(error)
        finally:
            self._look_ups.release()

    def _pool(self, trip: Trip) -> HTTPConnectionPool:
        if trip.aim.scheme == "https":
            return _TlsPool(trip.aim.host, trip.aim.port, trip=trip, ssl_context=self._context)
        return _Pool(trip.aim.host, trip.aim.port, trip=trip)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made once: reading the certificates of all authorities takes tens of milliseconds."""
        context = self._given_context or ssl.create_default_context(cafile=certifi.where())
        context.sslsocket_class = _TlsSocket
        return context


# ── where to, until when ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, and how many seconds away it was when it was set."""

    at: float
    seconds: float

    @classmethod
    def in_(cls, seconds: float) -> Deadline:
        """The deadline that is `seconds` away."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """The seconds left, more than 0. Raises TimeoutError when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self.seconds:g} s"


class Stopwatch:
    """When each phase of an exchange began, by a clock in seconds. It starts with the first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = {Phase.DNS: clock()}

    def enter(self, phase: Phase) -> None:
        """The phases before it are over. To enter one again changes nothing."""
        if phase not in self._began:
            self._began[phase] = self._clock()

    def laps(self) -> tuple[int | None, ...]:
        """Milliseconds of each phase so far, in their order; None: it was left out."""
        moments = [*self._began.values(), self._clock()]
        spans = (round((end - began) * 1000) for began, end in pairwise(moments))
        took = dict(zip(self._began, spans, strict=True))
        return tuple(took.get(phase) for phase in ORDER[: ORDER.index([*took][-1]) + 1])


@dataclass(frozen=True, slots=True)
class Aim:
    """A URL in the form that is sent, and its parts. `host` is ASCII, an IPv6 address stands without brackets."""

    url: str
    scheme: str
    host: str
    port: int


@lru_cache(maxsize=1024)
def aim_at(url: str, ports: frozenset[int]) -> Aim:
    """Where a URL points. Raises SendFailed (forbidden_address) when nothing may be sent there, whatever its address.

    `ports` are those that may be used; empty means all. Remembered, since the same URLs come again and again; what a
    name resolves to never is.
    """
    try:
        written, canonical = urlsplit(url), _canonical(url)
        parts = urlsplit(canonical)
        aim = Aim(canonical, parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0))
    except ValueError:
        raise SendFailed(Kind.FORBIDDEN, "The URL is not valid.") from None
    if objection := _objection(written, aim, ports):
        raise SendFailed(Kind.FORBIDDEN, objection)
    return aim


def _canonical(url: str) -> str:
    """The URL as requests sends it: its host by IDNA, the rest percent-encoded. Raises ValueError."""
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    return str(request.url)


def _objection(written: SplitResult, aim: Aim, ports: frozenset[int]) -> str | None:
    if aim.scheme not in DEFAULT_PORTS or not aim.host:
        return "Only http and https URLs with a host can be sent to."
    if "@" in written.netloc:
        return f"The URL of {aim.host} carries credentials; these belong into a header."
    if "\\" in written.netloc:
        return f"The URL of {aim.host} has a backslash in its host: readers differ on what that means."
    if ports and aim.port not in ports:
        return f"Port {aim.port} of {aim.host} is not one of the ports that are allowed."
    return None


def _literal(host: str) -> Sequence[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        return []


# ── one exchange ─────────────────────────────────────────────────────────────────────────────────


def _prepared(outgoing: Outgoing, url: str) -> requests.PreparedRequest:
    """Values go as bytes: as text, requests refuses one that begins with what Unicode holds for a space (U+00A0)."""
    headers = {name: value.encode("latin-1") for name, value in outgoing.headers.items() if name.lower() not in FRAMING}
    request = requests.PreparedRequest()
    request.prepare(outgoing.method, url, {"User-Agent": SKIP_HEADER, **headers}, data=outgoing.body)
    return request


def _exchange(adapter: HTTPAdapter, request: requests.PreparedRequest, trip: Trip) -> Reply:
    with adapter.send(request, stream=True) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = _body(response, trip)
    return Reply(status=response.status_code, headers=headers, body=body, phases=trip.stopwatch.laps())


def _body(response: requests.Response, trip: Trip) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > trip.limit:
            raise trip.too_large()
    return bytes(body)


@contextmanager
def _told(host: str) -> Iterator[None]:
    """Says in a sentence what requests and urllib3 raise. Their own texts hold whole URLs, so none is chained."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise SendFailed(Kind.TLS, f"TLS with {host} failed ({_root(error)}).") from None
    except requests.exceptions.ContentDecodingError:
        raise SendFailed(Kind.BROKEN, f"The reply of {host} is not encoded as it says.") from None
    except (requests.RequestException, HTTPError, OSError) as error:
        detail = f"The connection to {host} broke, or what came is not HTTP ({_root(error)})."
        raise SendFailed(Kind.BROKEN, detail) from None
    except ValueError as error:
        raise SendFailed(Kind.BROKEN, f"The request to {host} cannot be written ({_root(error)}).") from None


def _root(error: BaseException) -> str:
    """The class of what went wrong first: requests and urllib3 carry it as the last argument of their own."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return type(error).__name__


# ── the connection ───────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Trip:
    """One request's way out and back: where it may connect to, until when, and how many bytes may come (`limit`
    of the body). `heard` counts those that came."""

    aim: Aim
    addresses: Sequence[Address]
    connect_by: Deadline
    deadline: Deadline
    limit: int
    stopwatch: Stopwatch
    heard: int = 0
    connection: socket.socket | None = None

    def dial(self) -> socket.socket:
        """A connection to the first address that takes one. Each has an equal share of the time that is left."""
        failure = OSError()
        for tried, address in enumerate(self.addresses):
            try:
                return self._connect(address, self.connect_by.left() / (len(self.addresses) - tried))
            except OSError as error:
                failure = error
        raise failure

    def _connect(self, address: Address, seconds: float) -> socket.socket:
        connection = _Socket(
            socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6, socket.SOCK_STREAM
        )
        try:
            connection.settimeout(seconds)
            connection.connect((str(address), self.aim.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(self.connect_by.left())  # the TLS handshake inherits it
        except OSError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the connection for certain: its own `close` waits for readers, and a broken reply leaves one behind."""
        number = self.connection.detach() if self.connection else -1
        if number >= 0:
            socket.close(number)

    @contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """Around each wait: it ends with the deadline, as SendFailed."""
        try:
            connection.settimeout(self.deadline.left())
            yield
        except TimeoutError:
            raise self._too_late() from None

    def hear(self, count: int) -> None:
        """Count the bytes that came. Twice the body's limit leaves room for the framing of any honest reply."""
        self.stopwatch.enter(Phase.READ)
        self.heard += count
        if self.heard > 2 * self.limit + ASIDE:
            raise self.too_large()

    def no_connection(self) -> SendFailed:
        """The failure when the connection is not up in time."""
        return SendFailed(Kind.CONNECT_TIMEOUT, f"No connection to {self.aim.host} within {self.connect_by}.")

    def too_large(self) -> SendFailed:
        """The failure when more comes than is read."""
        return SendFailed(Kind.TOO_LARGE, f"{self.aim.host} sent more than the {self.limit} bytes that are read.")

    def _too_late(self) -> SendFailed:
        if self.heard:
            return SendFailed(Kind.TOTAL_TIMEOUT, f"{self.aim.host} was still answering after {self.deadline}.")
        return SendFailed(
            Kind.READ_TIMEOUT, f"{self.aim.host} took the connection, then said nothing for {self.deadline}."
        )


class _Socket(socket.socket):
    """A socket whose every wait is bounded. http.client uses these three methods, and no others, to send and read."""

    trip: Trip

    def recv_into(self, *args: Any) -> int:
        with self.trip.waiting(self):
            count = super().recv_into(*args)
        if count:
            self.trip.hear(count)
        return count

    def send(self, *args: Any) -> int:
        with self.trip.waiting(self):
            return super().send(*args)

    def sendall(self, *args: Any) -> None:
        with self.trip.waiting(self):
            super().sendall(*args)


class _TlsSocket(_Socket, ssl.SSLSocket):
    """The same over TLS, whose `sendall` is a loop of `send`."""


class _Response(http.client.HTTPResponse):
    """http.client passes over `100 Continue` only. The other interim replies (RFC 9110, 15.2) are no replies either,
    but for `101 Switching Protocols`: what comes after it is not HTTP."""

    def begin(self) -> None:
        super().begin()
        while HTTPStatus.SWITCHING_PROTOCOLS < self.status < HTTPStatus.OK:
            self.headers = None  # type: ignore[assignment]  # so that the next head is read
            super().begin()


class _Connection(HTTPConnection):
    """Connects to a vetted address of its trip, whatever its host's name resolves to by now."""

    response_class = _Response

    def __init__(self, *args: Any, trip: Trip, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trip = trip

    def _new_conn(self) -> socket.socket:
        try:
            connection = self._trip.dial()
        except TimeoutError:
            raise self._trip.no_connection() from None
        except OSError as error:
            raise SendFailed(Kind.REFUSED, f"{self.host} took no connection: {error.strerror}.") from None
        self._trip.stopwatch.enter(Phase.TLS if self._trip.aim.scheme == "https" else Phase.WAIT)
        return connection

    def connect(self) -> None:
        """Connect; from here on every wait is bounded by the deadline."""
        super().connect()
        assert isinstance(self.sock, _Socket)
        self.sock.trip, self._trip.connection = self._trip, self.sock
        self._trip.stopwatch.enter(Phase.WAIT)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS. SNI and the check of the certificate go by the host of the URL."""

    def connect(self) -> None:
        """Connect and shake hands."""
        try:
            super().connect()
        except TimeoutError:
            raise self._trip.no_connection() from None
        except ssl.SSLCertVerificationError as error:
            detail = f"The certificate of {self.host} is not accepted: {error.verify_message}."
            raise SendFailed(Kind.TLS, detail) from None
        except OSError as error:
            raise SendFailed(Kind.TLS, f"No TLS handshake with {self.host} ({type(error).__name__}).") from None


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """The adapter of requests on one pool of ours, without what it does beside sending."""

    def __init__(self, pool: HTTPConnectionPool) -> None:
        super().__init__()
        self._pool = pool

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """No proxy, and no TLS settings but the pool's."""
        return self._pool

    def cert_verify(self, *_: Any) -> None:
        """Nothing: the context verifies. A CA file named here would be read again for each connection."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """No cookie jar: nobody asks for it, and a reply can keep its parser busy for seconds."""
        response = requests.Response()
        response.request = req
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        return response
