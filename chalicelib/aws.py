"""What the AWS adapters share: how they get there, how long they wait, and which failures pass by themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from chalicelib.errors import Unavailable

CONNECT_TIMEOUT = 1
"""Seconds. AWS answers in milliseconds: who submits a task is better told 503 soon than kept waiting."""

READ_TIMEOUT = 2
"""Seconds for the reply of a call that does not wait for anything."""

TRIES = 3
"""Calls in all for one that fails by throttling, 5xx or the connection; with the pauses about 10 s at worst."""

POOL = 32
"""Connections kept open, for the attempts of a batch that run at the same time."""

PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes of DynamoDB and SQS that say "not just now"."""


for _name in ("boto3", "botocore", "pynamodb", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # at DEBUG they log whole requests, secrets and all


@contextmanager
def answering() -> Iterator[None]:
    """Turn what cannot be served just now into Unavailable. Every other failure is a fault and passes through."""
    try:
        yield
    except (BotoConnectionError, HTTPClientError) as error:
        raise Unavailable(f"AWS does not answer ({type(error).__name__}).") from error
    except ClientError as error:
        if not _passes(error):
            raise
        raise Unavailable(f"AWS cannot serve this just now ({error.response['Error']['Code']}).") from error


def _passes(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.response["Error"]["Code"] in PASSING


def client(service: str, endpoint: str, read_timeout: float) -> Any:
    """A client of boto3's for this service."""
    import boto3  # noqa: PLC0415 - a tenth of a second, paid by the first call and not by an import

    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=POOL,
        retries={"total_max_attempts": TRIES, "mode": "standard"},
    )
    # A session of its own: threads that make clients from one at the same time get in each other's way.
    session: Any = boto3.session.Session(region_name=region(endpoint), **credentials(endpoint))
    return session.client(service, endpoint_url=endpoint or None, config=config)


def region(endpoint: str) -> str | None:
    """The region for `endpoint`; None leaves it to the SDK. Emulators do not mind, but a client needs one."""
    return os.environ.get("AWS_DEFAULT_REGION", "us-east-1") if endpoint else None


def credentials(endpoint: str) -> dict[str, Any]:
    """Client arguments: none for AWS itself; for an emulator made-up ones, unless the environment has some."""
    if not endpoint or "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # so that real ones never go there
