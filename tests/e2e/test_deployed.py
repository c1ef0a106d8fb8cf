"""The very package, deployed to an emulator that enforces every function's own policy, doing its job.

What is proven here and nowhere else: zip, template, event sources and the hand-written policies fit together.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from standardwebhooks import Webhook

from infra import operators
from tests.emulators import ministack
from tests.local.conftest import receiving
from tests.packaged import package
from tests.signer import Signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # the first run installs the emulator

PATIENCE = 60
"""Seconds until something that must happen counts as not happening."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its API, and the clients of its emulator."""

    name: str
    api: str
    outputs: Mapping[str, str]
    client: Callable[[str], Any]

    def resource(self, logical_id: str) -> str:
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def call(self, method: str, path: str, body: object = None) -> Any:
        return requests.request(method, self.api + path, json=body, timeout=30)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ministack(AUTH="true") as url:
        yield url


@pytest.fixture(scope="module")
def partner() -> Iterator[str]:
    with receiving() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def opened(endpoint: str) -> Stack:
    return deploy(endpoint, "opened", OpenApi="1", AllowNetworks="127.0.0.0/8")


def deploy(endpoint: str, name: str, **parameters: str) -> Stack:
    """What `aws cloudformation package` and `deploy` do."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # the account's root, to this emulator
        return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)  # type: ignore[call-overload]

    location = upload(client("s3"), f"code-of-{name}")
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=location,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    # The emulator's own form of https://<id>.execute-api.<region>.amazonaws.com/prod/
    deployed = Stack(name, f"{endpoint}/restapis/{outputs['RestAPIId']}/prod/_user_request_", outputs, client)
    make_up_for_the_emulator(deployed)
    return deployed


def upload(s3: Any, bucket: str) -> str:
    """Put zip and template into a bucket; the template's address."""
    template = json.loads((package() / "template.json").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/deployment.zip"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="deployment.zip", Body=(package() / "deployment.zip").read_bytes())
    s3.put_object(Bucket=bucket, Key="template.json", Body=json.dumps(template).encode())
    return f"{s3.meta.endpoint_url}/{bucket}/template.json"


def make_up_for_the_emulator(stack: Stack) -> None:
    """Two things that AWS does: a parameter of type Number reaches an event source as a number, and
    `sqs:ChangeMessageVisibility` covers its batch form, which is no action of its own."""
    functions = stack.client("lambda")
    for source in functions.list_event_source_mappings()["EventSourceMappings"]:
        if "ScalingConfig" in source:
            most = {"MaximumConcurrency": int(source["ScalingConfig"]["MaximumConcurrency"])}
            functions.update_event_source_mapping(UUID=source["UUID"], ScalingConfig=most)
    for consumer in ("Deliver", "Tell"):
        batch = {"Effect": "Allow", "Action": "sqs:ChangeMessageVisibilityBatch", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [batch]}
        role = stack.resource(f"{consumer}Role")
        stack.client("iam").put_role_policy(RoleName=role, PolicyName="batch", PolicyDocument=json.dumps(policy))


def until(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE} s"
        time.sleep(0.5)
    return result


def test_a_task_that_never_succeeds_is_tried_as_agreed_and_a_human_is_told(opened: Stack, partner: str) -> None:
    channel = opened.call("POST", "/v1/channels", {"kind": "webhook", "url": f"{partner}/ok?channel"})
    assert channel.status_code == 201, channel.text
    retry = {"backoff": "fixed", "initial": 1, "max_attempts": 2}
    submitted = {"url": f"{partner}/wrong-body", "expect": {"contains": "success"}, "retry": retry}
    accepted = opened.call("POST", "/v1/tasks", submitted)
    assert accepted.status_code == 202, accepted.text

    def told() -> Any:
        task = opened.call("GET", f"/v1/tasks/{accepted.json()['task_id']}").json()
        return task if [notice["status"] for notice in task["notices"]] == ["delivered"] else None

    task = until(told, "a notice")

    assert task["status"] == "exhausted"
    assert [attempt["verdict"] for attempt in task["attempts"]] == ["failed", "failed"]
    assert task["attempts"][-1]["reason"] == 'body does not contain "success"'
    got = requests.get(f"{partner}/received", params={"path": "/ok"}, timeout=5).json()["received"]
    assert len([each for each in got if "channel" in each["query"]]) == 1


def test_a_task_that_fails_at_first_arrives(opened: Stack, partner: str) -> None:
    retry = {"backoff": "fixed", "initial": 1, "max_attempts": 5}
    accepted = opened.call("POST", "/v1/tasks", {"url": f"{partner}/fail/2", "retry": retry}).json()

    def delivered() -> Any:
        task = opened.call("GET", f"/v1/tasks/{accepted['task_id']}").json()
        return task if task["status"] == "delivered" else None

    attempts = until(delivered, "the delivery")["attempts"]

    assert [attempt["status_code"] for attempt in attempts] == [503, 503, 200]


def test_a_task_whose_message_is_lost_is_found_by_the_reconciler(opened: Stack, partner: str) -> None:
    retry = {"backoff": "fixed", "initial": 3600, "max_attempts": 2}
    task_id = opened.call("POST", "/v1/tasks", {"url": f"{partner}/fail/1", "retry": retry}).json()["task_id"]
    until(lambda: opened.call("GET", f"/v1/tasks/{task_id}").json()["status"] == "retrying", "the first attempt")
    opened.client("sqs").purge_queue(QueueUrl=opened.outputs["TaskQueueUrl"])
    let_time_pass(opened, task_id)

    run_schedule(opened, "Reconcile")

    until(lambda: opened.call("GET", f"/v1/tasks/{task_id}").json()["status"] == "delivered", "the delivery")


def is_signed(opened: Stack, partner: str) -> bool:
    """Whether a task of the app is delivered with a signature now."""
    task_id = opened.call("POST", "/v1/tasks", {"url": f"{partner}/ok", "source_app": "signed"}).json()["task_id"]
    until(lambda: opened.call("GET", f"/v1/tasks/{task_id}").json()["status"] == "delivered", "the delivery")
    (got,) = requests.get(f"{partner}/received", params={"webhook_id": task_id}, timeout=5).json()["received"]
    return "webhook-signature" in {name.lower() for name in got["headers"]}


def test_what_was_exhausted_is_resent_by_one_call_and_signed_as_receivers_verify_it(
    opened: Stack, partner: str
) -> None:
    key = opened.call("POST", "/v1/signing-secrets", {"source_app": "signed"}).json()["secret"]
    until(lambda: is_signed(opened, partner), "a signature: a function that is warm knows older keys for some seconds")
    once = {"url": f"{partner}/fail/1", "source_app": "signed", "body": {"order": 42}, "retry": {"max_attempts": 1}}
    task_id = opened.call("POST", "/v1/tasks", once).json()["task_id"]
    until(lambda: opened.call("GET", f"/v1/tasks/{task_id}").json()["status"] == "exhausted", "the end of its tries")

    begun = opened.call("POST", "/v1/resends", {"filter": {"source_app": "signed"}})
    run_schedule(opened, "ResendMany")

    assert begun.status_code == 202, begun.text
    until(lambda: opened.call("GET", f"/v1/tasks/{task_id}").json()["status"] == "delivered", "the delivery")
    shown = opened.call("GET", f"/v1/resends/{begun.json()['resend_id']}").json()
    assert (shown["status"], shown["resent"]) == ("running", 1)  # it walks a list that lags again, minutes later
    got = requests.get(f"{partner}/received", params={"webhook_id": task_id}, timeout=5).json()["received"]
    assert [Webhook(key).verify(each["body"], each["headers"]) for each in got] == [{"order": 42}] * 2


def let_time_pass(stack: Stack, task_id: str) -> None:
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": task_id}, "sk": {"S": "task"}},
        UpdateExpression="SET due = due - :hours, wake_at = wake_at - :hours",
        ExpressionAttributeValues={":hours": {"N": "7200"}},
    )


