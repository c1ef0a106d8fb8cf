"""What is wrong with a dump, a server or the way to kkbida is told in a sentence; nothing is changed in silence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kkbida import Patience, mysql
from kkbida.cli.ending import Exit
from kkbida.dump import BadDump
from kkbida.mysql import NotCarried, Stage, as_imported, from_dump, zone_of
from tests.sdk.conftest import Kkbida, Said, Scripted, shown_task

EAST = zone_of("+08:00")
CREATE = (
    "CREATE TABLE `callback_task` (\n`taskId` text,\n`url` text,\n`requestParamTxt` text,\n`callCount` int\n);\n"
    "INSERT INTO `callback_task` VALUES "
)


def dumped(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def task(params: str = "{}", url: str = "https://x.example", task_id: str = "'t'", count: str = "0") -> bytes:
    return f"{CREATE}({task_id},'{url}','{params}',{count});\n".encode("latin-1")


def staged(path: Path) -> Any:
    [(row, _)] = Stage(from_dump(path), EAST).tasks()
    return row


def test_parameters_come_over_as_they_are_written(tmp_path: Path) -> None:
    params = '{"id": 12345678901234567890.5, "amount": 10.00}'
    members, remarks = as_imported(staged(dumped(tmp_path / "d.sql", task(params))), [])
    assert (members["requestParam"].text, remarks) == (params, [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (task('{"a": "\xff"}'), "requestParamTxt holds bytes"),
        (task(url="https://x/\xff"), "url holds bytes"),
        (task(task_id="'\xff'"), "taskId holds bytes"),
        (task('{"a": NaN}'), "no JSON"),
        (task("[" * 100_000), "no JSON"),
        (task(count="1e400"), "JSON"),
    ],
)
def test_a_task_that_would_not_come_over_as_it_is_stays_behind(tmp_path: Path, content: bytes, why: str) -> None:
    row = staged(dumped(tmp_path / "d.sql", content))
    with pytest.raises(NotCarried, match=why):
        as_imported(row, [])


def test_a_reply_that_is_no_text_comes_over_with_a_remark() -> None:
    members, remarks = as_imported({"taskid": "t"}, [{"responsetxt": "a\udcffb"}, {"responsetxt": "\udcfe"}])
    assert [log["responseTxt"] for log in members["logs"]] == ["a\ufffdb", "\ufffd"]
    assert remarks == [mysql.REPLACED]


@pytest.mark.parametrize("number", ["9" * 30, "-" + "9" * 30])
def test_an_id_may_be_any_number(tmp_path: Path, number: str) -> None:
    assert staged(dumped(tmp_path / "d.sql", task(task_id=number)))["taskid"] == int(number)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le-marked", "utf-8-sig", "utf-8"])
def test_a_dump_that_powershell_has_written_is_read(tmp_path: Path, encoding: str) -> None:
    text = task().decode().replace("x.example", "上.example").replace("\n", "\r\n")
    raw = "\ufeff".encode("utf-16-le") + text.encode("utf-16-le") if "marked" in encoding else text.encode(encoding)
    assert staged(dumped(tmp_path / "d.sql", raw))["url"] == "https://上.example"


BROKEN = {
    "half a gzip": ("d.sql.gz", gzip.compress(task() * 100)[:-20]),
    "no gzip": ("d.sql.gz", task()),
    "a gzip with a fault": ("d.sql.gz", gzip.compress(b"x")[:10] + b"\xff" * 50),
    "half a UTF-16": ("d.sql", task().decode().encode("utf-16")[:-1]),
    "a number that is none": ("d.sql", task(count="1.2.3")),
    "a number of ages": ("d.sql", task(count="9" * 5000)),
}


@pytest.mark.parametrize(("name", "content"), BROKEN.values(), ids=BROKEN)
def test_a_dump_that_is_broken_is_told_in_a_sentence(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, name: str, content: bytes
) -> None:
    path = dumped(tmp_path / name, content)
    with pytest.raises(BadDump):
        list(from_dump(path))
    said = kkbida("import-mysql", str(path), "--url", scripted.url, code=1).stderr
    assert "fault of the program" not in said
    assert scripted.came == [], "it is read to its end before anything is brought"


class Refusing(Exception):
    """What PyMySQL raises."""


@pytest.mark.parametrize("port", ["3306", "x", "99999"])
def test_a_server_that_refuses_is_told_without_the_password(
    kkbida: Kkbida, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    def connect(**_: object) -> None:
        raise Refusing(1045, "Access denied for user 'ann'")

    monkeypatch.setattr(mysql, "driver", lambda: SimpleNamespace(connect=connect, MySQLError=Refusing))
    said = kkbida("import-mysql", f"mysql://ann:kks_pw@db.example:{port}/d", "--url", scripted.url, code=1).stderr
    assert ("Access denied" if port == "3306" else "port") in said
    assert "kks_pw" not in said
    assert "kks_pw" not in kkbida("import-mysql", "mysql://ann:kks_pw@db", "--url", scripted.url, code=1).stderr


def test_what_breaks_off_says_how_far_it_came(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kkbida.cli.base.PATIENCE", Patience(total=0))
    monkeypatch.setattr(mysql, "MOST_BATCH", 1)
    rows = ",".join(f"('t{number}','https://x.example','{{}}',0)" for number in range(3))
    path = dumped(tmp_path / "d.sql", f"{CREATE}{rows};\n".encode())
    brought = Said(200, {"results": [{"status": 201, "task": shown_task()}]})
    scripted.will_say(Said(200, {"channels": []}), brought, brought, Said(502, b"<html>"))
    said = kkbida("import-mysql", str(path), "--url", scripted.url, code=5).stderr
    assert "2 rows were dealt with before. Run it again: nothing is brought twice." in said


def test_a_report_that_could_not_be_written_is_told_before_anything_is_brought(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path
) -> None:
    path = dumped(tmp_path / "d.sql", task())
    said = kkbida(
        *("import-mysql", str(path), "--report", str(tmp_path / "no" / "report.json"), "--url", scripted.url),
        code=Exit.LOCAL,
    ).stderr
    assert "report.json cannot be read or written: No such file or directory" in said
    assert scripted.came == []


def test_a_report_may_name_what_is_no_text(kkbida: Kkbida, scripted: Scripted, tmp_path: Path) -> None:
    path = dumped(tmp_path / "d.sql", task(task_id="'\xff上'".encode().decode("latin-1").replace("Ã¿", "\xff")))
    scripted.will_say(Said(200, {"channels": []}))
    report = tmp_path / "report.json"
    kkbida("import-mysql", str(path), "--report", str(report), "--url", scripted.url, code=1)
    [entry] = json.loads(report.read_text(encoding="utf-8"))["entries"]
    assert entry["id"] == "\udcff上"
