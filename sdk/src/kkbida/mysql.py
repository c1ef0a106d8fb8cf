"""Bring over what the predecessor has in MySQL: its three tables, from a dump or from a live server.

    dump, or server ──rows──> Stage (sorted out, on disk) ──as_imported, as_channel──> requests ──> Report

Tasks go by `POST /v1/import`, whose results say what became of each; webhooks become channels. A second run brings
nothing twice.
"""

from __future__ import annotations

import importlib
import json
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from kkbida import dump, operations
from kkbida.client import Client
from kkbida.dump import BadDump, Row, Value
from kkbida.errors import KkbidaError, Refused, Unsendable
from kkbida.operations import Operation
from kkbida.rawjson import RawJson
from kkbida.wire import Json

TASKS, LOGS, HOOKS = TABLES = ("callback_task", "call_back_log", "web_hook")


class NotCarried(KkbidaError):
    """A row that cannot come over; the message says why."""


# ── where the rows come from ─────────────────────────────────────────────────────────────────────

Found = Iterable["tuple[str, Row]"]
"""Rows, each with the name of its table."""


def from_dump(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a dump. Raises BadDump."""
    try:
        with dump.opened(path) as lines:
            yield from dump.rows(lines, TABLES)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadDump(f"{path} cannot be read to its end: {error}") from error


def from_server(url: str, password: str) -> Iterator[tuple[str, Row]]:
    """The rows of a live server, all of them as of one moment. `url`: mysql://user@host:3306/database."""
    parts = urlsplit(url)
    if parts.scheme != "mysql" or not parts.hostname or not parts.path.strip("/"):
        raise NotCarried("That URL names no database; it looks like mysql://user@host:3306/callcenterdb")
    try:
        port = parts.port or 3306
    except ValueError as error:
        raise NotCarried("The port in that URL is no number from 1 to 65535") from error
    try:
        yield from _from_server(parts, port, password)
    except driver().MySQLError as error:
        raise NotCarried(f"{parts.hostname}:{port} cannot be read: {error}") from error


def _from_server(parts: SplitResult, port: int, password: str) -> Iterator[tuple[str, Row]]:
    connection = driver().connect(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=password or unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")),
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
    )
    try:
        yield from selected(connection, driver().cursors.SSCursor)
    finally:
        connection.close()


def driver() -> Any:
    """PyMySQL. Raises NotCarried where it is not installed."""
    try:
        importlib.import_module("pymysql.cursors")
        return importlib.import_module("pymysql")
    except ImportError as error:
        raise NotCarried("A live server needs PyMySQL: pip install 'kkbida[mysql]'") from error


TIMESTAMP = 7
"""MySQL's code of a column whose moments come in the time zone of the session, which is UTC."""


def selected(connection: Any, kind_of_cursor: Any) -> Iterator[tuple[str, Row]]:
    """All rows of the three tables, fetched as they are asked for."""
    connection.cursor().execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    for table in TABLES:
        cursor = connection.cursor(kind_of_cursor)
        cursor.execute(f"SELECT * FROM `{table}`")  # noqa: S608 - it is one of three names of ours
        columns = [(str(column[0]), column[1] == TIMESTAMP) for column in cursor.description]
        for values in cursor:
            yield (
                table,
                {name: _in_utc(value) if utc else value for (name, utc), value in zip(columns, values, strict=True)},
            )
        cursor.close()


def _in_utc(value: Value) -> Value:
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value


# ── sorted out ───────────────────────────────────────────────────────────────────────────────────


class Stage:
    """All that was read, in a temporary file that nobody else sees: tasks and their logs come from different tables.

    Moments without a zone are those of `zone`: the wall clock of the computer that the predecessor ran on.
    """

    def __init__(self, found: Found, zone: timezone, progress: Callable[[], None] = lambda: None) -> None:
        self.read: Counter[str] = Counter()
        self._zone = zone
        self._db = sqlite3.connect("")
        self._db.executescript(
            "CREATE TABLE tasks (task_id TEXT, ended INTEGER, created TEXT, row TEXT);"
            "CREATE TABLE logs (task_id TEXT, at TEXT, id INTEGER, row TEXT);"
            "CREATE TABLE hooks (id INTEGER, row TEXT);"
        )
        for table, row in found:
            self._put(table, {name.lower(): value for name, value in row.items()})
            progress()
        self._db.execute("CREATE INDEX logs_of_task ON logs (task_id, at, id)")

    def _put(self, table: str, row: Row) -> None:
        self.read[table] += 1
        plain = {name: self._plain(name, value) for name, value in row.items()}
        text = json.dumps(plain, default=str)
        if table == TASKS:
            ended = plain.get("issuccess") or _whole(plain, "callcount") >= _whole(plain, "limitcallcount")
            task = (_key(plain.get("taskid")), bool(ended), plain.get("createdate"), text)
            self._db.execute("INSERT INTO tasks VALUES (?, ?, ?, ?)", task)
        elif table == LOGS:
            log = (_key(plain.get("taskid")), plain.get("createdate"), _key(plain.get("id")), text)
            self._db.execute("INSERT INTO logs VALUES (?, ?, ?, ?)", log)
        else:
            self._db.execute("INSERT INTO hooks VALUES (?, ?)", (_key(plain.get("id")), text))

    def _plain(self, name: str, value: Value) -> Json:
        if name == "issuccess":
            return is_true(value)
        if name in MOMENTS:
            return moment(value, self._zone)
        return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value

    @property
    def things(self) -> int:
        """Tasks and webhooks."""
        return self.read[TASKS] + self.read[HOOKS]

    def tasks(self) -> Iterator[tuple[Mapping[str, Json], list[Mapping[str, Json]]]]:
        """Each task with its logs, the oldest first: unfinished tasks come first, then the newest."""
        order = "SELECT task_id, row FROM tasks ORDER BY ended, created DESC, task_id"
        for task_id, row in self._db.execute(order):
            logs = self._db.execute("SELECT row FROM logs WHERE task_id = ? ORDER BY at, id", (task_id,))
            yield json.loads(row), [json.loads(log) for (log,) in logs]

    def hooks(self) -> Iterator[Mapping[str, Json]]:
        """The webhooks, the oldest first."""
        yield from (json.loads(row) for (row,) in self._db.execute("SELECT row FROM hooks ORDER BY id"))

    def orphans(self) -> int:
        """Logs whose task is not there."""
        lost = "SELECT count(*) FROM logs WHERE task_id NOT IN (SELECT task_id FROM tasks WHERE task_id IS NOT NULL)"
        return int(self._db.execute(lost).fetchone()[0])


def _key(value: Json) -> Json:
    """A value by which SQLite orders and finds: it takes no lone surrogates, and no integers of more than 64 bits."""
    if isinstance(value, str):
        return value.encode("unicode_escape").decode()
    return value if value is None or (isinstance(value, int) and abs(value) < 2**63) else str(value)


MOMENTS = frozenset({"createdate", "lastmodifieddate", "expiretimestamp"})


def is_true(value: Value) -> bool:
    """A Boolean of MySQL: a BIT as bytes or as a character, a number, a word."""
    if isinstance(value, bytes):
        return any(value)
    return str(value).strip("\0").lower() not in ("", "0", "none", "false")


def _whole(row: Mapping[str, Json], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(\+00:00)?")


def moment(value: Value, zone: timezone) -> str | None:
    """A moment as the API takes it; None where there is none, or none that any calendar knows."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).isoformat()


def _parsed(text: str) -> datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}.{(found[3] or '').ljust(6, '0')}{found[4] or ''}")
    except ValueError:
        return None


def zone_of(text: str) -> timezone:
    """A time zone as `+08:00`. Raises ValueError."""
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text)
    if found is None:
        raise ValueError(f"{text!r} is no time zone such as +08:00")
    span = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-span if found[1] == "-" else span)


# ── from rows to requests ────────────────────────────────────────────────────────────────────────

Mapped: TypeAlias = "tuple[dict[str, Json], list[str]]"
"""A row of tasks as it is sent, and what of it was left out."""

COLUMNS = {
    name.lower(): name
    for name in (
        *("taskId", "url", "requestMethod", "sourceAppName", "targetAppName", "sourceIp", "expectResult"),
        *("callCount", "limitCallCount", "isSuccess", "createDate", "lastModifiedDate", "expireTimestamp"),
    )
}
LOG_COLUMNS = {name.lower(): name for name in ("createDate", "responseTxt", "isSuccess")}

MOST_LOGS = 1000
MOST_ROW = 1_000_000
"""Bytes of a task with its logs; the replies of one that has more are cut."""


def as_imported(row: Mapping[str, Json], logs: Sequence[Mapping[str, Json]]) -> Mapped:
    """A task as `POST /v1/import` takes it, and what of it had to be left out. Raises NotCarried.

    What is sent on must come over as it is, and a row in which it cannot stays behind; a reply in a log may be shown
    with replacement characters.
    """
    remarks: list[str] = []
    members = {**_named(row, COLUMNS), "requestParam": _params(row.get("requestparamtxt"))}
    if broken := [name for name, value in members.items() if isinstance(value, str) and not dump.is_text(value)]:
        raise NotCarried(f"{', '.join(broken)} holds bytes that are no characters of the dump's encoding")
    kept = [_readable(_named(log, LOG_COLUMNS), remarks) for log in logs[-MOST_LOGS:]]
    if len(logs) > MOST_LOGS:
        remarks.append(f"of {len(logs)} logs the newest {MOST_LOGS} were kept")
    try:
        size = len(operations.written({**members, "logs": kept}))
    except Unsendable as error:
        raise NotCarried(str(error)) from error
    if size > MOST_ROW:
        kept = [_cut(log, MOST_ROW // len(kept) // BYTES_OF_CHARACTER) for log in kept]
        remarks.append(f"its replies were cut: all of it has {size} bytes")
    return {**members, "logs": kept}, remarks


BYTES_OF_CHARACTER = 4
"""At most, in UTF-8; JSON may write more for a control character, and there are few of those."""


def _named(row: Mapping[str, Json], columns: Mapping[str, str]) -> dict[str, Json]:
    return {columns[name]: value for name, value in row.items() if name in columns and value is not None}


def _readable(log: dict[str, Json], remarks: list[str]) -> dict[str, Json]:
    """A log of which every text is one: what is no character becomes a question mark in a rhombus."""
    broken = [name for name, value in log.items() if isinstance(value, str) and not dump.is_text(value)]
    if broken and REPLACED not in remarks:
        remarks.append(REPLACED)
    return {**log, **{name: log[name].encode(errors="surrogateescape").decode(errors="replace") for name in broken}}


REPLACED = "a reply in its logs holds bytes that are no characters of the dump's encoding, which were replaced"


def _params(text: Json) -> Json:
    """What stands in requestParamTxt, which the predecessor wrote as JSON, as it is written. Raises NotCarried."""
    try:
        return RawJson(text.strip()) if isinstance(text, str) and text.strip() not in ("", "null") else None
    except UnicodeEncodeError as error:
        raise NotCarried("requestParamTxt holds bytes that are no characters of the dump's encoding") from error
    except ValueError as error:
        raise NotCarried(f"requestParamTxt is no JSON: {error}") from error


def _cut(log: Mapping[str, Json], most: int) -> dict[str, Json]:
    return {**log, "responseTxt": str(log.get("responseTxt") or "")[:most]}


KINDS = {
    "oapi.dingtalk.com": "dingtalk",
    "qyapi.weixin.qq.com": "wecom",
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "lark",
    "hooks.slack.com": "slack",
}
"""Hosts of robots -> the kinds of channels. All others are plain webhooks."""

MOST_MEMO = 200


def mark_of(row: Mapping[str, Json]) -> str:
    """What says in a channel's memo that it came of this row."""
    return f"(import: {HOOKS} {row.get('id')})"


def as_channel(row: Mapping[str, Json]) -> dict[str, Json]:
    """A webhook as `POST /v1/channels` takes it. Raises NotCarried."""
    if str(row.get("requestmethod") or "POST").upper() != "POST":
        raise NotCarried("its requestMethod is not POST, with which the predecessor sent nothing")
    url, mark = str(row.get("url") or "").strip(), mark_of(row)
    return {
        "kind": KINDS.get((urlsplit(url).hostname or "").lower(), "webhook"),
        "url": url,
        "template": row.get("content") or "",
        "content_type": row.get("contenttype") or "application/json; charset=utf-8",
        "memo": f"{str(row.get('memo') or '')[: MOST_MEMO - len(mark) - 1]} {mark}".strip(),
    }


# ── carried over ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Report:
    """What came over, what did not and why. In a dry run: what would."""

    dry_run: bool
    read: Mapping[str, int]
    tasks: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    entries: list[dict[str, Json]] = field(default_factory=list)

    def note(self, table: str, name: Json, outcome: str, why: str) -> None:
        """Something that somebody should know of a row."""
        self.entries.append({"table": table, "id": name, "outcome": outcome, "why": why})

    @property
    def refused(self) -> int:
        """Rows that did not come over."""
        return self.tasks[REFUSED] + self.channels[REFUSED]

    def as_json(self) -> dict[str, Json]:
        """As a JSON document."""
        counts = {name: dict(getattr(self, name)) for name in ("read", "tasks", "channels")}
        return {"dry_run": self.dry_run, **counts, "entries": self.entries}


KNOWN, REFUSED, REMARK = "known", "not carried", "remark"
"""Outcomes beside a task's status, and `made` of a channel. Known: an earlier run has brought it."""

MOST_BATCH, MOST_BATCH_BYTES = 100, 3_000_000
"""Rows and bytes that go at a time."""

WEIGHT_OF_LOG = 1500
"""Bytes that a log counts for beside its own: on AWS each is two calls, and there are 29 seconds for all of them."""


def bring(client: Client, stage: Stage, *, dry_run: bool, progress: Callable[[], None] = lambda: None) -> Report:
    """Carry everything over; `progress` is called after each row of tasks and webhooks. Raises a KkbidaError."""
    report = Report(dry_run, dict(stage.read))
    if lost := stage.orphans():
        report.note(LOGS, None, REMARK, f"{lost} rows belong to no task of {TASKS}, and stay behind")
    _bring_channels(client, stage, report, progress)
    for batch in _batches(_mapped(stage, report, progress)):
        results = client.do(_import([row for row, _ in batch], dry_run=dry_run))
        for (row, remarks), result in zip(batch, results, strict=True):
            _account(report, row, [*remarks, *result.get("remarks", ())], result)
            progress()
    return report


def _import(rows: Sequence[Json], *, dry_run: bool) -> Operation[Json]:
    body = {"tasks": list(rows), "dry_run": dry_run}
    return Operation("POST", "/v1/import", operations.member("results"), body=body, repeatable=True)


def _mapped(stage: Stage, report: Report, progress: Callable[[], None]) -> Iterator[Mapped]:
    for row, logs in stage.tasks():
        mapped = _mapped_or_noted(row, logs, report)
        if mapped is None:
            progress()
        else:
            yield mapped


def _mapped_or_noted(row: Mapping[str, Json], logs: Sequence[Mapping[str, Json]], report: Report) -> Mapped | None:
    try:
        return as_imported(row, logs)
    except NotCarried as error:
        report.tasks[REFUSED] += 1
        report.note(TASKS, row.get("taskid"), REFUSED, str(error))
        return None


def _batches(mapped: Iterable[Mapped]) -> Iterator[list[Mapped]]:
    batch: list[Mapped] = []
    size = 0
    for one in mapped:
        its_size = len(operations.written(one[0])) + WEIGHT_OF_LOG * len(one[0]["logs"])
        if batch and (len(batch) == MOST_BATCH or size + its_size > MOST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += its_size
    if batch:
        yield batch


def _account(report: Report, row: Mapping[str, Json], remarks: Sequence[str], result: Mapping[str, Any]) -> None:
    task_id = row.get("taskId")
    if "problem" in result:
        report.tasks[REFUSED] += 1
        report.note(TASKS, task_id, REFUSED, told(result["problem"]))
        return
    report.tasks[KNOWN if result["status"] == OK else result["task"]["status"]] += 1
    for remark in remarks:
        report.note(TASKS, task_id, REMARK, remark)


OK = 200


def told(problem: Mapping[str, Any]) -> str:
    """A problem in a line."""
    faults = [f"{it.get('pointer', '')} {it.get('detail', '')}".strip() for it in problem.get("errors") or ()]
    return "; ".join(faults) or str(problem.get("detail") or problem.get("title"))


def _bring_channels(client: Client, stage: Stage, report: Report, progress: Callable[[], None]) -> None:
    there = [str(it["memo"]) for it in client.rows("/v1/channels", "channels")]
    for row in stage.hooks():
        try:
            report.channels[_bring_channel(client, row, there, dry_run=report.dry_run)] += 1
        except (NotCarried, Refused) as error:
            report.channels[REFUSED] += 1
            why = told(error.shown) if isinstance(error, Refused) else str(error)
            report.note(HOOKS, row.get("id"), REFUSED, why)
        progress()


def _bring_channel(client: Client, row: Mapping[str, Json], there: Sequence[str], *, dry_run: bool) -> str:
    if any(memo.endswith(mark_of(row)) for memo in there):
        return KNOWN
    channel = as_channel(row)
    if dry_run:
        client.do(operations.make("/v1/channels/preview", {name: channel[name] for name in PREVIEWED}))
    else:
        client.do(operations.make("/v1/channels", channel, shows="channel_id"))
    return "made"


PREVIEWED = ("kind", "template", "content_type")
"""What of a channel can be checked without making it."""
