"""The predecessor's own words: what its clients send to /api/addTask, what they are told, and what it meant. Pure.

Its own source decides what each member means (Spring Boot 2.0, `RestTemplate`): a task that it delivered is delivered
here in the same way, byte for byte but for `User-Agent` and the headers of kkbida's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from chalicelib.errors import Fault, InvalidRequest, Kind, Refusal
from chalicelib.records import dumps
from chalicelib.shape import Anything, Field, Flag, ListOf, MapOf, Number, Record, Text, Time, seconds
from chalicelib.submission import MOST_ATTEMPTS, TASK_FIELDS
from chalicelib.task import Attempt, Json, Status, Verdict

GET, POST = "GET", "POST"
WAIT = 60
"""Seconds between two tries, always."""

ACCEPT = "text/plain, application/json, application/*+json, */*"
CONTENT_TYPE = "application/json;charset=UTF-8"
"""What it sent, and receivers may have come to depend on."""

_APP = Text(most=100)

BEAN = Record(
    name="CallBackTask",
    is_open=True,
    fields={
        "taskId": Field(Text(most=255, visible=True), "An idempotency key; its own client gives none."),
        "url": Field(TASK_FIELDS["url"].shape, "Where to; `{name}` in it stands for a parameter.", required=True),
        "requestMethod": Field(Text(choices=(GET, POST)), "How.", required=True),
        "requestParam": Field(MapOf(shape=Anything(), most=1000, longest=1000), "Fills the URL, or is the JSON body."),
        "sourceAppName": Field(_APP, "The app that the task comes from; the caller's unless said."),
        "targetAppName": Field(_APP, "The app that the task goes to."),
        "sourceIp": Field(Anything(), "Nothing: the address of the connection counts."),
        "expectResult": Field(Text(least=1, most=10_000), "Text that the reply must contain.", required=True),
        "callCount": Field(Anything(), "Nothing: no try was made yet."),
        "limitCallCount": Field(
            Number(least=1, most=MOST_ATTEMPTS, whole=True), "Tries, the first one included.", required=True
        ),
        "createDate": Field(Anything(), "Nothing: it is made now."),
        "lastModifiedDate": Field(Anything(), "Nothing."),
        "expireTimestamp": Field(Anything(), "Nothing: it said when the next try is due, and never when one expires."),
    },
    example={
        "url": "https://partner.example/callback?city={city}",
        "requestMethod": "GET",
        "requestParam": {"city": "上海"},
        "sourceAppName": "orders",
        "targetAppName": "billing",
        "expectResult": "success",
        "limitCallCount": 3,
    },
)
"""What its client sends: all of them, most of them null."""


def submission_of(
    bean: Mapping[str, Json], *, app: str | None, timeout: float, labels: Mapping[str, str]
) -> dict[str, Json]:
    """The task as `POST /v1/tasks` takes it, with those labels that say something. Raises InvalidRequest.

    `app`: the only one that it may come from; None: any.
    """
    source_app = _name(bean, "sourceAppName") or app
    if faults := (*BEAN.faults(bean, ""), *_senseless(bean, source_app, app)):
        raise InvalidRequest(faults=faults)
    apps = {"source_app": source_app, "target_app": _name(bean, "targetAppName")}
    return {
        **_request(bean),
        "expect": {"status": ["200"], "contains": bean["expectResult"]},
        "retry": {"backoff": "fixed", "initial": WAIT, "max_attempts": bean["limitCallCount"]},
        "timeout": timeout,
        **{name: app for name, app in apps.items() if app},
        "labels": {name: value for name, value in labels.items() if value},
    }


def key_of(bean: Json) -> str | None:
    """The idempotency key, if there is one."""
    return _name(bean, "taskId")


def _name(bean: Json, member: str) -> str | None:
    """A name; None where there is none, or something else."""
    name = bean.get(member) if isinstance(bean, dict) else None
    return name if isinstance(name, str) and name.strip() else None


def _senseless(bean: Json, source_app: str | None, app: str | None) -> Iterator[Fault]:
    """What the shape alone does not show."""
    if not isinstance(bean, dict):
        return
    expected = bean.get("expectResult")
    if isinstance(expected, str) and expected and not expected.strip():
        yield Fault("/expectResult", "must not be blank")
    if app is not None and source_app != app:
        yield Fault("/sourceAppName", f"must be {app}, or absent: this user acts for no other app")


# ── the request, as Spring's RestTemplate sent it ────────────────────────────────────────────────


def _request(bean: Mapping[str, Json]) -> dict[str, Json]:
    given = _without_nulls(bean.get("requestParam"))
    plain = {"method": bean["requestMethod"], "headers": {"Accept": ACCEPT}}
    if bean["requestMethod"] == GET:
        return {**plain, "url": expand(bean["url"], given or {})}
    body = {} if given is None else {"body": given, "content_type": CONTENT_TYPE}
    return {**plain, "url": expand(bean["url"], {}), **body}


def _without_nulls(value: Json) -> Json:
    """It kept the parameters as JSON without the members that are null, and read them from there."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


