"""Dumps as mysqldump writes them, and as they come out of other tools and of hands."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kkbida.dump import BadDump, opened, rows, statements

CREATE = "CREATE TABLE `t` (\n  `a` varchar(255) NOT NULL,\n  `b` bit(1),\n  PRIMARY KEY (`a`)\n) ENGINE=InnoDB;\n"


def lines(text: str) -> Iterator[str]:
    yield from text.splitlines(keepends=True)


def read(text: str) -> list[Any]:
    return [tuple(row.values()) for _, row in rows(lines(text), ["t"])]


def values(written: str) -> Any:
    ((value, _),) = read(f"{CREATE}INSERT INTO `t` VALUES ({written},NULL);")
    return value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'plain'", "plain"),
        ("''", ""),
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        ("''''", "'"),
        (r"'\\'", "\\"),
        (r"'\\\\n'", "\\\\n"),
        (r"'a\nb\tc\0d\Ze\rf\bg'", "a\nb\tc\0d\x1ae\rf\bg"),
        (r"'100\%\_'", r"100\%\_"),
        (r"'\q'", "q"),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"double \" and "" and \'"', 'double " and " and \''),
        ("'a;b),(c -- no # comment /* none */'", "a;b),(c -- no # comment /* none */"),
        ("'raw\nline'", "raw\nline"),
        ("'必达 👍'", "必达 👍"),
        ("_utf8mb4'必达'", "必达"),
        (r"_binary '\0'", "\0"),
        ("0x", b""),
        ("0x00", b"\0"),
        ("0xE5BF85", "必".encode()),
        ("x'E5bf85'", "必".encode()),
        ("0x1", b"\1"),
        ("b'101'", 5),
        ("0b1", 1),
        ("NULL", None),
        ("null", None),
        ("TRUE", 1),
        ("42", 42),
        ("-1.5e3", -1500.0),
    ],
)
def test_each_way_to_write_a_value_is_understood(written: str, value: Any) -> None:
    found = values(written)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "written",
    [
        "INSERT INTO `t` VALUES ('1',b'0'),('2',b'1');",
        "INSERT INTO `t` VALUES ('1',b'0');\nINSERT INTO `t` VALUES ('2',b'1');",
        "INSERT INTO t (a, b) VALUES\n  ( '1' , 0x00 ) ,\n  ('2', 0b1);",
        "insert ignore into `db`.`t` (`b`, `a`) values (b'0', '1'), (b'1', '2');",
        "REPLACE INTO `t` VALUES ('1',0),('2',1) ON DUPLICATE KEY UPDATE a = 'x';",
        "/*!40000 ALTER TABLE `t` ORDER BY b */;\nINSERT INTO `t` -- here\n VALUES ('1',0), # one\n('2',/* two */1);",
        "INSERT INTO `other` VALUES ('3');INSERT INTO `t` VALUES ('1',0),('2',1);UNLOCK TABLES;",
    ],
)
def test_each_way_to_write_rows_is_understood(written: str) -> None:
    found = [row for _, row in rows(lines(CREATE + written), ["t"])]
    assert [row["a"] for row in found] == ["1", "2"]
    assert [int.from_bytes(b, "big") if isinstance(b := row["b"], bytes) else b for row in found] == [0, 1]


def test_moments_of_a_timestamp_are_in_utc_and_those_of_a_datetime_are_not_said_to_be() -> None:
    create = "CREATE TABLE IF NOT EXISTS t (\n a datetime(3) DEFAULT NULL,\n b timestamp NULL,\n KEY `k` (`a`)\n);"
    ((a, b),) = read(f"{create}\nINSERT INTO t VALUES ('2025-11-30 20:00:00.000','2025-11-30 12:00:00');")
    assert (a, b) == ("2025-11-30 20:00:00.000", "2025-11-30 12:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("INSERT INTO t VALUES (1);", "columns"),
        (f"{CREATE}INSERT INTO t VALUES (1);", "1 values for 2 columns"),
        (f"{CREATE}INSERT INTO t VALUES (now(),1);", "not understood"),
        (f"{CREATE}INSERT INTO t VALUES ('a',1) surplus;", "not understood"),
        (f"{CREATE}INSERT INTO t VALUES ('a',1)", "not whole"),
        (f"{CREATE}INSERT INTO t VALUES ('a;\n", "not whole"),
        (f"{CREATE}/* never ends", "not whole"),
    ],
)
def test_what_cannot_be_read_is_said_and_not_guessed(text: str, told: str) -> None:
    with pytest.raises(BadDump, match=told):
        read(text)


def test_statements_come_without_comments_and_with_all_their_quotes() -> None:
    text = '-- a ; comment\n--\nSELECT \';\' # ;\n, `;` , "\\";";\n\n/* ; */ SET a = 1; '
    assert [" ".join(it.split()) for it in statements(lines(text))] == ['SELECT \';\' , `;` , "\\";"', "SET a = 1"]


@pytest.mark.parametrize(
    ("named", "codec"), [("utf8mb4", "utf-8"), ("utf8", "utf-8"), ("gbk", "gbk"), ("'gbk'", "gbk")]
)
@pytest.mark.parametrize("suffix", [".sql", ".sql.gz"])
def test_a_dump_is_read_by_the_characters_that_it_names(tmp_path: Path, named: str, codec: str, suffix: str) -> None:
    text = f"/*!40101 SET NAMES {named} */;\n{CREATE}INSERT INTO t VALUES ('上海必达誠\r\n',1);\n"
    path = tmp_path / f"dump{suffix}"
    path.write_bytes(gzip.compress(text.encode(codec)) if suffix.endswith("gz") else text.encode(codec))
    with opened(path) as file:
        assert [row["a"] for _, row in rows(file, ["t"])] == ["上海必达誠\r\n"]


def test_a_large_dump_is_read_a_statement_at_a_time() -> None:
    def many() -> Iterator[str]:
        yield from lines(CREATE)
        for number in range(1000):
            yield f"INSERT INTO `t` VALUES ('{number}',b'1');\n"
            pulled.append(number)

    pulled: list[int] = []
    found = rows(many(), ["t"])
    next(found)
    assert len(pulled) < 2, "nothing is read ahead"
    assert sum(1 for _ in found) == 999
