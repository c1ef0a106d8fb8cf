"""E-mail: what SES is asked for, and which way the settings choose. For SMTP see `test_smtp.py`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from chalicelib.errors import SendFailed
from chalicelib.mail import SesMail
from chalicelib.ports import Letter, NoMail, RefusedRecipient
from chalicelib.settings import Settings, load
from chalicelib.smtp import SmtpMail
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
    refused = SesMail(settings()).send(LETTER)
    assert refused.keys() == set(LETTER.to)
    assert all(it.reason.startswith("SES says MessageRejected: ") and it.permanent for it in refused.values())
    with pytest.raises(SendFailed, match=r"SES says MessageRejected: .*kkbida@example\.com"):
        SesMail(settings()).send(replace(LETTER, to=LETTER.to[:1]))


@pytest.mark.usefixtures("ses")
def test_a_recipient_that_ses_refuses_does_not_keep_the_others_from_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("sesv2").create_email_identity(EmailIdentity="kkbida@example.com")
    mail = SesMail(settings())
    send, gone = mail._ses.send_email, "dev@example.com"

    def send_email(**asked: Any) -> Any:
        if gone in asked["Destination"]["ToAddresses"]:
            said = "Email address is not verified."
            raise ClientError({"Error": {"Code": "MessageRejected", "Message": said}}, "SendEmail")
        return send(**asked)

    monkeypatch.setattr(mail._ses, "send_email", send_email)
    refused = mail.send(LETTER)
    assert refused == {
        gone: RefusedRecipient("SES says MessageRejected: Email address is not verified.", permanent=True)
    }
    sent = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    assert [it.destinations["ToAddresses"] for it in sent] == [["ops@example.com"]]


def test_an_ses_that_throttles_is_asked_no_more_for_this_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    mail, asked = SesMail(settings()), list[object]()

    def send_email(**letter: Any) -> None:
        asked.append(letter)
        raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "x"}}, "SendEmail")

    monkeypatch.setattr(mail._ses, "send_email", send_email)
    with pytest.raises(SendFailed, match="SES says TooManyRequestsException"):
        mail.send(LETTER)
    assert len(asked) == 1


def test_an_ses_that_does_not_answer_is_no_fault_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SendFailed, match="SES does not answer"):
        SesMail(settings(KKBIDA_ENDPOINT=f"http://127.0.0.1:{port}")).send(LETTER)


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
