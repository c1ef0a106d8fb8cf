"""What can be asked of kkbida: each operation is the description of a request, and how its reply is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from kkbida.credentials import DEVICE_COOKIE, SESSION_COOKIE, OperatorSession
from kkbida.errors import InvalidRequest, KkbidaError, Unavailable, Unintelligible, Unsendable, problem
from kkbida.rawjson import written as written_json
from kkbida.tasks import (
    Attempt,
    AttemptPage,
    BatchResult,
    Changes,
    Filter,
    ListedTask,
    Page,
    Task,
    WholeTask,
    batch_result,
    read,
    task_of,
)
from kkbida.wire import Json, Reply, Request, encoded

Result = TypeVar("Result")

MOST_IN_BATCH = 100
"""Tasks that kkbida takes at a time."""

OK = range(200, 300)
MOST_TOLD = 200
"""Characters of an answer that nobody understands which an error shows."""


@dataclass(frozen=True)
class Operation(Generic[Result]):
    """A request to one of the API's routes, and how a good reply to it is read.

    `repeatable`: whether doing it twice comes to the same as doing it once, so that it may be sent again although a
    reply got lost.
    """

    method: str
    route: str
    read: Callable[[Reply], Result]
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False

    def request(self, base: str) -> Request:
        """The request; `base` is what stands before the API's paths, such as `/prod`. Raises Unsendable."""
        if any(value in NO_SEGMENTS for value in self.ids.values()):
            raise Unsendable("an id is empty, or only dots")
        body = None if self.body is None else written(self.body)
        typed = {} if body is None else {"content-type": "application/json"}
        return Request(
            method=self.method,
            path=base + re.sub(r"\{(\w+)\}", lambda name: encoded(self.ids[name[1]]), self.route),
            route=self.route,
            ids=self.ids,
            query=self.query,
            headers={"accept": "application/json", **typed, **self.headers},
            body=body,
        )

    def result(self, reply: Reply) -> Result:
        """What the reply says. Raises a Problem, or Unintelligible."""
        if (found := problem_in(reply)) is not None:
            raise found
        try:
            return self.read(reply)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unintelligible(
                f"This is no answer of kkbida's to {self.method} {self.route}. {heard(reply)}",
                status=reply.status,
                url=reply.url,
            ) from error


NO_SEGMENTS = ("", ".", "..")
"""What cannot be a segment of a path: HTTP clients and servers take such a segment away."""


def written(body: Json) -> bytes:
    """JSON as it is sent. Raises Unsendable for what JSON has not: NaN, infinities, lone surrogates, other objects."""
    try:
        return written_json(body)
    except UnicodeEncodeError as error:
        raise Unsendable(f"{error.object[error.start : error.end]!r} is no character of UTF-8") from error
    except (ValueError, TypeError) as error:
        raise Unsendable(f"This cannot be sent as JSON: {error}") from error


# ── answers that are not kkbida's ────────────────────────────────────────────────────────────────

PASSING = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses with which a proxy or gateway says that it is not possible just now."""

TOO_LARGE = frozenset({413, 414, 431})
"""Statuses with which a proxy or gateway refuses a request for its size, as kkbida would."""


def problem_in(reply: Reply) -> KkbidaError | None:
    """What a reply that is no success means.

    kkbida's own problems have a `code`. Anything else was said by a proxy, a gateway or another program in between:
    what a status means to kkbida, such as 401, 403 or 404, it does not mean there.
    """
    if reply.status in OK:
        return None
    told = _document(reply)
    if isinstance(told.get("code"), str):
        return problem(reply.status, told)
    detail = f"This is no answer of kkbida's. {heard(reply)}"
    if reply.status in PASSING:
        return Unavailable(reply.status, {**told, "detail": detail})
    if reply.status in TOO_LARGE:
        return InvalidRequest(reply.status, {**told, "detail": detail})
    return Unintelligible(detail, status=reply.status, url=reply.url)


def _document(reply: Reply) -> Mapping[str, Json]:
    """The JSON object in a reply; an empty one when there is none."""
    try:
        told = reply.json()
    except ValueError:
        return {}
    return told if isinstance(told, Mapping) else {}


def heard(reply: Reply) -> str:
    """What came, and from where, in a sentence."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip()[:MOST_TOLD]
    begins = reply.body[:MOST_TOLD].decode(errors="replace")
    what = f"{kind or 'a body without a type'} that begins {begins!r}" if reply.body else "no body"
    location = reply.headers.get("location", "")[:MOST_TOLD]
    redirect = f", and a redirect to {location}" if location and reply.status in REDIRECTS else ""
    return f"{reply.url or 'What was asked'} answered {reply.status} with {what}{redirect}."