_PARTS = re.compile(r"(https?://[^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
"""Of a URL template: the host, the path, the query; the fragment is not sent."""

_VARIABLE = re.compile(r"\{([^/{}:]+)(?::[^{}]*)?\}")

SUB_DELIMITERS = "!$&'()*+,;="
IN_SEGMENT = f"{SUB_DELIMITERS}:@"
IN_QUERY = f"{SUB_DELIMITERS.replace('&', '').replace('=', '')}:@/?"
"""What stands as it is in a part of the path, and in a name or value of the query, beside what `quote` leaves."""


def expand(template: str, values: Mapping[str, Json]) -> str:
    """The URL, with the values in the places of their `{names}`. Raises InvalidRequest for one without a value.

    In the mode URI_COMPONENT of Spring's DefaultUriBuilderFactory, which `RestTemplate` is bound to: first each part is
    filled in, then it is encoded, and only what may not stand there. So `?`, `#` and `/` of a value are encoded in the
    path, `&` and `=` in the query; and a `%`, whoever wrote it, always is. Values without a place are not sent.
    """
    if absent := sorted({name for name in _VARIABLE.findall(template) if values.get(name) is None}):
        raise InvalidRequest(faults=(Fault("/requestParam", f"has no value for {', '.join(absent)} of the url"),))
    parts = _PARTS.fullmatch(template)
    if parts is None:
        raise InvalidRequest(faults=(Fault("/url", "must begin with http:// or https://"),))
    texts = _texts(template, values)
    host, path, query = parts.groups()
    return _filled(host, texts) + _path(path, texts) + ("?" + _query(query[1:], texts) if query else "")


MAX_URL_CHARACTERS = 4000
"""Of a URL with its values in their places: `url` of a task takes no more."""


def _texts(template: str, values: Mapping[str, Json]) -> dict[str, str]:
    """The text of each value that the template names. Raises InvalidRequest when the URL would be too long.

    A value may have many places, so the length is added up before anything is put into one.
    """
    names = Counter(_VARIABLE.findall(template))
    texts = {name: _as_text(values[name]) for name in names}
    if sum(times * len(texts[name]) for name, times in names.items()) > MAX_URL_CHARACTERS:
        raise InvalidRequest(
            faults=(
                Fault("/url", f"is longer than {MAX_URL_CHARACTERS} characters with the parameters in their places"),
            )
        )
    return texts


def _filled(part: str, texts: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: texts[match[1]], part)


def _path(path: str, texts: Mapping[str, str]) -> str:
    """Empty segments fall out, but for the slash at the end."""
    segments = [quote(_filled(segment, texts), IN_SEGMENT) for segment in path.split("/") if segment]
    return "".join(f"/{segment}" for segment in segments) + ("/" if path.endswith("/") else "")


def _query(query: str, texts: Mapping[str, str]) -> str:
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(
        quote(_filled(name, texts), IN_QUERY) + equals + quote(_filled(value, texts), IN_QUERY)
        for name, equals, value in pairs
        if name
    )


def _as_text(value: Json) -> str:
    """A value in a URL: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else dumps(value)


# ── its tables ───────────────────────────────────────────────────────────────────────────────────

MOST_LOGS = 1000
MOST_RESPONSE = 65_535
"""Characters: it kept no more."""

LOG = Record(
    name="CallBackLog",
    fields={
        "createDate": Field(Time(), "When the try was over."),
        "responseTxt": Field(Text(most=MOST_RESPONSE), "The reply, or why none came."),
        "isSuccess": Field(Flag(), "Whether the reply was as expected."),
    },
)
ROW = Record(
    name="CallBackTaskRow",
    fields={
        **BEAN.fields,
        "taskId": Field(Text(least=1, most=255, visible=True), "Its id, which is kept if it is a UUID.", required=True),
        "sourceIp": Field(Text(most=100), "The address that it came from."),
        "callCount": Field(Number(least=0, most=1_000_000, whole=True), "Tries that were made."),
        "isSuccess": Field(Flag(), "Whether it was delivered."),
        "createDate": Field(Time(), "When it was made."),
        "lastModifiedDate": Field(Time(), "When it was last tried."),
        "expireTimestamp": Field(Time(), "When the next try is due; null: there is none."),
        "logs": Field(ListOf(shape=LOG, most=MOST_LOGS), "Its rows of call_back_log, oldest first."),
    },
)
"""A row of its table callback_task, with those of call_back_log that belong to it."""


def status_of(row: Mapping[str, Json]) -> Status:
    """Where the task of a row stands: the predecessor tried again as long as there were tries left."""
    if row.get("isSuccess"):
        return Status.DELIVERED
    count = row.get("callCount") or 0
    return Status.EXHAUSTED if count >= row["limitCallCount"] else Status.RETRYING if count else Status.PENDING


def attempts_of(row: Mapping[str, Json], keep: int) -> list[Attempt]:
    """The tries of a row as attempts, the replies cut to `keep` bytes. Of a failed one nobody noted the status."""
    return [_attempt(number, log, keep) for number, log in enumerate(row.get("logs") or (), 1)]


def _attempt(number: int, log: Mapping[str, Json], keep: int) -> Attempt:
    raw, ok = (log.get("responseTxt") or "").encode(), bool(log.get("isSuccess"))
    return Attempt(
        number=number,
        round=1,
        fence=number,
        started_at=seconds(log["createDate"]) if log.get("createDate") else None,
        verdict=Verdict.DELIVERED if ok else Verdict.FAILED,
        status_code=OK if ok else None,
        kind=None if ok else Kind.REPLY,
        reason=None if ok else "the predecessor says so, and not why",
        reply=raw[:keep].decode(errors="ignore"),
        reply_bytes=len(raw),
    )


OK = 200
"""The only status that it took for a success."""


MAX_REMARK_CHARACTERS = 500
"""Of the names that a remark quotes: a row may have a thousand, and an answer has a hundred rows."""


def _quoted(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= MAX_REMARK_CHARACTERS else f"{text[:MAX_REMARK_CHARACTERS]}…"


def remarks(row: Mapping[str, Json], attempts: Sequence[Attempt]) -> Iterator[str]:
    """What of a row is not the same here, and is no fault."""
    known = set(_VARIABLE.findall(row["url"]))
    if unused := sorted((row.get("requestParam") or {}).keys() - known) if row["requestMethod"] == GET else []:
        yield f"not sent, as before, since the url has no place for it: {_quoted(unused)}"
    if (row.get("callCount") or 0) != len(attempts):
        yield f"callCount is {row.get('callCount') or 0}, and {len(attempts)} logs came with it"
    if cut := [str(it.number) for it in attempts if it.reply_truncated]:
        yield f"the reply is longer than what is kept, of attempt {_quoted(cut)}"


# ── what its clients are told ────────────────────────────────────────────────────────────────────

REFUSED = "任务添加失败"
"""What its client begins every message with."""

WORDS: Mapping[str, str] = {
    "/url": "url为空或url格式不正确",
    "/limitCallCount": "最大重试次数不能为空且不能大于100",
    "/requestMethod": "请求方式不能为空",
    "/expectResult": "期待结果不能为空",
    "/requestParam": "请求参数不正确",
    "/sourceAppName": "源服务名不正确",
    "/targetAppName": "目标服务名不正确",
    "/taskId": "taskId不正确",
}
"""The first four are its client's own."""


def told(refusal: Refusal) -> str:
    """A refusal in one line that its client can show."""
    faults = refusal.faults or (Fault("", refusal.detail),)
    return REFUSED + "".join(f"，{WORDS.get(it.pointer, '请求不正确')} ({_in_english(it)})" for it in faults)


def _in_english(fault: Fault) -> str:
    return f"{fault.pointer.removeprefix('/')} {fault.detail}".strip()
