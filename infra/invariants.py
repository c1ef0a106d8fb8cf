"""What must hold of the translated template and what a typo would lose. Each rule yields what is wrong, in words.

The linter knows CloudFormation; these rules know kkbida.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chalicelib.api import SENT_ALWAYS
from chalicelib.errors import SettingsError
from chalicelib.log import NAMESPACE
from chalicelib.settings import SETTINGS, load

Template = Mapping[str, Any]
Findings = Iterator[str]

CONSUMERS = {"TaskQueue": "Deliver", "ExhaustedQueue": "Tell"}
"""Queue -> the function that it feeds."""

VISIBILITY = 6
"""A queue's visibility must be this many times the timeout of its function: AWS's own rule for Lambda."""

OTHER_VARIABLES = frozenset({"POWERTOOLS_SERVICE_NAME"})
"""Environment variables that are no settings of ours."""

TRACING = frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"})
"""The only actions that know no resource."""


def broken(template: Template) -> list[str]:
    """What is wrong with a template as the SAM translator made it; empty when all invariants hold."""
    return [finding for rule in RULES for finding in rule(template)]


# ── the queues and what they feed ────────────────────────────────────────────────────────────────


def partial_batches(template: Template) -> Findings:
    """Each queue feeds its function, once, and the function answers which messages stay."""
    sources = list(_of_type(template, "AWS::Lambda::EventSourceMapping").values())
    for queue, function in CONSUMERS.items():
        fed = [source for source in sources if source.get("EventSourceArn") == _attribute(queue, "Arn")]
        if [source.get("FunctionName") for source in fed] != [{"Ref": function}]:
            yield f"{queue} must feed {function}, and only once"
        if any(source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"] for source in fed):
            yield f"{queue} does not report partial batches: one failed message would bring back, or delete, all ten"


def redrive(template: Template) -> Findings:
    """Poison messages meet the exhausted tasks, and only poison ones do."""
    policy = _properties(template, "TaskQueue").get("RedrivePolicy", {})
    if policy.get("deadLetterTargetArn") != _attribute("ExhaustedQueue", "Arn"):
        yield "TaskQueue has no redrive to ExhaustedQueue"
    if policy.get("maxReceiveCount") != MOST_RECEIVES:
        yield f"TaskQueue must give a message {MOST_RECEIVES} receives: waits and throttled runs count as well"


MOST_RECEIVES = 1000
"""The most that SQS allows."""


def visibility(template: Template) -> Findings:
    """A message stays hidden while its function can still be at it."""
    for queue, function in CONSUMERS.items():
        hidden = _properties(template, queue).get("VisibilityTimeout", 30)
        timeout = _properties(template, function).get("Timeout", 3)
        if hidden < VISIBILITY * timeout:
            yield f"{queue}: visibility {hidden} s is less than {VISIBILITY} x the timeout of {function}, {timeout} s"


def outlives_its_lease(template: Template) -> Findings:
    """Deliver is not cut off in an attempt that could still be recorded."""
    timeout = _properties(template, "Deliver").get("Timeout", 3)
    lease = load({}).lease
    if timeout <= lease:
        yield f"Deliver: timeout {timeout} s is not longer than a lease, {lease} s"


def counted_once(template: Template) -> Findings:
    """The stream's batches always begin where one began (see `store.Counters`), and skip the counters' own rows."""
    stream = _attribute("Table", "StreamArn")
    sources = _of_type(template, "AWS::Lambda::EventSourceMapping").values()
    fed = [source for source in sources if source.get("EventSourceArn") == stream]
    if [source.get("FunctionName") for source in fed] != [{"Ref": "Count"}]:
        yield "The table's stream must feed Count, and only once"
    for source in fed:
        if source.get("BisectBatchOnFunctionError") or source.get("FunctionResponseTypes"):
            yield "Count must get whole batches: bisected ones would be counted twice"
        if not source.get("FilterCriteria"):
            yield "Count must not be fed the counters that it writes itself"


# ── the table ────────────────────────────────────────────────────────────────────────────────────

TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "SSESpecification": {"SSEEnabled": True},
    "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
}


def safe_table(template: Template) -> Findings:
    """The truth is backed up, encrypted, streamed, expires, and outlives the stack."""
    properties = _properties(template, "Table")
    for name, value in TABLE.items():
        if properties.get(name) != value:
            yield f"Table: {name} must be {value}, not {properties.get(name)}"
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if template["Resources"].get("Table", {}).get(policy) != "Retain":
            yield f"Table: {policy} must be Retain"


def encrypted_queues(template: Template) -> Findings:
    """Both queues encrypt and keep messages for as long as SQS can."""
    for name, properties in _of_type(template, "AWS::SQS::Queue").items():
        if properties.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted"
        if properties.get("MessageRetentionPeriod") != 14 * 86_400:
            yield f"{name} must keep messages for 14 days"


# ── who may do what ──────────────────────────────────────────────────────────────────────────────


def own_policies(template: Template) -> Findings:
    """Each function has a role of its own with exactly one policy, written by hand."""
    functions = _of_type(template, "AWS::Lambda::Function")
    roles = {name: properties["Role"]["Fn::GetAtt"][0] for name, properties in functions.items()}
    for name, role in roles.items():
        if list(roles.values()).count(role) != 1:
            yield f"{name} shares the role {role} with another function"
        properties = _properties(template, role)
        if len(properties.get("Policies", [])) != 1 or properties.get("ManagedPolicyArns"):
            yield f"{name}: {role} must have exactly one policy, and no managed one"


def no_wildcards(template: Template) -> Findings:
    """No role may do whatever a service offers, or do it to everything."""
    for role, properties in _of_type(template, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from _wide(role, statement)


def _wide(role: str, statement: Mapping[str, Any]) -> Findings:
    actions = _listed(statement.get("Action", "*"))
    if any("*" in action for action in actions):
        yield f"{role}: the actions {actions} have a wildcard"
    if "*" in _listed(statement.get("Resource", "*")) and not TRACING.issuperset(actions):
        yield f"{role}: {actions} are allowed on every resource"


def one_who_scans(template: Template) -> Findings:
    """Nobody but the check of the ledger reads the table from end to end: it alone is bounded in what that costs."""
    for role, properties in _of_type(template, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            actions = {action for each in policy["PolicyDocument"]["Statement"] for action in _listed(each["Action"])}
            if "dynamodb:Scan" in actions and role != "CheckLedgerRole":
                yield f"{role} may scan the table"


def private_buckets(template: Template) -> Findings:
    """Nothing in a bucket can be made public, by whatever means."""
    block = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    for name, properties in _of_type(template, "AWS::S3::Bucket").items():
        if properties.get("PublicAccessBlockConfiguration") != block:
            yield f"{name} does not block all public access"
        if {"Ref": name} not in [policy["Bucket"] for policy in _of_type(template, "AWS::S3::BucketPolicy").values()]:
            yield f"{name} has no policy that demands TLS"
    for name, policy in _of_type(template, "AWS::S3::BucketPolicy").items():
        for statement in _statements(policy):
            if statement["Effect"] == "Allow" and statement["Principal"] in ("*", {"AWS": "*"}):
                yield f"{name} lets everybody in"


def _statements(policy: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of a bucket's policy, and those that a condition may put there."""
    for statement in policy["PolicyDocument"]["Statement"]:
        _, *either = statement.get("Fn::If", (None, statement))
        yield from (one for one in either if "Effect" in one)


