"""Each invariant of the package, proven to bite: a copy of the real template is broken in one place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from infra.invariants import broken
from tests.packaged import package

pytestmark = pytest.mark.timeout(600)  # the first run installs the translator and the linter
GONE = object()

DELIVER_SOURCE = "DeliverDeliverSqsEventSource"
TELL_SOURCE = "TellTellSqsEventSource"
COUNT_SOURCE = "CountCountDynamodbEventSource"


@pytest.fixture(scope="session")
def whole() -> Any:
    return json.loads((package() / "translated.json").read_text())


def test_the_package_as_it_is_keeps_every_invariant(whole: Any) -> None:
    assert broken(whole) == []


def properties(*path: str | int) -> tuple[str | int, ...]:
    return ("Resources", path[0], "Properties", *path[1:])


def statement(role: str, number: int, part: str) -> tuple[str | int, ...]:
    return properties(role, "Policies", 0, "PolicyDocument", "Statement", number, part)


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (properties(DELIVER_SOURCE, "FunctionResponseTypes"), GONE, "TaskQueue does not report partial batches"),
        (properties(TELL_SOURCE, "FunctionResponseTypes"), [], "ExhaustedQueue does not report partial batches"),
        (("Resources", TELL_SOURCE), GONE, "ExhaustedQueue must feed Tell"),
        (properties(TELL_SOURCE, "EventSourceArn"), "arn:aws:sqs:::placeholder", "ExhaustedQueue must feed Tell"),
        (properties("TaskQueue", "RedrivePolicy"), GONE, "TaskQueue has no redrive"),
        (
            properties("TaskQueue", "RedrivePolicy", "deadLetterTargetArn", "Fn::GetAtt", 0),
            "TaskQueue",
            "TaskQueue has no redrive",
        ),
        (properties("TaskQueue", "RedrivePolicy", "maxReceiveCount"), 3, "1000 receives"),
        (properties("TaskQueue", "VisibilityTimeout"), 539, "TaskQueue: visibility 539 s"),
        (properties("Tell", "Timeout"), 61, "ExhaustedQueue: visibility 360 s"),
        (properties("Deliver", "Timeout"), 75, "Deliver: timeout 75 s is not longer than a lease"),
        (properties(COUNT_SOURCE, "BisectBatchOnFunctionError"), True, "counted twice"),
        (properties(COUNT_SOURCE, "FunctionResponseTypes"), ["ReportBatchItemFailures"], "counted twice"),
        (properties(COUNT_SOURCE, "FilterCriteria"), GONE, "counters that it writes itself"),
        (properties(COUNT_SOURCE, "EventSourceArn"), "arn:aws:dynamodb:::placeholder", "must feed Count"),
        (properties("Table", "TimeToLiveSpecification", "AttributeName"), "expire_at", "TimeToLiveSpecification"),
        (properties("Table", "PointInTimeRecoverySpecification"), GONE, "PointInTimeRecoverySpecification"),
        (properties("Table", "SSESpecification", "SSEEnabled"), False, "SSESpecification"),
        (properties("Table", "StreamSpecification", "StreamViewType"), "KEYS_ONLY", "StreamSpecification"),
        (properties("Table", "BillingMode"), "PROVISIONED", "BillingMode"),
        (("Resources", "Table", "DeletionPolicy"), GONE, "DeletionPolicy must be Retain"),
        (("Resources", "Table", "UpdateReplacePolicy"), "Delete", "UpdateReplacePolicy must be Retain"),
        (properties("TaskQueue", "SqsManagedSseEnabled"), False, "TaskQueue is not encrypted"),
        (properties("ExhaustedQueue", "MessageRetentionPeriod"), GONE, "ExhaustedQueue must keep messages"),
        (properties("Tell", "Role", "Fn::GetAtt", 0), "DeliverRole", "Tell shares the role DeliverRole"),
        (properties("TellRole", "Policies"), [], "TellRole must have exactly one policy"),
        (properties("TellRole", "ManagedPolicyArns"), ["arn:aws:iam::aws:policy/Any"], "no managed one"),
        (statement("CountRole", 0, "Action"), "dynamodb:*", "CountRole: the actions ['dynamodb:*'] have a wildcard"),
        (statement("ApiHandlerRole", 0, "Resource"), ["*"], "ApiHandlerRole"),
        (statement("ReconcileRole", 0, "Action"), "dynamodb:Scan", "ReconcileRole may scan the table"),
        (properties("ConsoleBucket", "PublicAccessBlockConfiguration", "BlockPublicAcls"), False, "public access"),
        (properties("ConsoleBucket", "PublicAccessBlockConfiguration"), GONE, "public access"),
        (("Resources", "ConsoleBucketPolicy"), GONE, "ConsoleBucket has no policy"),
        (
            properties("ConsoleBucketPolicy", "PolicyDocument", "Statement", 0, "Effect"),
            "Allow",
            "ConsoleBucketPolicy lets everybody in",
        ),
        (
            properties("ConsoleBucketPolicy", "PolicyDocument", "Statement", 1, "Fn::If", 1, "Principal"),
            "*",
            "ConsoleBucketPolicy lets everybody in",
        ),
        (properties("StreamAge", "Dimensions", 0, "Value"), "Count", "No alarm on IteratorAge"),
        (properties("StreamAge", "Dimensions", 0, "Value", "Ref"), "TaskQueue", "StreamAge watches TaskQueue"),
        (properties("StreamAge", "Dimensions", 0, "Value", "Ref"), "Coumt", "StreamAge watches Coumt"),
        (properties("ReconcilerSilence", "Dimensions", 0, "Value"), "kkbida", "ReconcilerSilence"),
        (properties("ReconcilerSilence", "MetricName"), "ReconcilePass", "No alarm on ReconcilePasses"),
        (properties("ReconcilerSilence", "Namespace"), "Kkbida", "ReconcilerSilence watches AWS::StackName"),
        (properties("ReconcilerSilence", "TreatMissingData"), "missing", "TreatMissingData must be breaching"),
        (("Resources", "LedgerSilence"), GONE, "No alarm on LedgerChecks of AWS::StackName"),
        (properties("LedgerSilence", "TreatMissingData"), "notBreaching", "Silence of LedgerChecks must be an alarm"),
        (("Resources", "LedgerUnbalanced"), GONE, "No alarm on LedgerUnbalanced of AWS::StackName"),
        (("Resources", "TellErrors"), GONE, "No alarm on Errors of Tell"),
        (("Resources", "ExhaustedQueueAge"), GONE, "No alarm on ApproximateAgeOfOldestMessage of ExhaustedQueue"),
        (properties("TellLogs", "RetentionInDays"), GONE, "TellLogs is kept for ever"),
        (properties("Tell", "LoggingConfig", "LogGroup"), GONE, "Tell has no log group"),
        (properties("Tell", "LoggingConfig", "LogGroup", "Ref"), "CountLogs", "Tell may not write to CountLogs"),
        (properties("Tell", "TracingConfig", "Mode"), "PassThrough", "Tell is not traced"),
        (properties("Tell", "Environment", "Variables", "KKBIDA_TABEL"), "x", "KKBIDA_TABEL is no setting"),
        (properties("Tell", "Environment", "Variables", "KKBIDA_TABLE"), GONE, "KKBIDA_TABLE is missing"),
        (("Parameters", "RetentionDays", "Default"), 0, "KKBIDA_RETENTION_DAYS='0'"),
        (
            properties("Tell", "Environment", "Variables", "KKBIDA_CONSOLE_URL"),
            {"Ref": "ConsoleUrl"},
            "or else the address of ConsoleDistribution",
        ),
        (("Parameters", "OpenApi", "Default"), "1", "The API is open by default"),
        (properties("APIHandler", "Environment", "Variables", "KKBIDA_OPEN_API"), "1", "must be the parameter OpenApi"),
        (properties("RestAPI", "EndpointConfiguration", "Types"), ["EDGE"], "RestAPI is not regional"),
        (properties("RestAPI", "Body", "x-amazon-apigateway-gateway-responses"), GONE, "are no problems"),
        (
            properties(
                *("RestAPI", "Body", "x-amazon-apigateway-gateway-responses", "THROTTLED", "responseParameters"),
                "gatewayresponse.header.Cache-Control",
            ),
            GONE,
            "THROTTLED lacks Cache-Control",
        ),
        (("Resources", "RestAPIStage"), {"Type": "AWS::ApiGateway::Stage"}, "There must be one stage"),
        (properties("RestAPIprodStage", "MethodSettings"), [{}], "RestAPIprodStage is not throttled"),
        (properties("RestAPIprodStage", "AccessLogSetting"), GONE, "RestAPIprodStage has no access log"),
        (properties("RestAPIprodStage", "TracingEnabled"), False, "or no tracing"),
        (
            properties("RestAPI", "Body", "paths", "/v1/tasks", "post", "security"),
            GONE,
            "/v1/tasks asks for an API key",
        ),
        (
            properties("RestAPI", "Body", "paths", "/v1/health", "get", "security"),
            {"Fn::If": ["AsksForApiKeys", [], []]},
            "/v1/health asks for an API key",
        ),
        (properties("UsagePlan", "Throttle"), GONE, "which throttles each key"),
    ],
)
def test_a_typo_is_found(whole: Any, path: tuple[str | int, ...], value: Any, finding: str) -> None:
    template = copy.deepcopy(whole)
    change(template, path, value)

    assert any(finding in found for found in broken(template)), broken(template)


def change(template: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        template = template[step]
    if value is GONE:
        del template[path[-1]]
    else:
        template[path[-1]] = value
