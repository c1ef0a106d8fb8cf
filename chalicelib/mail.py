"""The port `Mail` on Amazon SES. For an SMTP server see `smtp.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Letter, RefusedRecipient
from chalicelib.settings import Settings

TIMEOUT = 10
"""Seconds for one call of SES."""

MAX_SECONDS = 15
"""After which no further call is made for a letter: a notice has a lease, and one more call fits into it."""

OF_A_RECIPIENT = frozenset({"MessageRejected", "BadRequestException"})
"""Errors of SES that may be about one recipient, such as one that is not verified in the sandbox."""


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

    def send(self, letter: Letter) -> Mapping[str, RefusedRecipient]:
        """See `Mail.send`.

        SES takes a letter for all of its recipients or for none of them, and does not say which one it is about. So
        after such a refusal each recipient is written to alone.
        """
        try:
            self._send(letter, letter.to)
        except ClientError as error:
            if len(letter.to) == 1 or _code(error) not in OF_A_RECIPIENT:
                raise _failed(error) from error
            return self._send_to_each(letter)
        except BotoCoreError as error:
            raise SendFailed(Kind.REFUSED, f"SES does not answer ({type(error).__name__})") from error
        return {}

    def _send_to_each(self, letter: Letter) -> Mapping[str, RefusedRecipient]:
        refused: dict[str, RefusedRecipient] = {}
        until = time.monotonic() + MAX_SECONDS
        for recipient in letter.to:
            if time.monotonic() > until:
                refused[recipient] = RefusedRecipient("there was no time left", permanent=False)
                continue
            try:
                self._send(letter, (recipient,))
            except ClientError as error:
                failure = _failed(error)
                refused[recipient] = RefusedRecipient(failure.detail, permanent=_code(error) in OF_A_RECIPIENT)
            except BotoCoreError as error:
                refused[recipient] = RefusedRecipient(f"SES does not answer ({type(error).__name__})", permanent=False)
        return refused

    def _send(self, letter: Letter, to: tuple[str, ...]) -> None:
        text = {"Subject": _utf8(letter.subject), "Body": {"Text": _utf8(letter.text)}}
        self._ses.send_email(
            FromEmailAddress=self._sender, Destination={"ToAddresses": list(to)}, Content={"Simple": text}
        )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _failed(error: ClientError) -> SendFailed:
    said = error.response["Error"].get("Message", "")[:200]
    return SendFailed(Kind.REPLY, f"SES says {_code(error)}: {said}")


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