# ── alarms and logs ──────────────────────────────────────────────────────────────────────────────

WATCHED = {"AWS/SQS": "AWS::SQS::Queue", "AWS/Lambda": "AWS::Lambda::Function"}
"""Namespace of a metric -> the type of what its dimension must name."""


def alarms_see(template: Template) -> Findings:
    """Each alarm watches something that exists: CloudWatch accepts any name, and stays silent."""
    resources = template["Resources"]
    for name, alarm in _of_type(template, "AWS::CloudWatch::Alarm").items():
        watched = _named(alarm)
        if alarm["Namespace"] == NAMESPACE:
            if watched != "AWS::StackName":
                yield f"{name}: our metrics have the dimension service=<stack>, not {watched}"
        elif resources.get(watched, {}).get("Type") != WATCHED.get(alarm["Namespace"], ""):
            yield f"{name} watches {watched}, which is none of {alarm['Namespace']} in this stack"


def alarms_wanted(template: Template) -> Findings:
    """All of them are there."""
    alarms = _of_type(template, "AWS::CloudWatch::Alarm").values()
    there = {(alarm["MetricName"], _named(alarm)) for alarm in alarms}
    functions = _of_type(template, "AWS::Lambda::Function")
    wanted = {("ApproximateAgeOfOldestMessage", queue) for queue in CONSUMERS}
    wanted |= {("Errors", function) for function in functions}
    wanted |= {("IteratorAge", "Count"), ("LedgerUnbalanced", "AWS::StackName")}
    wanted |= {(metric, "AWS::StackName") for metric in SILENCES}
    for metric, resource in sorted(wanted - there):
        yield f"No alarm on {metric} of {resource}"
    for alarm in alarms:
        if alarm["MetricName"] in SILENCES and alarm.get("TreatMissingData") != "breaching":
            yield f"Silence of {alarm['MetricName']} must be an alarm: TreatMissingData must be breaching"