def run_schedule(stack: Stack, function: str) -> None:
    """What the schedule of the function does when it is due."""
    event = {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "0"}
    event |= {"time": "2026-12-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {}}  # type: ignore[dict-item]
    ran = stack.client("lambda").invoke(FunctionName=stack.resource(function), Payload=json.dumps(event))
    assert "FunctionError" not in ran, ran["Payload"].read()


def test_the_stream_feeds_the_counters(opened: Stack, partner: str) -> None:
    before = opened.call("GET", "/v1/stats").json()["totals"]["accepted"]
    opened.call("POST", "/v1/tasks", {"url": f"{partner}/ok"})

    until(lambda: opened.call("GET", "/v1/stats").json()["totals"]["accepted"] > before, "the count")


def test_the_ledger_is_checked_and_adds_up(opened: Stack, partner: str) -> None:
    assert opened.call("POST", "/v1/tasks", {"url": f"{partner}/ok"}).status_code == 202

    run_schedule(opened, "CheckLedger")

    ledger = opened.call("GET", "/v1/ledger").json()
    assert ledger["accepted"] > 0
    assert ledger["balanced"] is True
    assert ledger["checked_at"] == ledger["balanced_at"]
    assert opened.call("GET", "/v1/health").json() == {"status": "ok", "ledger": "balanced"}


def test_notices_link_to_the_console_from_the_first_deployment_on(opened: Stack) -> None:
    tell = opened.client("lambda").get_function_configuration(FunctionName=opened.resource("Tell"))
    assert tell["Environment"]["Variables"]["KKBIDA_CONSOLE_URL"] == opened.outputs["ConsoleAddress"]
    assert opened.outputs["ConsoleAddress"].startswith("https://")


def test_a_stack_deployed_without_a_thought_lets_nobody_in(endpoint: str) -> None:
    closed = deploy(endpoint, "closed")
    template = json.loads((package() / "template.json").read_text())
    routes = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    calls = [(method.upper(), path) for path, methods in routes.items() for method in methods]

    answers = {call: closed.call(call[0], call[1].replace("{", "").replace("}", "")).status_code for call in calls}

    assert answers.pop(("GET", "/v1/health")) == answers.pop(("GET", "/openapi.json")) == 200
    assert answers.pop(("POST", "/v1/login")) == 400
    assert len(answers) > 10
    assert set(answers.values()) == {401}, answers


def test_a_caller_is_known_by_a_signature_over_the_path_with_its_stage(opened: Stack, partner: str) -> None:
    made = opened.call("POST", "/v1/callers", {"source_app": "orders", "scopes": ["submit"]}).json()
    signer = Signer(key_id=made["key_id"], secret=made["secret"])
    body = json.dumps({"url": f"{partner}/ok", "body": {"city": "上海"}}, ensure_ascii=False).encode()

    def submit(path: str) -> Any:
        headers = signer.sign("POST", path, body=body, created=time.time(), nonce=secrets.token_hex(8))
        return requests.post(f"{opened.api}/v1/tasks", data=body, headers=headers, timeout=30)

    taken = until(lambda: (it := submit("/prod/v1/tasks")).status_code == 202 and it.json(), "knowing the caller")
    assert opened.call("GET", f"/v1/tasks/{taken['task_id']}").json()["source_app"] == "orders"
    assert [submit(path).json()["code"] for path in ("/v1/tasks", "/test/v1/tasks")] == ["signature_wrong"] * 2


def test_the_first_admin_is_made_by_a_command_and_logs_in_behind_the_stage(
    opened: Stack, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    operators.main(["add", "root", "--random", "--stack", opened.name], {"ENDPOINT": endpoint})
    password = capsys.readouterr().out.split()[-1]
    began = requests.post(f"{opened.api}/v1/login", json={"name": "root", "password": password}, timeout=30)
    assert began.status_code == 200, began.text
    cookies = began.raw.headers.getlist("Set-Cookie")
    assert [it.partition("; ")[2].partition("Max-Age")[0] for it in cookies] == [
        "HttpOnly; SameSite=Strict; Path=/; "
    ] * 2
    assert all(it.endswith("; Secure") for it in cookies)
    kept = {"Cookie": "; ".join(it.partition(";")[0] for it in cookies), "X-CSRF-Token": began.json()["csrf_token"]}

    def asked(method: str, path: str) -> Any:
        return requests.request(method, opened.api + path, headers=kept, timeout=30)

    assert asked("GET", "/v1/me").json()["name"] == "operator:root"
    trail = asked("GET", "/v1/audit?actor=operator:root").json()["audits"]
    assert [(it["action"], it["subject"], it["result"]) for it in trail] == [("login", "operator:root", "done")]
    assert asked("POST", "/v1/logout").status_code == 204
    assert asked("GET", "/v1/me").json()["code"] == "session_over"
