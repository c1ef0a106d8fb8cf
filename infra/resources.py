"""The table and the queues of `template.yaml`, made at an emulator: declared once, the same everywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

TEMPLATE = Path(__file__).with_name("template.yaml")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags: `!Ref X` reads as `{"Ref": "X"}`, `!Sub x` as `{"Fn::Sub": "x"}`."""


def _intrinsic(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value = _plain(loader, node)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


def _plain(loader: _Loader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _intrinsic)


@lru_cache(maxsize=1)
def template() -> Mapping[str, Any]:
    """`template.yaml` as plain data, its intrinsics in their long form. Shared: do not change it."""
    loaded: Mapping[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return loaded


def make(endpoint: str | None, *, prefix: str = "kkbida") -> dict[str, str]:
    """The table and the queues at `endpoint` (None: wherever boto3 goes), as the settings that name them.

    Keys, indexes, stream, TTL, visibility, retention and redrive are those of the template. Backups are
    left out: no emulator has any. What already has the name is kept as it is. Resources of
    another `prefix` are others. Without credentials in the environment, those of emulators are used.
    """
    return make_table(endpoint, prefix=prefix) | make_queues(endpoint, prefix=prefix)


def make_table(endpoint: str | None, *, prefix: str = "kkbida") -> dict[str, str]:
    """Only the table; see `make`."""
    _table(_dynamodb(endpoint), prefix)
    return {"KKBIDA_TABLE": prefix}


def make_queues(endpoint: str | None, *, prefix: str = "kkbida") -> dict[str, str]:
    """Only the queues, for emulators that have no tables; see `make`."""
    sqs = _sqs(endpoint)
    exhausted = _queue(sqs, "ExhaustedQueue", f"{prefix}-exhausted", {})
    arn = sqs.get_queue_attributes(QueueUrl=exhausted, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    tasks = _queue(sqs, "TaskQueue", f"{prefix}-tasks", {"ExhaustedQueue.Arn": arn})
    return {"KKBIDA_TASK_QUEUE_URL": tasks, "KKBIDA_EXHAUSTED_QUEUE_URL": exhausted}


def _properties(resource: str) -> dict[str, Any]:
    return dict(template()["Resources"][resource]["Properties"])


# ── the queues ───────────────────────────────────────────────────────────────────────────────────


def _queue(sqs: SQSClient, resource: str, name: str, known: Mapping[str, str]) -> str:
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        attributes = {key: _text(_resolved(value, known)) for key, value in _properties(resource).items()}
        return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]


def _resolved(value: Any, known: Mapping[str, str]) -> Any:
    """The value with `{"Fn::GetAtt": [resource, attribute]}` replaced. Raises KeyError for one not known."""
    if not isinstance(value, dict):
        return value
    if "Fn::GetAtt" in value:
        return known[".".join(value["Fn::GetAtt"])]
    return {key: _resolved(inner, known) for key, inner in value.items()}


def _text(value: Any) -> str:
    """A value of the template as SQS takes it: everything is text, and maps and booleans are JSON."""
    return value if isinstance(value, str) else json.dumps(value)


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def _table(dynamodb: DynamoDBClient, name: str) -> None:
    wanted = _properties("Table")
    del wanted["PointInTimeRecoverySpecification"], wanted["SSESpecification"]
    expiry = wanted.pop("TimeToLiveSpecification")
    wanted["StreamSpecification"] = {"StreamEnabled": True, **wanted["StreamSpecification"]}
    try:
        dynamodb.create_table(TableName=name, **wanted)
    except dynamodb.exceptions.ResourceInUseException:
        return
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


# ── the way there ────────────────────────────────────────────────────────────────────────────────


def _dynamodb(endpoint: str | None) -> DynamoDBClient:
    return boto3.client("dynamodb", **_way(endpoint))


def _sqs(endpoint: str | None) -> SQSClient:
    return boto3.client("sqs", **_way(endpoint))


def _way(endpoint: str | None) -> dict[str, Any]:
    return {
        "endpoint_url": endpoint,
        "region_name": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        "aws_access_key_id": os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        "aws_secret_access_key": os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        "aws_session_token": os.environ.get("AWS_SESSION_TOKEN"),
    }
