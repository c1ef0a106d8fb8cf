"""The front door: every route, both queue consumers, the stream's counter, three schedules. Each body is one call.

Nothing here touches AWS at import (`chalice package` imports it), and each function imports only what it runs.
"""

from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, DynamoDBEvent, Rate, Response, SQSEvent

from chalicelib import world
from chalicelib.ports import Queue

app = Chalice(app_name="kkbida", configure_logs=False)  # else each line is written twice: see log.py

View = Callable[..., Response]

PLACEHOLDER = "arn:aws:{}:us-east-1:000000000000:placeholder"
"""infra/template.yaml puts the real one in its place."""


def _answer(view: str, **path: str) -> Response:
    """What the view of that name in `api` answers to the current request."""
    from chalicelib import api
    from chalicelib.call import Call

    request = app.current_request
    assert request is not None, "a route runs inside a request"
    query, body = request.query_params, request.raw_body
    call = Call(
        path=path,
        query={name: query.getlist(name) for name in query} if query else {},
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body if isinstance(body, bytes) else body.encode(),
        address=request.context.get("identity", {}).get("sourceIp", ""),
        request_id=request.context.get("requestId", ""),
        url_path=request.context.get("path", ""),
    )
    answer = api.answer(world.current(), view, call)
    return Response(answer.text(), {**answer.all_headers}, answer.status)


def _at(method: str, path: str) -> Callable[[View], View]:
    """Where a view answers. Chalice lets every content type through: `api` judges them, and answers with a problem."""
    at: Callable[[View], View] = app.route(path, methods=[method], content_types=["*/*"])
    return at


@_at("POST", "/v1/tasks")
def submit() -> Response:
    return _answer("submit")


@_at("POST", "/v1/tasks/batch")
def submit_batch() -> Response:
    return _answer("submit_batch")


@_at("GET", "/v1/tasks")
def list_tasks() -> Response:
    return _answer("list_tasks")


@_at("GET", "/v1/tasks/{task_id}")
def look(task_id: str) -> Response:
    return _answer("look", task_id=task_id)


@_at("GET", "/v1/tasks/{task_id}/attempts")
def list_attempts(task_id: str) -> Response:
    return _answer("list_attempts", task_id=task_id)


@_at("POST", "/v1/tasks/{task_id}/resend")
def resend(task_id: str) -> Response:
    return _answer("resend", task_id=task_id)


@_at("POST", "/v1/tasks/{task_id}/cancel")
def cancel(task_id: str) -> Response:
    return _answer("cancel", task_id=task_id)


@_at("POST", "/v1/tasks/{task_id}/deliver-now")
def deliver_now(task_id: str) -> Response:
    return _answer("deliver_now", task_id=task_id)


@_at("POST", "/v1/resends")
def start_resend() -> Response:
    return _answer("start_resend")


@_at("GET", "/v1/resends")
def list_resends() -> Response:
    return _answer("list_resends")


@_at("GET", "/v1/resends/{resend_id}")
def look_at_resend(resend_id: str) -> Response:
    return _answer("look_at_resend", resend_id=resend_id)


@_at("DELETE", "/v1/resends/{resend_id}")
def stop_resend(resend_id: str) -> Response:
    return _answer("stop_resend", resend_id=resend_id)


@_at("GET", "/v1/targets")
def list_targets() -> Response:
    return _answer("list_targets")


@_at("PATCH", "/v1/targets")
def change_target() -> Response:
    return _answer("change_target")


@_at("GET", "/v1/channels")
def list_channels() -> Response:
    return _answer("list_channels")


@_at("POST", "/v1/channels")
def create_channel() -> Response:
    return _answer("create_channel")


@_at("PUT", "/v1/channels/{channel_id}")
def change_channel(channel_id: str) -> Response:
    return _answer("change_channel", channel_id=channel_id)


@_at("DELETE", "/v1/channels/{channel_id}")
def remove_channel(channel_id: str) -> Response:
    return _answer("remove_channel", channel_id=channel_id)


@_at("POST", "/v1/channels/{channel_id}/test")
def test_channel(channel_id: str) -> Response:
    return _answer("test_channel", channel_id=channel_id)