REDIRECTS = range(300, 400)


# ── ways to read a reply ─────────────────────────────────────────────────────────────────────────


def as_json(reply: Reply) -> Json:
    """The JSON as it came. Raises ValueError when it is no object: all of kkbida's answers are."""
    shown = reply.json()
    if not isinstance(shown, Mapping):
        raise ValueError("an object")  # noqa: TRY004 - it is the reply that is wrong
    return shown


def about(name: str) -> Callable[[Reply], Json]:
    """The JSON as it came, which has a member of that name: so it is kkbida's."""

    def read(reply: Reply) -> Json:
        shown = as_json(reply)
        shown[name]  # raises MissingMember
        return shown

    return read


def member(name: str) -> Callable[[Reply], Json]:
    """What stands under a name in it."""
    return lambda reply: as_json(reply)[name]


def nothing(reply: Reply) -> None:
    """No more than that it was done. Raises ValueError when something came."""
    if reply.body:
        raise ValueError("no body")


def _listed(reply: Reply) -> ListedTask:
    return task_of(ListedTask, reply.json())


def _whole(reply: Reply) -> WholeTask:
    return task_of(WholeTask, reply.json())


def _page(reply: Reply) -> Page:
    shown = reply.json()
    return Page(tuple(task_of(ListedTask, it) for it in shown["tasks"]), shown["cursor"])


def _attempts(reply: Reply) -> AttemptPage:
    shown = reply.json()
    found = shown["attempts"]
    return AttemptPage(tuple(read(Attempt, it) for it in found), shown["cursor"], found)


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────


def submit(task: Task) -> Operation[ListedTask]:
    """Hand over a task."""
    key = {"idempotency-key": task.idempotency_key}
    return Operation("POST", "/v1/tasks", _listed, body=task.as_json(), headers=key, repeatable=True)


def submit_batch(tasks: Sequence[Task]) -> Operation[Sequence[BatchResult]]:
    """Hand over up to a hundred, each for itself."""

    def results(reply: Reply) -> Sequence[BatchResult]:
        shown = reply.json()["results"]
        if len(shown) != len(tasks):
            raise ValueError("an answer for each task")
        return tuple(map(batch_result, tasks, shown))

    body = {"tasks": [{**task.as_json(), "idempotency_key": task.idempotency_key} for task in tasks]}
    return Operation("POST", "/v1/tasks/batch", results, body=body, repeatable=True)


def get(task_id: str) -> Operation[WholeTask]:
    """A task with all that is known of it."""
    return Operation("GET", "/v1/tasks/{task_id}", _whole, ids={"task_id": task_id}, repeatable=True)


