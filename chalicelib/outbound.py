"""The one door to URLs that users supply: a request leaves for a vetted address only, and is capped in time and bytes.

    read the URL ─> look the name up, once ─> vet every address ─> connect to one of these ─> send ─> read, capped

urllib3's connection writes the request and makes the TLS connection. Below it the sockets are ours, because only
there can an address be pinned and each wait be bounded; and the reply is read by `reply`, which is strict where the
parser of http.client drops what it does not understand.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from chalicelib.address import Address, forbidden
from chalicelib.deadline import Deadline
from chalicelib.errors import Kind, SendFailed
from chalicelib.name_lookup import NameLookup, Resolver, look_up
from chalicelib.ports import Outgoing, Reply
from chalicelib.reply import ConnectionEnded, ReplyReader
from chalicelib.reply_head import InvalidReply, ReplyTooLarge
from chalicelib.settings import Settings
from chalicelib.task import Phase
from chalicelib.tls import Handshake, certificate_failure, client_context, tls_failure
from chalicelib.url import Url, parse_url

CHECK_SECONDS = 1.0
"""Seconds for which `check` waits for a name: somebody is waiting for the 202."""

FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that are made from the URL and the body, whatever the task says: else a receiver could be deceived."""

NO_BODY_EXPECTED = frozenset({"GET", "HEAD"})
"""Methods whose requests name no length when they have no body (RFC 9110, 8.6)."""

MAX_OVERHEAD_BYTES = 262_144
"""Bytes of a reply beside its body: status lines, headers, interim replies."""

RECEIVED_BYTES = 65_536
"""Bytes that are taken from a connection at a time."""

LOOPBACK: Sequence[Address] = (ip_address("127.0.0.1"), ip_address("::1"))

ORDER = tuple(Phase)
"""The phases of an exchange."""