@_at("GET", "/v1/signing-secrets")
def list_signing_secrets() -> Response:
    return _answer("list_signing_secrets")


@_at("POST", "/v1/signing-secrets")
def create_signing_secret() -> Response:
    return _answer("create_signing_secret")


@_at("DELETE", "/v1/signing-secrets/{secret_id}")
def remove_signing_secret(secret_id: str) -> Response:
    return _answer("remove_signing_secret", secret_id=secret_id)


@_at("POST", "/v1/channels/preview")
def preview_channel() -> Response:
    return _answer("preview_channel")


@_at("POST", "/api/addTask")
def add_task() -> Response:
    return _answer("add_task")


@_at("POST", "/v1/import")
def import_tasks() -> Response:
    return _answer("import_tasks")


@_at("GET", "/v1/callers")
def list_callers() -> Response:
    return _answer("list_callers")


@_at("POST", "/v1/callers")
def create_caller() -> Response:
    return _answer("create_caller")


@_at("DELETE", "/v1/callers/{key_id}")
def remove_caller(key_id: str) -> Response:
    return _answer("remove_caller", key_id=key_id)


@_at("POST", "/v1/login")
def log_in() -> Response:
    return _answer("log_in")


@_at("POST", "/v1/logout")
def log_out() -> Response:
    return _answer("log_out")


@_at("GET", "/v1/me")
def me() -> Response:
    return _answer("me")


@_at("POST", "/v1/me/password")
def change_password() -> Response:
    return _answer("change_password")


@_at("GET", "/v1/operators")
def list_operators() -> Response:
    return _answer("list_operators")


@_at("POST", "/v1/operators")
def create_operator() -> Response:
    return _answer("create_operator")


@_at("PATCH", "/v1/operators/{name}")
def change_operator(name: str) -> Response:
    return _answer("change_operator", name=name)


@_at("DELETE", "/v1/operators/{name}")
def remove_operator(name: str) -> Response:
    return _answer("remove_operator", name=name)


@_at("GET", "/v1/audit")
def list_audits() -> Response:
    return _answer("list_audits")


@_at("GET", "/v1/stats")
def stats() -> Response:
    return _answer("stats")


@_at("GET", "/v1/failures")
def failures() -> Response:
    return _answer("failures")


@_at("GET", "/v1/settings")
def list_settings() -> Response:
    return _answer("list_settings")


@_at("GET", "/v1/ledger")
def ledger() -> Response:
    return _answer("ledger")


@_at("GET", "/v1/health")
def health() -> Response:
    return _answer("health")


@_at("GET", "/openapi.json")
def openapi() -> Response:
    return _answer("openapi")


@app.on_sqs_message(queue_arn=PLACEHOLDER.format("sqs"), batch_size=10)
def deliver(event: SQSEvent) -> Any:
    from chalicelib.consume import consume
    from chalicelib.delivery.deliver import deliver

    return consume(world.current(), Queue.TASKS, event.to_dict(), deliver)


@app.on_sqs_message(queue_arn=PLACEHOLDER.format("sqs"), batch_size=10)
def tell(event: SQSEvent) -> Any:
    from chalicelib.consume import consume
    from chalicelib.notify.notify import tell

    return consume(world.current(), Queue.EXHAUSTED, event.to_dict(), tell)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def reconcile(event: CloudWatchEvent) -> None:
    from chalicelib.delivery.reconcile import reconcile

    reconcile(world.current(), seconds=45)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def resend_many(event: CloudWatchEvent) -> None:
    from chalicelib.delivery.resend import go_on

    go_on(world.current(), seconds=45)


@app.schedule(Rate(5, unit=Rate.MINUTES))
def check_ledger(event: CloudWatchEvent) -> None:
    from chalicelib.check import check

    check(world.current(), seconds=45)


@app.on_dynamodb_record(stream_arn=PLACEHOLDER.format("dynamodb"), batch_size=1000)
def count(event: DynamoDBEvent) -> None:
    world.counter()(event.to_dict()["Records"])
