"""Connections to the local server: how many there may be, how long each may take, and how one ends.

One client that is slow, or holds many connections, does not keep the others from theirs: a head and a body must come
within their time, and when there are too many connections, the one that has kept the server waiting longest ends.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from heapq import nsmallest
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from infra.local.request import Parser

MAX_CONNECTIONS = 1000
"""Open at once."""

MAX_ACCEPTED_AT_ONCE = 100

HEAD_SECONDS = 20
"""From the first byte of a request, or from the connection, until its head is there."""

BODY_SECONDS = 60
"""From the first byte of a request until all of it is there."""

IDLE_SECONDS = 75
"""Between two requests."""

LINGER_SECONDS = 5
"""How long a client that was refused may go on sending. Closed at once, the connection would be reset, and the client
might not see why (RFC 9112, section 9.6)."""

MAX_LINGER_BYTES = 16 * 1024 * 1024


class Channel(HTTPChannel):
    """A connection. All but `service` runs in the thread of the server's loop."""

    parser_class = Parser
    error_task_class: type[ErrorTask]
    request: Any
    socket: Any
    is_refused = False
    """Set by the task that refuses a request: what still comes is then thrown away for a while."""

    _lingers_until = 0.0
    _lingered_bytes = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.connected_at = time.monotonic()
        super().__init__(*arguments, **named)

    @property
    def waiting_since(self) -> float | None:
        """The monotonic time since which the client lets the server wait; None while the server works for it.

        It waits for a request, or for the client to read its reply.
        """
        if self.requests:
            return None
        if self.request is not None:
            return float(self.request.begun_at)
        return max(self.connected_at, time.monotonic() - (time.time() - self.last_activity))

    def is_overdue(self, now: float) -> bool:
        """Whether the client has taken too long."""
        if self._lingers_until:
            return now > self._lingers_until
        if self.requests:
            return False
        if self.request is not None:
            return bool(now - self.request.begun_at > (BODY_SECONDS if self.request.headers_finished else HEAD_SECONDS))
        is_new = self.last_activity == self.creation_time
        return time.time() - self.last_activity > (HEAD_SECONDS if is_new else IDLE_SECONDS)

    def readable(self) -> bool:
        """Whether there may be something to read."""
        return self._lingers_until > 0 or super().readable()

    def handle_read(self) -> None:
        """Read, or throw away what a refused client still sends."""
        if not self._lingers_until:
            super().handle_read()
            return
        with suppress(OSError):
            self._lingered_bytes += len(self.recv(65_536))  # at the end, it closes
        if self.connected and self._lingered_bytes > MAX_LINGER_BYTES:
            super().handle_close()

    def handle_close(self) -> None:
        """Close, or say that nothing more is sent and let a refused client finish."""
        if self.is_refused and self.connected and not self._lingers_until:
            self._lingers_until = time.monotonic() + LINGER_SECONDS
            self.will_close = self.close_when_flushed = False
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()


def govern(server: Any) -> None:
    """Have the server keep to these limits, and take all connections that are there: by itself it takes one in turn."""
    accept = server.handle_accept

    def accept_all() -> None:
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            before = len(server.active_channels)
            accept()
            if len(server.active_channels) == before:
                break
        _end_longest_waiting(server)

    server.handle_accept = accept_all
    server.maintenance = lambda _now: end_overdue(server)


def _end_longest_waiting(server: Any) -> None:
    """Close what is too many, after all were accepted: a descriptor that is free again must not be among the polled."""
    if (excess := len(server.active_channels) - MAX_CONNECTIONS) > 0:
        waiting = [it for it in server.active_channels.values() if it.waiting_since is not None]
        for channel in nsmallest(excess, waiting, key=lambda it: it.waiting_since):
            channel.handle_close()


def end_overdue(server: Any) -> None:
    """Have every connection closed whose client has taken too long."""
    now = time.monotonic()
    for channel in list(server.active_channels.values()):
        if channel.is_overdue(now):
            channel.will_close = True
