"""The predecessor's tables brought over, by the SDK to the product itself: from a dump that MariaDB's own mysqldump has
written, and from a connection that gives what PyMySQL gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chalicelib import api
from chalicelib.call import Call
from kkbida import Client, Patience, RawJson, mysql
from kkbida.cli.app import cli
from kkbida.cli.base import Here
from kkbida.errors import Unreachable
from kkbida.mysql import NotCarried, Stage, as_channel, as_imported, from_dump, moment, selected, zone_of
from kkbida.wire import Reply, Request
from tests.house import House
from tests.local.conftest import Run

DUMP = Path(__file__).parent / "predecessor.sql"
EAST = zone_of("+08:00")

OUT, DELIVERED, LIVE, NO_VALUE = (f"6f9619ff-8b86-4011-b42d-00c04fc96{end}" for end in ("4ff", "401", "402", "403"))


class ByHand:
    """Carries requests to a house in this process; `broken`: how many of them do not arrive."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.broken = 0
        self.asked: list[Request] = []

    def send(self, request: Request) -> Reply:
        self.asked.append(request)
        if self.broken:
            self.broken -= 1
            raise Unreachable("cut off")
        view = next(it.name for it in api.ROUTES.values() if (it.method, it.path) == (request.method, request.route))
        query = {name: [value] for name, value in request.query.items()}
        call = Call(path=request.ids, query=query, headers=request.headers, body=request.body or b"", address="::1")
        answer = api.answer(self.house.world, view, call)
        return Reply(answer.status, {}, answer.text().encode())

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def transport(house: House) -> ByHand:
    return ByHand(house)


@pytest.fixture
def client(transport: ByHand) -> Client:
    return Client(transport=transport, patience=Patience(total=0))


def staged(found: Any = None) -> Stage:
    return Stage(found or from_dump(DUMP), EAST)


# ── what is read ─────────────────────────────────────────────────────────────────────────────────


def test_tasks_come_with_their_logs_the_unfinished_first() -> None:
    found = [(row["taskid"], [log["id"] for log in logs]) for row, logs in staged().tasks()]
    assert found == [(LIVE, [4]), (DELIVERED, [3]), (NO_VALUE, []), (OUT, [1, 2])]


