"""Fresh tables and queues at the AWS emulators. Each server is started by the first test that needs it, once a run."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from pynamodb.expressions.operand import Path

from chalicelib import aws
from chalicelib.settings import Settings, load
from chalicelib.store import UNITS, DynamoStore, Row
from infra.resources import make_queues, make_table
from tests import emulators

MOST_RECEIVES = 5
"""Receives after which a message of these task queues goes to the exhausted queue; the template's 1000 take minutes."""


@contextmanager
def moto() -> Iterator[str]:
    """No endpoint: while the block runs, AWS itself is in this process."""
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")  # streams have no other address here
        yield ""


@cache
def ministack() -> str:
    """The endpoint of MiniStack, which ends with this process."""
    return _for_this_run(emulators.ministack())


@cache
def localstack() -> str:
    """The endpoint of LocalStack, which ends with this process. Without Docker it has no tables."""
    return _for_this_run(emulators.localstack())


def _for_this_run(server: AbstractContextManager[str]) -> str:
    ends = ExitStack()
    atexit.register(ends.close)
    return ends.enter_context(server)


def table(endpoint: str) -> Settings:
    """Settings with a new table."""
    return _settings(endpoint, make_table(endpoint or None, prefix=str(uuid4())))


def queues(endpoint: str) -> Settings:
    """Settings with new queues, and a redrive policy that a test can exhaust."""
    settings = _settings(endpoint, make_queues(endpoint or None, prefix=str(uuid4())))
    sqs = boto3.client("sqs", endpoint_url=endpoint or None, region_name="us-east-1", **aws.credentials(endpoint))
    exhausted = sqs.get_queue_attributes(QueueUrl=settings.exhausted_queue_url, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": exhausted["Attributes"]["QueueArn"], "maxReceiveCount": MOST_RECEIVES}
    sqs.set_queue_attributes(QueueUrl=settings.task_queue_url, Attributes={"RedrivePolicy": json.dumps(policy)})
    return settings


def expire(store: DynamoStore, now: float) -> None:
    """Remove every item whose `expires_at` is past: the emulators have no such clock as ours."""
    expired = store._table._connection.scan(Row.expires_at <= now, ["pk", "sk"])["Items"]
    for item in expired:
        store._table.delete((item["pk"]["S"], item["sk"]["S"]), Row.expires_at <= now)


def miscount(store: DynamoStore, at: float, n: int) -> None:
    """Say that `n` more tasks were accepted in the hour and on the day of `at`."""
    spans = [f"{unit}#{int(at // seconds * seconds):012d}" for unit, seconds in UNITS.items()]
    adding = [Path("accepted").add(n)]
    store._table.transact(updates=[store._table.updating(("counters#0", span), adding) for span in spans])


def _settings(endpoint: str, made: Mapping[str, str]) -> Settings:
    return load({"KKBIDA_ENDPOINT": endpoint, **made})


def everything(settings: Settings) -> list[Mapping[str, object]]:
    """All items of a table."""
    region, credentials = aws.region(settings.endpoint), aws.credentials(settings.endpoint)
    scan = boto3.client("dynamodb", endpoint_url=settings.endpoint or None, region_name=region, **credentials)
    pages = scan.get_paginator("scan").paginate(TableName=settings.table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]
