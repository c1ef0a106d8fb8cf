"""The template's table and queues, made by boto3: in process here; the contract suite does it at the emulators."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from chalicelib.settings import load
from infra.resources import make


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def test_what_is_made_is_named_by_settings_that_the_house_knows() -> None:
    settings = load(make(None, prefix="mine"))

    assert settings.table == "mine"
    assert settings.task_queue_url.endswith("mine-tasks")
    assert settings.exhausted_queue_url.endswith("mine-exhausted")


def test_the_table_has_the_keys_indexes_stream_and_expiry_of_the_template() -> None:
    dynamodb = boto3.client("dynamodb")
    name = make(None)["KKBIDA_TABLE"]

    table = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["wake", "by_app", "by_status"]
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_a_poison_message_of_the_task_queue_goes_to_the_exhausted_queue() -> None:
    sqs = boto3.client("sqs")
    made = make(None)

    tasks = sqs.get_queue_attributes(QueueUrl=made["KKBIDA_TASK_QUEUE_URL"], AttributeNames=["All"])["Attributes"]
    exhausted = sqs.get_queue_attributes(QueueUrl=made["KKBIDA_EXHAUSTED_QUEUE_URL"], AttributeNames=["QueueArn"])

    redrive = json.loads(tasks["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == exhausted["Attributes"]["QueueArn"]
    assert tasks["VisibilityTimeout"] == "540"


def test_making_it_again_keeps_what_is_there() -> None:
    sqs = boto3.client("sqs")
    made = make(None)
    sqs.send_message(QueueUrl=made["KKBIDA_TASK_QUEUE_URL"], MessageBody="still here")

    assert make(None) == made
    assert sqs.receive_message(QueueUrl=made["KKBIDA_TASK_QUEUE_URL"])["Messages"][0]["Body"] == "still here"


def test_another_prefix_is_another_world() -> None:
    assert not set(make(None, prefix="one").values()) & set(make(None, prefix="two").values())