def page(of: Filter, *, cursor: str | None = None, limit: int = 50) -> Operation[Page]:
    """A page of tasks, newest first."""
    query = {**of.as_json(), "limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
    return Operation("GET", "/v1/tasks", _page, query=query, repeatable=True)


def attempts(task_id: str, *, cursor: str | None = None, limit: int = 100) -> Operation[AttemptPage]:
    """A page of the attempts of a task, of all rounds, newest first."""
    query = {"limit": str(limit), **({} if cursor is None else {"cursor": cursor})}
    route = "/v1/tasks/{task_id}/attempts"
    return Operation("GET", route, _attempts, ids={"task_id": task_id}, query=query, repeatable=True)


def resend(task_id: str, changes: Changes) -> Operation[ListedTask]:
    """A new round of a final task."""
    return Operation("POST", "/v1/tasks/{task_id}/resend", _listed, ids={"task_id": task_id}, body=changes.as_json())


def cancel(task_id: str) -> Operation[ListedTask]:
    """Cancel a live task."""
    return Operation("POST", "/v1/tasks/{task_id}/cancel", _listed, ids={"task_id": task_id})


def deliver_now(task_id: str) -> Operation[ListedTask]:
    """The next attempt at once."""
    return Operation("POST", "/v1/tasks/{task_id}/deliver-now", _listed, ids={"task_id": task_id})


# ── for operators: JSON as docs/reference.md describes it ────────────────────────────────────────


def show(
    route: str, read: Callable[[Reply], Json] = as_json, query: Mapping[str, str | None] | None = None
) -> Operation[Json]:
    """What a route shows; parameters that are None are not sent."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return Operation("GET", route, read, query=given, repeatable=True)


def make(route: str, body: Json, *, shows: str = "") -> Operation[Json]:
    """Something new; `shows`: a member of every answer, without which it is none of kkbida's."""
    return Operation("POST", route, about(shows) if shows else as_json, body=body)


def remove(route: str, **ids: str) -> Operation[None]:
    """Away with one."""
    return Operation("DELETE", route, nothing, ids=ids)


def change_target(target: str, changes: Mapping[str, Json]) -> Operation[Json]:
    """Pause, resume or limit a target."""
    return Operation("PATCH", "/v1/targets", about("target"), query={"target": target}, body=changes, repeatable=True)


def change_operator(name: str, changes: Mapping[str, Json]) -> Operation[Json]:
    """Another role or password, or the end of all sessions."""
    return Operation("PATCH", "/v1/operators/{name}", about("name"), ids={"name": name}, body=changes, repeatable=True)


def start_resend(of: Filter, *, rate: float | None = None, dry_run: bool = False) -> Operation[Json]:
    """Resend all tasks of a filter at a rate; or only count them."""
    extra = {**({} if rate is None else {"rate": rate}), **({"dry_run": True} if dry_run else {})}
    begun = make("/v1/resends", {"filter": of.as_json(), **extra}, shows="count" if dry_run else "resend_id")
    return replace(begun, repeatable=dry_run)


def resend_progress(resend_id: str) -> Operation[Json]:
    """How far a bulk resend has come."""
    return replace(show("/v1/resends/{resend_id}"), ids={"resend_id": resend_id})


def stop_resend(resend_id: str) -> Operation[Json]:
    """Stop it."""
    return Operation(
        "DELETE", "/v1/resends/{resend_id}", about("resend_id"), ids={"resend_id": resend_id}, repeatable=True
    )


def test_channel(channel_id: str) -> Operation[Json]:
    """Send a message, and hear what became of it."""
    return Operation("POST", "/v1/channels/{channel_id}/test", about("delivered"), ids={"channel_id": channel_id})


def login(name: str, password: str, device: str = "") -> Operation[OperatorSession]:
    """A session, from a name and a password; `device`: of an earlier session."""
    known = {"cookie": f"{DEVICE_COOKIE}={device}"} if device else {}
    return Operation("POST", "/v1/login", _session, body={"name": name, "password": password}, headers=known)


def _session(reply: Reply) -> OperatorSession:
    shown = reply.json()
    return _renewed(OperatorSession(shown["name"], "", shown["csrf_token"]), reply)


def _renewed(session: OperatorSession, reply: Reply) -> OperatorSession:
    """The session with the cookies that a reply sets. Raises ValueError when there is none for it."""
    cookie = _cookie(reply, SESSION_COOKIE)
    if not cookie:
        raise ValueError("no cookie of a session")
    return replace(session, cookie=cookie, device=_cookie(reply, DEVICE_COOKIE))


def _cookie(reply: Reply, name: str) -> str:
    """One of the cookies that a reply sets, which may all stand in one header; empty if it is not among them."""
    found = re.search(rf"(?:^|[\s,]){name}=([^;,\s]+)", reply.headers.get("set-cookie", ""))
    return found[1] if found else ""


def logout() -> Operation[None]:
    """The end of this session."""
    return Operation("POST", "/v1/logout", nothing)


def change_password(session: OperatorSession, current: str, new: str) -> Operation[OperatorSession]:
    """Another password of one's own: the session goes on with another cookie, and a token that `/v1/me` shows."""
    body = {"current": current, "new": new}
    return Operation("POST", "/v1/me/password", lambda reply: _renewed(session, reply), body=body)