SILENCES = frozenset({"ReconcilePasses", "LedgerChecks"})
"""Metrics that come at every run of a schedule: when they do not, nobody is at work."""


def _named(alarm: Mapping[str, Any]) -> str:
    """The logical name of what the alarm's dimension refers to; a text there is a typo, and shown in quotes."""
    value = alarm["Dimensions"][0]["Value"]
    if isinstance(value, str):
        return repr(value)
    return str(value.get("Ref") or value["Fn::GetAtt"][0])


def kept_logs(template: Template) -> Findings:
    """Logs do not stay for ever; each function has its own, and may write there."""
    groups = _of_type(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if not group.get("RetentionInDays"):
            yield f"{name} is kept for ever"
    for name, function in _of_type(template, "AWS::Lambda::Function").items():
        group = function.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        if group not in groups:
            yield f"{name} has no log group of its own"
        elif _attribute(group, "Arn") not in _writable(template, function):
            yield f"{name} may not write to {group}"


def _writable(template: Template, function: Mapping[str, Any]) -> list[Any]:
    role = _properties(template, function["Role"]["Fn::GetAtt"][0])
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    may = [statement for statement in statements if "logs:PutLogEvents" in _listed(statement["Action"])]
    return [resource for statement in may for resource in _listed(statement["Resource"])]


def traced(template: Template) -> Findings:
    """Functions and API are traced."""
    for name, function in _of_type(template, "AWS::Lambda::Function").items():
        if function.get("TracingConfig") != {"Mode": "Active"}:
            yield f"{name} is not traced"


# ── settings and the API ─────────────────────────────────────────────────────────────────────────


def known_settings(template: Template) -> Findings:
    """Every variable is a setting that the house knows, and the defaults of the parameters can be read."""
    known = {setting.variable for setting in SETTINGS} | OTHER_VARIABLES
    needed = {"KKBIDA_TABLE", "KKBIDA_TASK_QUEUE_URL", "KKBIDA_EXHAUSTED_QUEUE_URL", "POWERTOOLS_SERVICE_NAME"}
    for name, function in _of_type(template, "AWS::Lambda::Function").items():
        variables = function.get("Environment", {}).get("Variables", {})
        for variable in sorted(variables.keys() - known):
            yield f"{name}: {variable} is no setting"
        for variable in sorted(needed - variables.keys()):
            yield f"{name}: {variable} is missing"
        yield from _unreadable(name, template, variables)


def _unreadable(name: str, template: Template, variables: Mapping[str, Any]) -> Findings:
    defaults = {key: str(parameter.get("Default", "")) for key, parameter in template["Parameters"].items()}
    named = {variable: value.get("Ref") for variable, value in variables.items() if isinstance(value, dict)}
    try:
        load({variable: defaults[parameter] for variable, parameter in named.items() if parameter in defaults})
    except SettingsError as error:
        yield f"{name}: {error}"


CONSOLE_URL = {
    "Fn::If": [
        "HasConsoleUrl",
        {"Ref": "ConsoleUrl"},
        {"Fn::If": ["HasConsole", {"Fn::Sub": "https://${ConsoleDistribution.DomainName}/"}, ""]},
    ]
}


def linked_notices(template: Template) -> Findings:
    """Notices link to the console from the first deployment on: to `ConsoleUrl`, else to the distribution."""
    variables = _properties(template, "Tell").get("Environment", {}).get("Variables", {})
    if variables.get("KKBIDA_CONSOLE_URL") != CONSOLE_URL:
        yield "Tell: KKBIDA_CONSOLE_URL must be ConsoleUrl, or else the address of ConsoleDistribution"


def closed_api(template: Template) -> Findings:
    """Whoever deploys without a thought gets an API that is closed."""
    if template["Parameters"].get("OpenApi", {}).get("Default") != "0":
        yield "The API is open by default"
    variables = _properties(template, "APIHandler").get("Environment", {}).get("Variables", {})
    if variables.get("KKBIDA_OPEN_API") != {"Ref": "OpenApi"}:
        yield "APIHandler: KKBIDA_OPEN_API must be the parameter OpenApi"


def one_api(template: Template) -> Findings:
    """One regional API with one stage: throttled, logged and traced, its own errors problems too."""
    for name, api in _of_type(template, "AWS::ApiGateway::RestApi").items():
        if api.get("EndpointConfiguration") != {"Types": ["REGIONAL"]}:
            yield f"{name} is not regional"
        own = api.get("Body", {}).get("x-amazon-apigateway-gateway-responses")
        if not own:
            yield f"{name}: the gateway's own errors are no problems"
        for kind, response in (own or {}).items():
            sent = response.get("responseParameters", {})
            if any(sent.get(f"gatewayresponse.header.{it}") != f"'{value}'" for it, value in SENT_ALWAYS.items()):
                yield f"{name}: {kind} lacks {' or '.join(SENT_ALWAYS)}"
    stages = _of_type(template, "AWS::ApiGateway::Stage")
    if len(stages) != 1:
        yield f"There must be one stage of the API, not {sorted(stages)}"
    for name, stage in stages.items():
        settings = stage.get("MethodSettings", [{}])[0]
        if not settings.get("ThrottlingRateLimit") or not settings.get("ThrottlingBurstLimit"):
            yield f"{name} is not throttled"
        if not stage.get("AccessLogSetting") or stage.get("TracingEnabled") is not True:
            yield f"{name} has no access log, or no tracing"


def key_for_all(template: Template) -> Findings:
    """Where API keys are asked for, they are asked for everywhere, and a plan throttles each."""
    for api in _of_type(template, "AWS::ApiGateway::RestApi").values():
        for path, operations in api.get("Body", {}).get("paths", {}).items():
            asked = all("AsksForApiKeys" in str(operation.get("security")) for operation in operations.values())
            if asked == (path in ("/v1/health", "/openapi.json")):
                yield f"{path} asks for an API key {'always' if asked else 'never'}"
    plans = _of_type(template, "AWS::ApiGateway::UsagePlan").values()
    if [plan.get("Throttle", {}).get("RateLimit") for plan in plans] != [{"Ref": "KeyRate"}]:
        yield "There must be one usage plan, which throttles each key"


RULES: tuple[Callable[[Template], Findings], ...] = (
    partial_batches,
    redrive,
    visibility,
    outlives_its_lease,
    counted_once,
    safe_table,
    encrypted_queues,
    own_policies,
    no_wildcards,
    one_who_scans,
    private_buckets,
    alarms_see,
    alarms_wanted,
    kept_logs,
    traced,
    known_settings,
    linked_notices,
    closed_api,
    one_api,
    key_for_all,
)


# ── reading the template ─────────────────────────────────────────────────────────────────────────


def _of_type(template: Template, kind: str) -> dict[str, Mapping[str, Any]]:
    resources = template["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in resources if resource["Type"] == kind}


def _properties(template: Template, name: str) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = template["Resources"].get(name, {}).get("Properties", {})
    return properties


def _attribute(resource: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, attribute]}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
