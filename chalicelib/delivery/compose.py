"""Compose: from a task to the request that goes on the wire. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from chalicelib import __version__, json_text
from chalicelib.ports import Outgoing
from chalicelib.signing import sign
from chalicelib.task import Json, Request, Task

QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose `params` are the query; of the others they are the body."""

FORM = "application/x-www-form-urlencoded"


def compose(task: Task, *, now: float, most_seconds: float, keys: Sequence[bytes] = ()) -> Outgoing:
    """The task's next request. It says who it is by the names of Standard Webhooks: `webhook-id` is the task's
    id, the same at every try, so that a receiver can tell a repetition. `keys`: it is signed with each of these.
    """
    request = task.request
    body, content_type = _body(request)
    headers = {"User-Agent": f"kkbida/{__version__}", "Accept": "*/*"}
    if content_type is not None:
        headers["Content-Type"] = content_type
    headers = {name: value for name, value in headers.items() if name.lower() not in map(str.lower, request.headers)}
    return Outgoing(
        method=request.method,
        url=_url(request),
        headers={**headers, **request.headers, **_ours(task, now, keys, body or b"")},
        body=body,
        timeout=min(request.timeout, most_seconds),
    )


def _ours(task: Task, now: float, keys: Sequence[bytes], body: bytes) -> Mapping[str, str]:
    timestamp = str(int(now))
    signature = {"webhook-signature": sign(keys, task.task_id, timestamp, body)} if keys else {}
    return {
        "webhook-id": task.task_id,
        "webhook-timestamp": timestamp,
        "webhook-attempt": str(task.number),
        **signature,
    }


def _params_are_query(request: Request) -> bool:
    return request.method in QUERY_METHODS or request.body is not None


def _url(request: Request) -> str:
    if not request.params or not _params_are_query(request):
        return request.url
    return with_query(request.url, _encoded(request.params))


def with_query(url: str, query: str) -> str:
    """The URL, to the last character as it was given, with `query` behind the query that it has."""
    before, hash_, fragment = url.partition("#")
    separator = "" if not query or before.endswith("?") else "&" if "?" in before else "?"
    return f"{before}{separator}{query}{hash_}{fragment}"


def _encoded(params: Mapping[str, Json]) -> str:
    return urlencode({name: _as_text(value) for name, value in params.items()}, doseq=True)


def _as_text(value: Json) -> str | list[str]:
    """A value in a query or a form: text as it is, nothing for null, a list as repetitions, else JSON."""
    return [_one_as_text(item) for item in value] if isinstance(value, list) else _one_as_text(value)


def _one_as_text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text.dumps(value)


def _body(request: Request) -> tuple[bytes | None, str | None]:
    """The body's bytes and its content type; (None, None) when there is none."""
    if isinstance(request.body, str):
        return request.body.encode(), request.content_type or "text/plain; charset=utf-8"
    if request.body is not None:
        return json_text.dumps(request.body).encode(), request.content_type or "application/json"
    if not request.params or _params_are_query(request):
        return None, request.content_type
    if (request.content_type or "").lower().startswith(FORM):
        return _encoded(request.params).encode(), request.content_type
    return json_text.dumps(request.params).encode(), request.content_type or "application/json"
