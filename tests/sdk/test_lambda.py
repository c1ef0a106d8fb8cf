"""The function itself, invoked with the event that the SDK makes: what app.py answers is understood."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from chalicelib import world
from infra.local.context import function
from kkbida import (
    Client,
    Filter,
    InvalidRequest,
    LambdaTransport,
    Patience,
    Refused,
    Task,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from kkbida.aws import event
from kkbida.operations import get, make, submit
from tests.house import House
from tests.sdk.conftest import KEY_ID, SECRET


class Lambda:
    """Stands for AWS: runs app.py in this process, and keeps the events."""

    def __init__(self) -> None:
        from app import app  # noqa: PLC0415 - as Lambda does: once it is needed

        self.run = function("api", app, 29)
        self.events: list[Any] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's words
        assert FunctionName == "kkbida-api"
        self.events.append(json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(self.run(self.events[-1])).encode())}

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    house = House()
    house.clock.at = time.time()  # signatures are of now
    monkeypatch.setattr(world, "current", lambda: house.world)
    return Lambda()


def client_of(aws: Any, **more: Any) -> Client:
    return Client(key_id=KEY_ID, secret=SECRET, transport=LambdaTransport("kkbida-api", aws), **more)


def known_to(aws: Lambda) -> Client:
    """A client with the key of a caller that was made for it."""
    transport = LambdaTransport("kkbida-api", aws)
    made = Client(transport=transport).do(make("/v1/callers", {"source_app": "orders"}))
    return Client(key_id=made["key_id"], secret=made["secret"], transport=transport)


def test_a_caller_is_known_by_its_key_here_too(aws: Lambda) -> None:
    known_to(aws)
    with pytest.raises(Unauthorized):
        client_of(aws).call(Task("https://partner.example/callback"))


def test_a_task_is_handed_over_looked_at_and_listed(aws: Lambda) -> None:
    with known_to(aws) as client:
        task_id = client.call(Task("https://partner.example/callback", body={"city": "上海"}, source_app="orders"))
        assert client.get(task_id).status == "pending"
        assert [it.task_id for it in client.list(Filter(source_app="orders", q="/callback"))] == [task_id]
        with pytest.raises(InvalidRequest):
            client.call(Task("nowhere"))


def test_the_signed_path_is_the_one_in_the_request_context(aws: Lambda) -> None:
    client = known_to(aws)
    client.call(Task("https://partner.example/callback"))
    [*_, came] = aws.events
    assert came["requestContext"]["path"] == came["path"] == "/v1/tasks"
    assert 'keyid="key_' in came["headers"]["signature-input"]
    assert came["requestContext"]["identity"] == {}


def test_an_event_has_the_ids_of_its_path_and_no_body_where_there_is_none() -> None:
    made = event(get("id 1").request(""))
    assert (made["resource"], made["path"]) == ("/v1/tasks/{task_id}", "/v1/tasks/id%201")
    assert (made["pathParameters"], made["body"], made["queryStringParameters"]) == ({"task_id": "id 1"}, None, None)
    assert json.loads(event(submit(Task("https://x.example")).request(""))["body"]) == {"url": "https://x.example"}


def stubbed() -> tuple[Any, Stubber]:
    real = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(real)
    stub.activate()
    return real, stub


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("TooManyRequestsException", 429, Unavailable),
        ("AccessDeniedException", 403, Refused),
        ("ResourceNotFoundException", 404, Refused),
    ],
)
def test_what_aws_refuses_is_a_problem(code: str, status: int, raised: type[Exception]) -> None:
    real, stub = stubbed()
    stub.add_client_error("invoke", code, "no", status)
    with pytest.raises(raised):
        client_of(real, patience=Patience(total=0)).call(Task("https://partner.example"))


def test_a_function_that_crashed_may_be_invoked_again() -> None:
    real, stub = stubbed()
    stub.add_response("invoke", {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")})
    with pytest.raises(Unavailable, match="ended in an error"):
        client_of(real, patience=Patience(total=0)).call(Task("https://partner.example"))


def test_an_endpoint_where_nobody_listens_is_unreachable() -> None:
    real = boto3.client(
        "lambda",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(Unreachable) as raised:
        client_of(real, patience=Patience(total=0)).call(Task("https://partner.example"))
    assert raised.value.never_sent


def test_boto3_is_made_to_try_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    transport = LambdaTransport("kkbida-api")
    assert transport._client.meta.config.retries["total_max_attempts"] == 1


def test_missing_credentials_are_not_taken_for_a_network_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: None)
    real = boto3.session.Session().client("lambda", region_name="us-east-1")
    with pytest.raises(NoCredentialsError):
        client_of(real).call(Task("https://partner.example"))
