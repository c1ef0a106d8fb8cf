"""The port `Mail` on an SMTP server: `smtp://user:password@host:587` (STARTTLS) or `smtps://` (TLS from the start).

The certificate of the server is verified whenever TLS is used, for the host of the URL. A password is sent over TLS
only, on loopback too. The server's name is resolved once and its addresses are vetted, as those of deliveries are; an
address that is written in the URL itself is allowed by that, for mail only.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from functools import cached_property
from ipaddress import ip_address
from threading import Timer
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from chalicelib.errors import Kind, SendFailed, Unavailable
from chalicelib.ports import Letter, RefusedRecipient
from chalicelib.settings import Settings
from chalicelib.shape import escaped
from chalicelib.tls import certificate_failure, tls_failure

TIMEOUT_SECONDS = 20
"""For a whole letter, from the connection on: less than the lease of a notice."""

MAX_SAID_BYTES = 262_144
"""Bytes that the server may say during one letter."""

MAX_REASON = 200
"""Characters of what the server says that are kept."""

OWNER = "SMTP password"
"""What an encrypted password belongs to."""

PORTS = {"smtp": 25, "smtps": 465}
PERMANENT = 500
"""Reply codes from here on say that it makes no sense to ask again (RFC 5321, 4.2.1)."""

Vetted = Callable[[str, float], Sequence[str]]
"""From a host, within so many seconds, to addresses that may be connected to. Raises SendFailed."""


class SmtpMail:
    """The port `Mail`. `vetted` is the check of addresses that deliveries pass; `opened` decrypts the password."""

    def __init__(
        self,
        settings: Settings,
        vetted: Vetted,
        context: Callable[[], ssl.SSLContext],
        opened: Callable[[str, str], str] = lambda sealed, _: sealed,
    ) -> None:
        self._url = urlsplit(settings.smtp)
        self._host = self._url.hostname or ""
        self._sender = settings.mail_from
        self._connect_timeout = settings.connect_timeout
        self._sealed_password = settings.smtp_password
        self._opened = opened
        self._vetted = vetted
        self._make_context = context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._make_context()

    def send(self, letter: Letter) -> Mapping[str, RefusedRecipient]:
        """See `Mail.send`."""
        server = _Server(self._host, self._dial, self._context, tls_at_once=self._url.scheme == "smtps")
        watchdog = Timer(TIMEOUT_SECONDS, server.cut)
        with _told(self._host, server):
            try:
                watchdog.start()
                _require(220, *server.connect(self._host, self._url.port or PORTS[self._url.scheme]))
                self._greet(server)
                refused = server.send_message(_written(letter, self._sender), to_addrs=letter.to)
                with suppress(OSError, smtplib.SMTPException):  # the letter is taken, however the server takes leave
                    server.quit()
            except smtplib.SMTPRecipientsRefused as error:
                refused = error.recipients
                return {to: _refusal(refused.get(to, (421, b"the server closed the connection"))) for to in letter.to}
            finally:
                watchdog.cancel()
                server.close()
        return {to: _refusal(said) for to, said in refused.items()}

    def _dial(self) -> Iterator[tuple[str, float]]:
        """The addresses to try, each with the seconds that it may take."""
        addresses = [self._host] if _is_literal(self._host) else self._vetted(self._host, self._connect_timeout)
        return ((address, self._connect_timeout / len(addresses)) for address in addresses)

    def _greet(self, server: _Server) -> None:
        """Encrypt where that is offered, and log in if a user is given: never without TLS."""
        server.ehlo_or_helo_if_needed()
        if not server.is_encrypted and server.has_extn("starttls"):
            server.encrypt()
        if not self._url.username:
            return
        if not server.is_encrypted:
            detail = f"The SMTP server {self._host} offers no TLS, and a password is sent over TLS only."
            raise SendFailed(Kind.TLS, detail)
        server.login(unquote(self._url.username), self._password())

    def _password(self) -> str:
        """Raises SendFailed when it was encrypted under another master key."""
        if not self._sealed_password:
            return unquote(self._url.password or "")
        try:
            return self._opened(self._sealed_password, OWNER)
        except Unavailable as error:
            raise SendFailed(Kind.REFUSED, str(error)) from error


class _Server(smtplib.SMTP):
    """smtplib's client on a vetted connection, which `cut` ends from another thread."""

    def __init__(
        self, host: str, dial: Callable[[], Iterator[tuple[str, float]]], context: ssl.SSLContext, *, tls_at_once: bool
    ) -> None:
        super().__init__(timeout=TIMEOUT_SECONDS)
        self._server_name = host
        self._dial = dial
        self._context = context
        self._tls_at_once = tls_at_once
        self.is_encrypted = False
        self.was_cut = False

    def cut(self) -> None:
        """End the connection, whatever is waited for."""
        self.was_cut = True
        if self.sock:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - of smtplib
        failure = OSError()
        for address, seconds in self._dial():
            try:
                self.sock = socket.create_connection((address, port), seconds)
            except OSError as error:
                failure = error
                continue
            self.sock.settimeout(timeout)
            return self._secured() if self._tls_at_once else self.sock
        raise failure

    def _secured(self) -> ssl.SSLSocket:
        """The handshake runs on `self.sock`, so that it can be cut."""
        assert self.sock is not None
        secured = self._context.wrap_socket(self.sock, server_hostname=self._server_name, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()
        self.is_encrypted = True
        return secured

    def encrypt(self) -> None:
        """STARTTLS. What came before the handshake is dropped, and the server is greeted anew (RFC 3207, 4.2)."""
        _require(220, *self.docmd("STARTTLS"))
        self._secured()
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()

    def getreply(self) -> tuple[int, bytes]:
        """A reply of the server. Raises SMTPServerDisconnected when it says too much."""
        if self.file is None and self.sock:
            self.file = _Limited(self.sock.makefile("rb"))
        return super().getreply()


def _require(wanted: int, code: int, said: bytes) -> None:
    """Raises SMTPResponseException when the server says anything else."""
    if code != wanted:
        raise smtplib.SMTPResponseException(code, said)


class _Limited:
    """What smtplib reads lines from, up to `MAX_SAID_BYTES` in all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_SAID_BYTES
        self.close = file.close

    def readline(self, size: int) -> bytes:
        """The next line. Raises OSError when there were too many."""
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"it said more than {MAX_SAID_BYTES} bytes")
        return line


@contextmanager
def _told(host: str, server: _Server) -> Iterator[None]:
    """Says in a sentence what smtplib raises. What a server says to a login is left out: it may repeat it."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SendFailed(Kind.TLS, certificate_failure(host, error)) from None
    except smtplib.SMTPAuthenticationError as error:
        raise SendFailed(Kind.REPLY, f"The SMTP server {host} refused the login ({error.smtp_code}).") from None
    except smtplib.SMTPResponseException as error:
        said = _refusal((error.smtp_code, error.smtp_error)).reason
        raise SendFailed(Kind.REPLY, f"The SMTP server {host} did not take the message: {said}") from None
    except (OSError, smtplib.SMTPException) as error:
        if server.was_cut:
            detail = f"The SMTP server {host} took longer than {TIMEOUT_SECONDS} s."
            raise SendFailed(Kind.TOTAL_TIMEOUT, detail) from None
        if isinstance(error, ssl.SSLError):
            why = tls_failure(host, error)
            detail = f"No TLS handshake with {host} ({type(error).__name__})."
            raise SendFailed(Kind.TLS, detail if why is None else why) from None
        detail = f"The SMTP server {host} does not answer as it should ({type(error).__name__})."
        raise SendFailed(Kind.REFUSED, detail) from None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refusal(said: tuple[int, bytes | str]) -> RefusedRecipient:
    code, text = said
    line = " ".join((text if isinstance(text, str) else text.decode(errors="replace")).split())
    return RefusedRecipient(escaped(f"{code} {line}".strip())[:MAX_REASON], permanent=code >= PERMANENT)


def _written(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(letter.to), letter.subject
    message.set_content(letter.text)
    return message
