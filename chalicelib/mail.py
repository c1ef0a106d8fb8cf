"""The door for e-mail: SES on AWS, an SMTP server elsewhere. Only where the operator's settings say."""

from __future__ import annotations

import smtplib
from contextlib import closing, suppress
from email.message import EmailMessage
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Letter
from chalicelib.settings import Settings

TIMEOUT = 10
"""Seconds for one letter: as long as any channel may take."""


class SesMail:
    """The port `Mail` on Amazon SES, whose sender must be a verified address or domain there."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.endpoint
        self._sender = settings.mail_from

    @cached_property
    def _ses(self) -> Any:
        import boto3  # noqa: PLC0415 - a tenth of a second, paid by the first letter and not by an import

        config = Config(connect_timeout=aws.CONNECT_TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 1})
        session = boto3.session.Session(region_name=aws.region(self._endpoint), **aws.credentials(self._endpoint))
        return session.client("sesv2", endpoint_url=self._endpoint or None, config=config)

    def send(self, letter: Letter) -> None:
        """See `Mail.send`."""
        text = {"Subject": _utf8(letter.subject), "Body": {"Text": _utf8(letter.text)}}
        try:
            self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": list(letter.to)},
                Content={"Simple": text},
            )
        except ClientError as error:
            said = error.response["Error"]
            raise SendFailed(Kind.REPLY, f"SES says {said['Code']}: {said.get('Message', '')[:200]}") from error
        except BotoCoreError as error:
            raise SendFailed(Kind.REFUSED, f"SES does not answer ({type(error).__name__})") from error


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


class SmtpMail:
    """The port `Mail` on an SMTP server: `smtp://user:password@host:587` (TLS where it is offered) or `smtps://`."""

    def __init__(self, settings: Settings) -> None:
        self._url = urlsplit(settings.smtp)
        self._sender = settings.mail_from

    def send(self, letter: Letter) -> None:
        """See `Mail.send`."""
        try:
            with closing(self._server()) as server:
                self._greet(server)
                server.send_message(_written(letter, self._sender))
                with suppress(
                    OSError, smtplib.SMTPException
                ):  # it has taken the letter: how it parts is its own affair
                    server.quit()
        except (OSError, smtplib.SMTPException) as error:
            raise SendFailed(Kind.REFUSED, f"the SMTP server did not take it ({type(error).__name__})") from error

    def _server(self) -> smtplib.SMTP:
        kind = smtplib.SMTP_SSL if self._url.scheme == "smtps" else smtplib.SMTP
        return kind(self._url.hostname or "", self._url.port or 0, timeout=TIMEOUT)

    def _greet(self, server: smtplib.SMTP) -> None:
        """Encrypt where that can be, and log in where there is somebody to be. A password never goes in the clear."""
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls()
            server.ehlo()
        elif self._url.username and self._url.scheme == "smtp":
            raise smtplib.SMTPNotSupportedError("it offers no TLS, and a password would go in the clear")
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))


def _written(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(letter.to), letter.subject
    message.set_content(letter.text)
    return message
