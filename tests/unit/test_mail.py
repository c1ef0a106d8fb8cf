"""E-mail: what SES is asked for, and what an SMTP server gets."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from chalicelib.errors import SendFailed
from chalicelib.mail import SesMail, SmtpMail
from chalicelib.ports import Letter, NoMail
from chalicelib.settings import Settings, load
from chalicelib.world import build

LETTER = Letter(to=("ops@example.com", "dev@example.com"), subject="3 tasks 未送达", text="第一行\n.\nthe end")


def settings(**more: str) -> Settings:
    return load({"KKBIDA_MAIL_FROM": "kkbida@example.com", **more})


# ── SES ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.mark.usefixtures("ses")
def test_ses_sends_a_letter_from_an_address_that_it_knows() -> None:
    boto3.client("sesv2").create_email_identity(EmailIdentity="kkbida@example.com")
    SesMail(settings()).send(LETTER)
    [sent] = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    assert (sent.source, sent.destinations["ToAddresses"]) == ("kkbida@example.com", list(LETTER.to))
    assert (sent.subject, sent.body) == (LETTER.subject, LETTER.text)


@pytest.mark.usefixtures("ses")
def test_what_ses_refuses_says_why() -> None:
    with pytest.raises(SendFailed, match=r"SES says MessageRejected: .*kkbida@example\.com"):
        SesMail(settings()).send(LETTER)


def test_an_ses_that_does_not_answer_is_no_fault_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SendFailed, match="SES does not answer"):
        SesMail(settings(KKBIDA_ENDPOINT=f"http://127.0.0.1:{port}")).send(LETTER)


# ── SMTP ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def smtp_server(*offers: str, refuses: bool = False) -> Iterator[tuple[str, list[str]]]:
    """A server for one letter: its address, and what it was told, line by line."""
    heard: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw", newline="\r\n", encoding="utf-8") as wire:
            _converse(wire, heard, offers, refuses=refuses)

    server = Thread(target=serve)
    server.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        server.join(10)
        listener.close()


def _converse(wire: object, heard: list[str], offers: tuple[str, ...], *, refuses: bool) -> None:
    def say(*lines: str) -> None:
        wire.write("".join(f"{line}\r\n" for line in lines))  # type: ignore[attr-defined]
        wire.flush()  # type: ignore[attr-defined]

    say("220 ready")
    in_data = False
    for line in wire:  # type: ignore[attr-defined]
        heard.append(line.rstrip("\r\n"))
        if in_data:
            in_data = heard[-1] != "."
            if not in_data:
                say("250 taken")
        elif heard[-1].lower().startswith("ehlo"):
            say(*(f"250-{offer}" for offer in offers), "250 8BITMIME")
        elif heard[-1].lower() == "data":
            in_data = True
            say("354 go on")
        elif heard[-1].lower() == "quit":
            return
        else:
            say("550 no" if refuses and heard[-1].lower().startswith("rcpt") else "250 fine")


def test_an_smtp_server_gets_the_letter_as_it_was_written() -> None:
    with smtp_server() as (address, heard):
        SmtpMail(settings(KKBIDA_SMTP=f"smtp://{address}")).send(LETTER)
    assert [line for line in heard if line.lower().startswith("rcpt")] == [f"rcpt TO:<{to}>" for to in LETTER.to]
    raw = "\n".join(line.removeprefix(".") for line in heard[heard.index("data") + 1 : heard.index(".")])
    got = email.message_from_bytes(raw.encode(), policy=email.policy.default)
    assert (got["From"], got["To"], got["Subject"]) == (
        "kkbida@example.com",
        "ops@example.com, dev@example.com",
        LETTER.subject,
    )
    assert got.get_content().rstrip("\n") == LETTER.text


def test_what_an_smtp_server_refuses_is_a_failure() -> None:
    with smtp_server(refuses=True) as (address, _), pytest.raises(SendFailed, match="SMTPRecipientsRefused"):
        SmtpMail(settings(KKBIDA_SMTP=f"smtp://{address}")).send(LETTER)


def test_a_password_never_goes_in_the_clear() -> None:
    with smtp_server("AUTH PLAIN") as (address, heard), pytest.raises(SendFailed, match="SMTPNotSupportedError"):
        SmtpMail(settings(KKBIDA_SMTP=f"smtp://me:hush@{address}")).send(LETTER)
    assert not any("hush" in line or line.lower().startswith("auth") for line in heard)


def test_an_smtp_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SendFailed, match="ConnectionRefusedError"):
        SmtpMail(settings(KKBIDA_SMTP=f"smtp://127.0.0.1:{port}")).send(LETTER)


# ── which of them ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"KKBIDA_EMBEDDED": ":memory:"}, NoMail),
        ({"KKBIDA_EMBEDDED": ":memory:", "KKBIDA_MAIL_FROM": "a@b.c"}, NoMail),
        ({"KKBIDA_EMBEDDED": ":memory:", "KKBIDA_MAIL_FROM": "a@b.c", "KKBIDA_SMTP": "smtp://127.0.0.1"}, SmtpMail),
        ({"KKBIDA_ENDPOINT": "http://127.0.0.1:1", "KKBIDA_MAIL_FROM": "a@b.c"}, SesMail),
        ({"KKBIDA_ENDPOINT": "http://127.0.0.1:1"}, NoMail),
    ],
)
def test_the_settings_say_how_mail_goes_out(environment: dict[str, str], kind: type) -> None:
    assert type(build(environment).mail) is kind


def test_without_any_way_out_a_letter_is_refused_with_what_to_do() -> None:
    with pytest.raises(SendFailed, match="set KKBIDA_MAIL_FROM"):
        NoMail().send(LETTER)