class PyMySqlLike:
    """A connection that gives the rows of the dump as PyMySQL does: bits as bytes, moments as datetimes."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        for table, row in from_dump(DUMP):
            self.tables.setdefault(table, []).append({name: self.typed(name, it) for name, it in row.items()})
        self.executed: list[str] = []

    def typed(self, name: str, value: Any) -> Any:
        if name == "isSuccess":
            return value.encode()
        at = isinstance(value, str) and name in ("createDate", "lastModifiedDate", "expireTimestamp")
        return datetime.fromisoformat(value) if at else value

    def cursor(self, kind: Any = None) -> Any:
        del kind
        return LikeACursor(self)


class LikeACursor:
    def __init__(self, connection: PyMySqlLike) -> None:
        self.connection = connection
        self.rows: list[dict[str, Any]] = []

    def execute(self, sql: str) -> None:
        self.connection.executed.append(sql)
        if sql.startswith("SELECT"):
            self.rows = self.connection.tables[sql.split("`")[1]]

    @property
    def description(self) -> list[tuple[str, int]]:
        return [(name, 12) for name in self.rows[0]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return (tuple(row.values()) for row in self.rows)

    def close(self) -> None:
        """It holds nothing."""


def test_a_live_server_gives_the_same_as_its_dump_all_of_one_moment() -> None:
    connection = PyMySqlLike()
    live, dumped = staged(selected(connection, object)), staged()
    assert list(live.tasks()) == list(dumped.tasks())
    assert list(live.hooks()) == list(dumped.hooks())
    assert (live.read, live.orphans()) == (dumped.read, dumped.orphans())
    assert connection.executed[0] == "START TRANSACTION WITH CONSISTENT SNAPSHOT"


@pytest.mark.parametrize("url", ["mysql://", "mysql://host", "postgres://host/db"])
def test_an_address_without_a_database_is_refused(url: str) -> None:
    with pytest.raises(NotCarried, match="names no database"):
        next(iter(mysql.from_server(url, "")))


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    with pytest.raises(NotCarried, match=r"pip install 'kkbida\[mysql\]'"):
        mysql.driver()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2025-11-30 20:00:00", "2025-11-30T20:00:00+08:00"),
        ("2025-11-30 20:00:00.5", "2025-11-30T20:00:00.500000+08:00"),
        ("2025-11-30 20:00:00.123456", "2025-11-30T20:00:00.123456+08:00"),
        ("2025-11-30 12:00:00+00:00", "2025-11-30T12:00:00+00:00"),
        (datetime(2025, 11, 30, 20), "2025-11-30T20:00:00+08:00"),  # noqa: DTZ001 - as PyMySQL gives it
        (datetime(2025, 11, 30, 12, tzinfo=UTC), "2025-11-30T12:00:00+00:00"),
        ("0000-00-00 00:00:00", None),
        ("soon", None),
        (None, None),
    ],
)
def test_moments_have_the_zone_of_the_predecessors_computer(value: Any, told: str | None) -> None:
    assert moment(value, EAST) == told


@pytest.mark.parametrize("value", [b"\1", "\1", 1, "1", "true", True])
def test_what_is_true_in_mysql(value: Any) -> None:
    assert mysql.is_true(value)


@pytest.mark.parametrize("value", [b"\0", "\0", 0, "0", "", "false", False, None, b""])
def test_what_is_not(value: Any) -> None:
    assert not mysql.is_true(value)


# ── what becomes of it ───────────────────────────────────────────────────────────────────────────


def test_a_row_becomes_what_the_import_takes() -> None:
    row = {"taskid": "t", "callcount": 1, "requestparamtxt": '{"a":1}', "sourceip": None, "expiretime": "never"}
    logs = [{"id": 1, "taskid": "t", "createdate": "2025-11-30T20:00:00+08:00", "responsetxt": "x", "issuccess": False}]
    told = {"createDate": logs[0]["createdate"], "responseTxt": "x", "isSuccess": False}
    assert as_imported(row, logs) == (
        {"taskId": "t", "callCount": 1, "requestParam": RawJson('{"a":1}'), "logs": [told]},
        [],
    )


@pytest.mark.parametrize("text", [None, "", "null", " "])
def test_a_row_without_parameters_has_none(text: str | None) -> None:
    assert as_imported({"requestparamtxt": text}, [])[0]["requestParam"] is None


def test_parameters_that_are_no_json_are_said_to_be_none() -> None:
    with pytest.raises(NotCarried, match="requestParamTxt is no JSON"):
        as_imported({"requestparamtxt": "{a:1"}, [])


def test_of_too_much_the_newest_is_kept_and_that_is_said() -> None:
    logs = [{"responsetxt": "必" * 2000} for _ in range(1500)]
    row, remarks = as_imported({"taskid": "t"}, logs)
    assert len(row["logs"]) == 1000
    assert len(json.dumps(row, ensure_ascii=False).encode()) < mysql.MOST_ROW
    assert [remark.split()[:2] for remark in remarks] == [["of", "1500"], ["its", "replies"]]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://oapi.dingtalk.com/robot/send?access_token=t", "dingtalk"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k", "wecom"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/h", "feishu"),
        ("https://open.larksuite.com/open-apis/bot/v2/hook/h", "lark"),
        ("https://HOOKS.slack.com/services/T/B/x", "slack"),
        ("https://oapi.dingtalk.com.evil.example/robot", "webhook"),
        ("https://hook.example/x", "webhook"),
    ],
)
def test_robots_are_recognised_by_their_address(url: str, kind: str) -> None:
    made = as_channel({"id": 7, "url": url, "content": "${taskId}", "memo": "x" * 300, "contenttype": "text/plain"})
    assert (made["kind"], made["template"], made["content_type"]) == (kind, "${taskId}", "text/plain")
    assert len(made["memo"]) == 200
    assert made["memo"].endswith(" (import: web_hook 7)")


def look(house: House, task_id: str) -> Mapping[str, Any]:
    return house.look(task_id)


def test_everything_comes_over_and_what_does_not_is_reported(house: House, client: Client) -> None:
    seen: list[int] = []
    report = mysql.bring(client, staged(), dry_run=False, progress=lambda: seen.append(1))
    assert report.read == {"call_back_log": 5, "callback_task": 4, "web_hook": 3}
    assert report.tasks == {"retrying": 1, "delivered": 1, "exhausted": 1, "not carried": 1}
    assert report.channels == {"made": 1, "not carried": 2}
    assert len(seen) == 7, "one for each task and webhook"
    assert [(it["table"], it["id"], it["outcome"]) for it in report.entries] == [
        ("call_back_log", None, "remark"),
        ("web_hook", 2, "not carried"),
        ("web_hook", 3, "not carried"),
        ("callback_task", DELIVERED, "remark"),
        ("callback_task", NO_VALUE, "not carried"),
    ]
    why = [str(it["why"]) for it in report.entries]
    assert why[1].startswith("/template is not JSON once its variables are filled in")
    assert why[3] == "not sent, as before, since the url has no place for it: unused"
    assert why[4] == "/requestParam has no value for city of the url"
    task = look(house, OUT)
    assert task["body"] == {"order": 42, "note": 'it\'s "quoted"; 上海 👍'}
    assert (task["created_at"], task["status"]) == ("2025-11-30T12:00:00.000Z", "exhausted")
    assert task["attempts"][0]["reply"] == "line one\nline two\t\\ 'q' \"d\" \0 \x1a 必达"
    assert look(house, DELIVERED)["url"] == "https://partner.example/%E4%B8%8A%E6%B5%B7"
    (channel,) = house.call("list_channels")[1]["channels"]
    assert (channel["kind"], channel["memo"]) == ("dingtalk", "运维 (import: web_hook 1)")
    assert house.call("ledger")[1]["balanced"]


def test_a_second_run_makes_nothing_twice_also_after_one_that_was_cut_off(house: House, transport: ByHand) -> None:
    client = Client(transport=transport, patience=Patience(total=0))
    transport.asked.clear()
    mysql.bring(client, staged(), dry_run=False)
    again = mysql.bring(client, staged(), dry_run=False)
    assert (again.tasks, again.channels) == (
        {"known": 3, "not carried": 1},
        {"known": 1, "not carried": 2},
    )
    assert house.world.store.totals()["accepted"] == 3
    assert len(house.call("list_channels")[1]["channels"]) == 1


def test_a_dry_run_counts_the_same_and_changes_nothing(house: House, client: Client) -> None:
    dry = mysql.bring(client, staged(), dry_run=True)
    assert house.world.store.totals() == {}
    assert house.call("list_channels")[1]["channels"] == []
    assert dry.tasks == mysql.bring(client, staged(), dry_run=False).tasks


def test_rows_go_in_batches_of_bounded_size(client: Client, transport: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "MOST_BATCH", 2)
    mysql.bring(client, staged(), dry_run=True)
    sizes = [len(json.loads(it.body or b"")["tasks"]) for it in transport.asked if it.route == "/v1/import"]
    assert sizes == [2, 2]
    monkeypatch.setattr(mysql, "MOST_BATCH_BYTES", 1)
    transport.asked.clear()
    mysql.bring(client, staged(), dry_run=True)
    assert sum(it.route == "/v1/import" for it in transport.asked) == 4


def test_what_cannot_be_reached_ends_the_run(client: Client, transport: ByHand) -> None:
    transport.broken = 99
    with pytest.raises(Unreachable):
        mysql.bring(client, staged(), dry_run=False)


def test_a_caller_for_the_old_clients_is_made_with_the_password_that_was_asked_for(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "client", lambda _: client)
    made = ["callers", "add", "*", "--user-name", "admin", "--may", "submit"]
    result = CliRunner().invoke(cli, made, input="s3cret-of-java\n")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "s3cret-of-java" not in result.output
    least = {"url": "https://partner.example", "requestMethod": "POST", "expectResult": "ok", "limitCallCount": 1}
    assert house.call("add_task", least, headers={"username": "admin", "password": "s3cret-of-java"})[0] == 200
    assert house.call("add_task", least, headers={"username": "admin", "password": "other"})[0] == 401
    assert "admin" in CliRunner().invoke(cli, ["callers", "list"]).stdout


# ── the command ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def command(client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Here, "client", lambda _: client)

    def run(*arguments: str, code: int) -> Result:
        result = CliRunner().invoke(cli, ["import-mysql", *arguments], prog_name="kkbida")
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


def test_the_command_tells_what_would_come_over_and_writes_a_report(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    result = command(str(DUMP), "--dry-run", "--report", str(path), code=1)
    assert "3 rows would not come over." in result.stderr
    assert "This was a dry run" in result.stderr
    for told in ("callback_task", "exhausted", "not carried", "requestParam has no value for city of the url"):
        assert told in result.stdout
    written = json.loads(path.read_text())
    assert (written["dry_run"], written["tasks"]["exhausted"], len(written["entries"])) == (True, 1, 5)
    assert json.loads(command(str(DUMP), "--dry-run", "--json", code=1).stdout) == written


def test_the_command_asks_a_local_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("DATA", str(run.folder))
    result = CliRunner().invoke(cli, ["--local", "import-mysql", str(DUMP), "--dry-run", "--json"])
    assert result.exit_code == 1, (result.output, result.exception)
    told = json.loads(result.stdout)
    assert told["tasks"] == {"retrying": 1, "delivered": 1, "exhausted": 1, "not carried": 1}


def test_the_command_brings_it_over(command: Any, house: House) -> None:
    assert "3 rows did not come over." in command(str(DUMP), "--timezone", "+00:00", code=1).stderr
    assert look(house, OUT)["created_at"] == "2025-11-30T20:00:00.000Z"


def test_the_command_ends_well_when_nothing_stays_behind(command: Any, tmp_path: Path) -> None:
    left_out = (f"('{NO_VALUE}'", "(2,'not json", "(3,'{}'")
    kept = [line for line in DUMP.read_text().splitlines() if not line.startswith(left_out)]
    whole = "\n".join(kept).replace("access_token=t'),", "access_token=t');")
    (tmp_path / "whole.sql").write_text(whole)
    assert "known" not in command(str(tmp_path / "whole.sql"), code=0).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere.sql",), "There is no file"),
        ((str(DUMP), "--timezone", "CST"), "is no time zone such as +08:00"),
        ((__file__,), "not whole"),
        (("mysql://host",), "names no database"),
    ],
)
def test_what_cannot_be_read_is_said(command: Any, arguments: tuple[str, ...], told: str) -> None:
    codes = {"not whole": 1, "names no database": 1}
    assert told in command(*arguments, code=codes.get(told, 2)).stderr


def test_a_file_that_holds_nothing_of_the_predecessor_is_said_to(command: Any, tmp_path: Path) -> None:
    (tmp_path / "other.sql").write_text("CREATE TABLE other (a int);\nINSERT INTO other VALUES (1);\n")
    assert "There is nothing of callback_task" in command(str(tmp_path / "other.sql"), code=2).stderr
