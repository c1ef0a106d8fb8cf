"""What an SMTP server gets, and what it does not: a password without verified TLS, or a letter twice."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest
import trustme

from chalicelib import smtp
from chalicelib.errors import Kind, SendFailed
from chalicelib.outbound import Outbound
from chalicelib.ports import Letter, RefusedRecipient
from chalicelib.sealing import Sealer
from chalicelib.settings import load
from chalicelib.smtp import SmtpMail
from chalicelib.vault import MemoryVault

LETTER = Letter(to=("ops@example.com", "dev@example.com"), subject="3 tasks 未送达", text="第一行\n.\nthe end")

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("mail.example", "127.0.0.1")


@dataclass
class Server:
    """An SMTP server on loopback for one connection; what it heard, line by line, and whether TLS was up by then."""

    offers: tuple[str, ...] = ()
    replies: Mapping[str, str] = field(default_factory=dict)
    certificate: trustme.LeafCert = CERTIFICATE
    tls_at_once: bool = False
    heard: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    port: int = 0

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            self._converse(self._secured(connection) if self.tls_at_once else connection, greets=True)

    def _secured(self, connection: socket.socket) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        return context.wrap_socket(connection, server_side=True)

    def _converse(self, connection: socket.socket, *, greets: bool) -> None:
        wire: Any = connection.makefile("rwb")
        is_tls, in_data = isinstance(connection, ssl.SSLSocket), False
        if greets:
            wire.write(self.replies.get("greeting", "220 ready").encode() + b"\r\n")
            wire.flush()
        for raw in wire:
            line = raw.decode(errors="replace").rstrip("\r\n")
            self.heard.append(line)
            if is_tls:
                self.secret.append(line)
            word = line.lower().split(" ")[0]
            if word == "quit" and not in_data:
                return
            wire.write(self._answer(line.lower(), is_tls=is_tls, in_data=in_data).encode())
            wire.flush()
            in_data = (in_data or (word == "data" and word not in self.replies)) and line != "."
            if word == "starttls" and not self.replies.get(word, "220").startswith("4"):
                self._converse(self._secured(connection), greets=False)
                return

    def _answer(self, line: str, *, is_tls: bool, in_data: bool) -> str:
        if in_data:
            return "250 taken\r\n" if line == "." else ""
        if reply := next((it for begin, it in self.replies.items() if line.startswith(begin)), ""):
            return f"{reply}\r\n"
        if line.startswith("ehlo"):
            offers = [it for it in self.offers if not (is_tls and it == "STARTTLS")]
            return "".join(f"250-{it}\r\n" for it in ("mail", *offers)) + "250 8BITMIME\r\n"
        known = {"starttls": "220 go on", "data": "354 go on", "auth": "235 welcome"}
        return known.get(line.split(" ", maxsplit=1)[0], "250 fine") + "\r\n"

    def said(self, word: str) -> list[str]:
        return [line for line in self.heard if line.lower().startswith(word)]


@contextmanager
def running(**parts: Any) -> Iterator[Server]:
    server = Server(**parts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        yield server
        thread.join(10)


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def on_loopback(_host: str, _seconds: float) -> Sequence[str]:
    return ["127.0.0.1"]


def mail(
    server: Server,
    url: str = "smtp://mail.example",
    vetted: Callable[[str, float], Sequence[str]] = on_loopback,
    context: Callable[[], ssl.SSLContext] = trusting,
) -> SmtpMail:
    found = {"KKBIDA_MAIL_FROM": "kkbida@example.com", "KKBIDA_SMTP": f"{url}:{server.port}"}
    return SmtpMail(load(found), vetted, context)


WITH_LOGIN = "smtp://me:hush%21@mail.example"


def test_a_server_gets_the_letter_as_it_was_written() -> None:
    with running() as server:
        assert mail(server).send(LETTER) == {}
    assert server.said("rcpt") == [f"rcpt TO:<{to}>" for to in LETTER.to]
    heard = server.heard
    raw = "\n".join(line.removeprefix(".") for line in heard[heard.index("data") + 1 : heard.index(".")])
    got = email.message_from_bytes(raw.encode(), policy=email.policy.default)
    assert (got["From"], got["To"], got["Subject"]) == (
        "kkbida@example.com",
        "ops@example.com, dev@example.com",
        LETTER.subject,
    )
    assert got.get_content().rstrip("\n") == LETTER.text


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("url", "tls_at_once"), [(WITH_LOGIN, False), (WITH_LOGIN.replace("smtp", "smtps", 1), True)])
def test_a_server_whose_certificate_is_right_gets_login_and_letter_over_tls(url: str, tls_at_once: bool) -> None:
    with running(offers=("STARTTLS", "AUTH PLAIN"), tls_at_once=tls_at_once) as server:
        assert mail(server, url).send(LETTER) == {}
    [login] = server.said("auth")
    assert login in server.secret
    assert "." in server.secret
    assert not any(line.lower().startswith(("mail", "rcpt")) and line not in server.secret for line in server.heard)


UNKNOWN = trustme.CA().issue_cert("mail.example", "127.0.0.1")
OF_ANOTHER_NAME = AUTHORITY.issue_cert("other.example")


@pytest.mark.parametrize("certificate", [UNKNOWN, OF_ANOTHER_NAME], ids=["unknown", "another name"])
@pytest.mark.parametrize("user", ["me:hush@", ""])
@pytest.mark.parametrize(("scheme", "tls_at_once"), [("smtp", False), ("smtps", True)])
@pytest.mark.parametrize("host", ["mail.example", "127.0.0.1"])
def test_a_server_whose_certificate_is_wrong_gets_neither_password_nor_letter(
    certificate: trustme.LeafCert, user: str, scheme: str, tls_at_once: bool, host: str
) -> None:
    offers = ("STARTTLS", "AUTH PLAIN LOGIN")
    with (
        running(offers=offers, certificate=certificate, tls_at_once=tls_at_once) as server,
        pytest.raises(SendFailed, match=f"The certificate of {host} is not accepted") as failed,
    ):
        mail(server, f"{scheme}://{user}{host}").send(LETTER)
    assert failed.value.kind is Kind.TLS
    assert server.said("auth") + server.said("mail") + server.said("rcpt") == []


@pytest.mark.parametrize("url", [WITH_LOGIN, "smtp://me:hush@127.0.0.1"])
def test_a_password_is_never_sent_without_tls_on_loopback_neither(url: str) -> None:
    with (
        running(offers=("AUTH PLAIN LOGIN CRAM-MD5",)) as server,
        pytest.raises(SendFailed, match="offers no TLS, and a password is sent over TLS only") as failed,
    ):
        mail(server, url).send(LETTER)
    assert failed.value.kind is Kind.TLS
    assert not any("hush" in line or line.lower().startswith(("auth", "mail")) for line in server.heard)


def test_what_a_server_says_before_the_handshake_does_not_count_after_it() -> None:
    injected = "220 go on\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n235 welcome"
    with running(offers=("STARTTLS",), replies={"starttls": injected}) as server, pytest.raises(SendFailed):
        mail(server, WITH_LOGIN).send(LETTER)
    assert server.said("auth") == []


def test_a_refused_starttls_is_no_reason_to_go_on_without() -> None:
    with (
        running(offers=("STARTTLS", "AUTH PLAIN"), replies={"starttls": "454 not now"}) as server,
        pytest.raises(SendFailed, match="did not take the message: 454 not now"),
    ):
        mail(server).send(LETTER)
    assert server.said("auth") + server.said("mail") == []


def test_a_refused_login_says_so_without_what_the_server_repeats() -> None:
    with (
        running(offers=("STARTTLS", "AUTH PLAIN"), replies={"auth": "535 not hush!"}) as server,
        pytest.raises(SendFailed) as failed,
    ):
        mail(server, WITH_LOGIN).send(LETTER)
    assert failed.value.detail == "The SMTP server mail.example refused the login (535)."


def test_a_password_that_is_encrypted_in_the_setting_is_what_the_server_gets() -> None:
    sealer = Sealer(MemoryVault())
    sealed = sealer.seal("hush!", smtp.OWNER)
    with running(offers=("STARTTLS", "AUTH PLAIN")) as server:
        found = {"KKBIDA_SMTP": f"smtp://me@mail.example:{server.port}", "KKBIDA_SMTP_PASSWORD": sealed}
        sending = SmtpMail(load({**found, "KKBIDA_MAIL_FROM": "a@b.c"}), on_loopback, trusting, sealer.open)
        assert sending.send(LETTER) == {}
    [login] = server.said("auth")
    assert base64.b64decode(login.split(" ")[2]) == b"\0me\0hush!"


def test_a_password_that_was_encrypted_under_another_key_is_no_login() -> None:
    sealed = Sealer(MemoryVault()).seal("hush!", smtp.OWNER)
    with running(offers=("STARTTLS", "AUTH PLAIN")) as server:
        found = {"KKBIDA_SMTP": f"smtp://me@mail.example:{server.port}", "KKBIDA_SMTP_PASSWORD": sealed}
        sending = SmtpMail(load(found), on_loopback, trusting, Sealer(MemoryVault()).open)
        with pytest.raises(SendFailed, match="the SMTP password is encrypted under it"):
            sending.send(LETTER)
    assert server.said("auth") == []


# ── recipients ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ("550 5.1.1 no such user", RefusedRecipient("550 5.1.1 no such user", permanent=True)),
        ("450 4.2.0 greylisted", RefusedRecipient("450 4.2.0 greylisted", permanent=False)),
    ],
)
def test_a_refused_recipient_is_named_and_the_others_get_the_letter(said: str, refusal: RefusedRecipient) -> None:
    with running(replies={"rcpt to:<dev": said}) as server:
        assert mail(server).send(LETTER) == {"dev@example.com": refusal}
    assert "." in server.heard


def test_when_all_are_refused_each_is_named() -> None:
    with running(replies={"rcpt to:<dev": "450 later", "rcpt to:<ops": "550 never"}) as server:
        assert mail(server).send(LETTER) == {
            "ops@example.com": RefusedRecipient("550 never", permanent=True),
            "dev@example.com": RefusedRecipient("450 later", permanent=False),
        }
    assert "." not in server.heard


def test_a_server_that_hangs_up_at_a_recipient_has_taken_the_letter_for_nobody() -> None:
    with running(replies={"rcpt to:<dev": "421 too much"}) as server:
        refused = mail(server).send(LETTER)
    assert refused.keys() == set(LETTER.to)
    assert not any(it.permanent for it in refused.values())


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ({"greeting": "554 go away"}, "554 go away"),
        ({"mail": "553 unknown sender"}, "553 unknown sender"),
        ({"data": "451 4.3.0 try again"}, "451 4.3.0 try again"),
        ({"mail": "550 \x1b[2J" + "x" * 900}, "550 \x1b[2J" + "x" * 192),
    ],
)
def test_a_letter_that_is_refused_as_such_says_why(replies: dict[str, str], why: str) -> None:
    with running(replies=replies) as server, pytest.raises(SendFailed) as failed:
        mail(server).send(LETTER)
    assert failed.value.detail == f"The SMTP server mail.example did not take the message: {why}"


# ── where to, and for how long ───────────────────────────────────────────────────────────────────


def test_a_name_that_leads_to_a_private_address_is_not_connected_to() -> None:
    asked = list[str]()

    def resolve(name: str) -> list[str]:
        asked.append(name)
        return ["10.1.2.3"]

    with running() as server:
        vetted = Outbound(load({}), resolve=resolve).vetted
        with pytest.raises(SendFailed, match=r"mail\.example leads to an address that is not allowed") as failed:
            mail(server, vetted=vetted).send(LETTER)
        assert failed.value.kind is Kind.FORBIDDEN
        assert server.heard == []
        mail(server).send(LETTER)
    assert asked == ["mail.example"]


def test_a_network_that_is_allowed_is_connected_to_by_the_address_that_was_vetted() -> None:
    asked = list[str]()

    def resolve(name: str) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with running() as server:
        vetted = Outbound(load({"KKBIDA_ALLOW_NETWORKS": "127.0.0.1/32"}), resolve=resolve).vetted
        mail(server, vetted=vetted).send(LETTER)
    assert len(asked) == 1, "a second look-up could lead elsewhere"


def test_an_address_in_the_setting_needs_no_other_permission() -> None:
    def vetted(_host: str, _seconds: float) -> Sequence[str]:
        raise AssertionError("nothing is looked up")

    with running() as server:
        assert mail(server, "smtp://127.0.0.1", vetted=vetted).send(LETTER) == {}


def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    with running() as server:
        assert mail(server, vetted=lambda *_: ["127.0.0.9", "127.0.0.1"]).send(LETTER) == {}


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(port=taken.getsockname()[1])
    with pytest.raises(SendFailed, match="ConnectionRefusedError"):
        mail(server).send(LETTER)


def test_a_server_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(port=listener.getsockname()[1])
        with pytest.raises(SendFailed, match=r"took longer than 0\.3 s|does not answer"):
            mail(server).send(LETTER)


def test_a_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                while True:
                    connection.sendall(b"220-still here\r\n")
                    connection.settimeout(0.05)
                    with suppress(TimeoutError):
                        if not connection.recv(100):
                            return

        thread = Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(SendFailed, match=r"took longer than 0\.5 s"):
            mail(Server(port=listener.getsockname()[1])).send(LETTER)
        thread.join(10)


def test_a_server_that_says_too_much_is_left() -> None:
    with (
        running(replies={"greeting": "220-x\r\n" * 40_000 + "220 ready"}) as server,
        pytest.raises(SendFailed, match="does not answer as it should"),
    ):
        mail(server).send(LETTER)
    assert server.said("mail") == []