# urllib3 writes whole URLs, with the secrets in their queries, into its debug lines and warnings.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Outbound:
    """The port `Http`. One object serves any number of threads; each request has a connection of its own.

    `resolve` and `context` are there for tests; a given context is changed so that its sockets keep to the caps.
    """

    def __init__(
        self, settings: Settings, *, resolve: Resolver = look_up, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._names = NameLookup(resolve)
        self._given_context = context

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
        url = aim_at(outgoing.url, self._settings.ports)
        addresses = self._vetted(url.host, connect_by)
        stopwatch.enter(Phase.CONNECT)
        limit = self._settings.read_limit
        trip = Trip(url, addresses, connect_by=connect_by, deadline=deadline, limit=limit, stopwatch=stopwatch)
        with closing(self._connection(trip)) as connection:
            connection.connect()
            return _exchange(connection, outgoing, trip)

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
        if is_localhost(host):
            allowed = [it for it in LOOPBACK if not forbidden(it, self._settings.allow_networks)]
            addresses: Sequence[Address] = allowed or LOOPBACK
        else:
            addresses = _literal(host) or self._looked_up(host, by)
        for address in addresses:
            if why := forbidden(address, self._settings.allow_networks):
                raise SendFailed(Kind.FORBIDDEN, f"{host} leads to an address that is not allowed: {why}.")
        return addresses

    def _looked_up(self, name: str, by: Deadline) -> Sequence[Address]:
        try:
            found = self._names.addresses(name, by)
        except TimeoutError:
            raise SendFailed(Kind.DNS, f"The name {name} was not looked up within {by}.") from None
        except OSError as error:
            raise SendFailed(Kind.DNS, f"The name {name} was not found: {error.strerror}.") from None
        if not found:
            raise SendFailed(Kind.DNS, f"The name {name} has no address.")
        return [ip_address(address) for address in dict.fromkeys(found)]

    def _connection(self, trip: Trip) -> _Connection:
        if trip.url.scheme == "https":
            return _TlsConnection(trip.url.host, trip.url.port, trip=trip, ssl_context=self._context)
        return _Connection(trip.url.host, trip.url.port, trip=trip)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made once: reading the certificates of all authorities takes tens of milliseconds."""
        context = self._given_context or client_context(self._settings.ca_bundle)
        context.sslsocket_class = _TlsSocket
        return context


# ── where to, until when ─────────────────────────────────────────────────────────────────────────


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


@lru_cache(maxsize=1024)
def aim_at(url: str, ports: frozenset[int]) -> Url:
    """Where a URL leads. Raises SendFailed (forbidden_address) when nothing may be sent there, whatever its address.

    `ports` are those that may be used; empty means all. Remembered, since the same URLs come again and again; what a
    name resolves to never is.
    """
    try:
        parsed = parse_url(url)
    except ValueError as error:
        why = str(error)
        raise SendFailed(Kind.FORBIDDEN, f"The URL {why}.") from None
    if ports and parsed.port not in ports:
        raise SendFailed(
            Kind.FORBIDDEN, f"Port {parsed.port} of {parsed.host} is not one of the ports that are allowed."
        )
    return parsed


def is_localhost(host: str) -> bool:
    """Whether a name is this computer by definition (RFC 6761, 6.3), whatever a resolver says of it."""
    return host.removesuffix(".").rpartition(".")[2] == "localhost"


def _literal(host: str) -> Sequence[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        return []


# ── one exchange ─────────────────────────────────────────────────────────────────────────────────


def _exchange(connection: _Connection, outgoing: Outgoing, trip: Trip) -> Reply:
    reader = ReplyReader(connection.receive, method=outgoing.method, limit=trip.limit)
    trip.progress = reader.progress
    with _told(trip):
        _write(connection, outgoing, trip)
        received = reader.read()
    return Reply(
        status=received.status,
        headers=received.headers,
        body=received.body,
        undecoded=received.undecoded,
        phases=trip.stopwatch.laps(),
    )


def _write(connection: _Connection, outgoing: Outgoing, trip: Trip) -> None:
    """Send the request. A receiver that hangs up before it has read it all may have said why: by a reply such as 413
    (RFC 9112, 9.5), or in TLS 1.3 by an alert."""
    headers = _headers(outgoing, trip.url)
    try:
        connection.request(outgoing.method, trip.url.request_target, outgoing.body, headers)
    except (ConnectionError, ssl.SSLEOFError):  # what came before that may still be read
        trip.is_written = False
    else:
        trip.is_written = True


def _headers(outgoing: Outgoing, url: Url) -> dict[str, Any]:
    """Values go as bytes, as they are (ISO 8859-1). Raises ValueError for one that HTTP cannot carry."""
    given = {name: value.encode("latin-1") for name, value in outgoing.headers.items() if name.lower() not in FRAMING}
    names = {name.lower() for name in given}
    framing = {"Host": url.authority, "Connection": "close"}
    if outgoing.method not in NO_BODY_EXPECTED or outgoing.body:
        framing["Content-Length"] = str(len(outgoing.body or b""))
    return {**framing, **({} if "user-agent" in names else {"User-Agent": SKIP_HEADER}), **given}


@contextmanager
def _told(trip: Trip) -> Iterator[None]:
    """Says in a sentence what went wrong on a connection that was up. Texts of libraries may hold whole URLs, so none
    is chained."""
    host = trip.url.host
    try:
        yield
    except InvalidReply as error:
        why = str(error)
        raise SendFailed(Kind.BROKEN, f"The reply of {host} is not valid: it {why}.") from None
    except ReplyTooLarge as error:
        why = str(error)
        raise SendFailed(Kind.TOO_LARGE, f"The reply of {host} is too large: it {why}.") from None
    except ConnectionEnded:
        raise SendFailed(Kind.BROKEN, trip.ended(was_reset=False)) from None
    except ssl.SSLError as error:
        raise SendFailed(Kind.TLS, tls_failure(host, error)) from None
    except ConnectionError:
        raise SendFailed(Kind.BROKEN, trip.ended(was_reset=True)) from None
    except OSError as error:
        raise SendFailed(Kind.BROKEN, f"The connection to {host} broke: {error.strerror}.") from None
    except (ValueError, http.client.HTTPException) as error:
        raise SendFailed(Kind.BROKEN, f"The request to {host} cannot be written ({type(error).__name__}).") from None


@dataclass(slots=True)
class Trip:
    """A request's way out and back: where it may connect to, until when, and how many bytes may come (`limit`
    of the body). `heard` counts those that came, the last at `heard_at` (monotonic)."""

    url: Url
    addresses: Sequence[Address]
    connect_by: Deadline
    deadline: Deadline
    limit: int
    stopwatch: Stopwatch
    heard: int = 0
    heard_at: float = 0
    is_written: bool = False
    progress: Callable[[], str] = str

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
            connection.connect((str(address), self.url.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(self.connect_by.left())  # the TLS handshake inherits it
        except OSError:
            connection.close()
            raise
        return connection

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
        self.heard_at = time.monotonic()
        if self.heard > 2 * self.limit + MAX_OVERHEAD_BYTES:
            raise ReplyTooLarge(
                f"has more than {2 * self.limit + MAX_OVERHEAD_BYTES} bytes, with all that frames its body"
            )

    def ended(self, *, was_reset: bool) -> str:
        """The sentence for a connection that the receiver closed, or reset, too early."""
        host = self.url.host
        how = "reset" if was_reset else "closed"
        if self.heard:
            return f"{host} {how} the connection in the middle of its reply; it had sent {self.progress()}."
        if self.is_written:
            return f"{host} {how} the connection without a reply."
        return f"{host} {how} the connection while the request was sent to it, without a reply."

    def _too_late(self) -> SendFailed:
        host, limit = self.url.host, self.deadline
        if self.heard:
            last = f"{max(0.0, self.heard_at - limit.at + limit.seconds):.1f} s"
            came = self.progress()
            detail = f"{host} had not sent its whole reply after {limit}: it sent {came}, the last of it after {last}."
            return SendFailed(Kind.TOTAL_TIMEOUT, detail)
        if not self.is_written:
            return SendFailed(Kind.READ_TIMEOUT, f"{host} did not take the whole request within {limit}.")
        return SendFailed(Kind.READ_TIMEOUT, f"{host} took the request and sent no reply within {limit}.")


class _Socket(socket.socket):
    """A socket whose every wait is bounded: http.client sends by `sendall`, and `send` is what that is made of."""

    trip: Trip

    def receive(self) -> bytes:
        """The next bytes; none when the other side has hung up."""
        with self.trip.waiting(self):
            received = self.recv(RECEIVED_BYTES)
        if received:
            self.trip.hear(len(received))
        return received

    def send(self, *args: Any) -> int:
        with self.trip.waiting(self):
            return super().send(*args)

    def sendall(self, *args: Any) -> None:
        with self.trip.waiting(self):
            super().sendall(*args)


class _TlsSocket(_Socket, Handshake, ssl.SSLSocket):
    """The same over TLS, whose `sendall` is a loop of `send`."""


class _Connection(HTTPConnection):
    """Connects to a vetted address of its trip, whatever its host's name resolves to by now."""

    def __init__(self, *args: Any, trip: Trip, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trip = trip

    def _new_conn(self) -> socket.socket:
        host = self._trip.url.host
        try:
            connection = self._trip.dial()
        except TimeoutError:
            detail = f"No connection to {host} within {self._trip.connect_by}."
            raise SendFailed(Kind.CONNECT_TIMEOUT, detail) from None
        except OSError as error:
            raise SendFailed(Kind.REFUSED, f"{host} took no connection: {error.strerror}.") from None
        self._trip.stopwatch.enter(Phase.TLS if self._trip.url.scheme == "https" else Phase.WAIT)
        return connection

    def connect(self) -> None:
        """Connect; from here on every wait is bounded by the deadline."""
        super().connect()
        assert isinstance(self.sock, _Socket)
        self.sock.trip = self._trip
        self._trip.stopwatch.enter(Phase.WAIT)

    def receive(self) -> bytes:
        """The next bytes of the reply; none when the other side has hung up."""
        assert isinstance(self.sock, _Socket)
        return self.sock.receive()


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS. SNI and the check of the certificate go by the host of the URL."""

    def connect(self) -> None:
        """Connect and shake hands."""
        try:
            super().connect()
        except OSError as error:
            raise SendFailed(Kind.TLS, self._handshake_failure(error)) from None

    def _handshake_failure(self, error: OSError) -> str:
        host = self._trip.url.host
        if isinstance(error, ssl.SSLCertVerificationError):
            return certificate_failure(host, error)
        if isinstance(error, TimeoutError):
            return f"The TLS handshake with {host} was not finished within {self._trip.connect_by}."
        if isinstance(error, ssl.SSLEOFError | ConnectionError):
            how = "reset" if isinstance(error, ConnectionResetError) else "closed"
            return f"{host} {how} the connection during the TLS handshake."
        if isinstance(error, ssl.SSLError):
            return tls_failure(host, error)
        return f"No TLS handshake with {host} ({type(error).__name__})."
