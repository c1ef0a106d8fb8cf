"""What an argument or a file holds is what is sent: text byte for byte, JSON with every number as it is written."""

from __future__ import annotations

import asyncio
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kkbida import AsyncClient, Client, Patience, RawJson, Task, Unsendable, rawjson
from kkbida.cli.given import TaskLines
from kkbida.operations import written
from tests.sdk.conftest import Kkbida, Said, Scripted, shown_task, whole_task

URL = "https://partner.example"
TAKEN = {"status": 202, "task": shown_task()}

EXACT = [
    '{"id": 12345678901234567890.123456789}',
    '{"amount": 10.00, "rate": 1e2, "tiny": 1E-400, "huge": 1e400, "zero": -0.0}',
    '{"b": 1, "a": 2, "b": 3}',
    '[1.0,\t2.50 , "\\u4e0a\\/", "上"]',
    "1" * 5000,
    '"text in quotes"',
    "null",
    "0.10",
]
"""JSON that Python would read and write in another way."""


def body_sent(scripted: Scripted) -> str:
    """The text of the body in the request that came last."""
    return rawjson.members(scripted.came[-1].body.decode())["body"].text


@pytest.mark.parametrize("text", EXACT, ids=range(len(EXACT)))
def test_json_is_sent_as_it_is_written(kkbida: Kkbida, scripted: Scripted, tmp_path: Path, text: str) -> None:
    scripted.will_say(Said(202, shown_task()))
    (tmp_path / "body.json").write_bytes(text.encode())
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf " + text.encode() + b"\r\n")
    for data in (text, f"@{tmp_path / 'body.json'}", f"@{tmp_path / 'marked.json'}", "-"):
        kkbida("submit", URL, "-d", data, "--url", scripted.url, stdin=text)
        assert body_sent(scripted) == text
    kkbida("resend", "id-1", "-d", text, "--url", scripted.url)
    assert body_sent(scripted) == text


TEXTS = [
    b"",
    b"plain\r\ntext\rwith\nends\n",
    b"\xef\xbb\xbfmarked text\r\n",
    b"NaN",
    b"-Infinity",
    b'{"a": NaN}',
    b"{'a': 1}",
    b"007",
    b" padded ",
    b"\x00\x1f",
    "\u2028上".encode(),
]


@pytest.mark.parametrize("content", TEXTS, ids=range(len(TEXTS)))
def test_text_is_sent_byte_for_byte(kkbida: Kkbida, scripted: Scripted, tmp_path: Path, content: bytes) -> None:
    scripted.will_say(Said(202, shown_task()))
    (tmp_path / "body").write_bytes(content)
    for data in (f"@{tmp_path / 'body'}", "-", content.decode()):
        kkbida("submit", URL, "-d", data, "--url", scripted.url, stdin=content)
        assert json.loads(body_sent(scripted)).encode() == content


@pytest.mark.parametrize("content", [b"\xff", "text".encode("utf-16"), b'{"a": "\xe9"}', b"\xed\xa0\x80"])
def test_a_body_that_is_not_utf_8_is_refused_with_a_sentence(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "body").write_bytes(content)
    for data, where in ((f"@{tmp_path / 'body'}", "body"), ("-", "Standard input")):
        said = kkbida("submit", URL, "-d", data, "--url", scripted.url, code=2, stdin=content).stderr
        assert f"{where} is not UTF-8 (byte " in said
    assert "The body is not UTF-8" in kkbida("submit", URL, "-d", "\udcff", "--url", scripted.url, code=2).stderr
    assert scripted.came == []


def test_json_that_is_too_deep_is_refused_with_a_sentence(kkbida: Kkbida, scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("[" * 100_000 + "]" * 100_000)
    data = f"@{tmp_path / 'deep'}"
    assert "nested too deeply" in kkbida("submit", URL, "-d", data, "--url", scripted.url, code=2).stderr
    (tmp_path / "deep").write_text('{"url": "x", "body": ' + "[" * 100_000 + "]" * 100_000 + "}")
    said = kkbida("submit", "--from", str(tmp_path / "deep"), "--url", scripted.url, code=2).stderr
    assert "line 1 is no task: it is nested too deeply" in said


# ── many tasks ───────────────────────────────────────────────────────────────────────────────────


def test_the_lines_of_a_file_are_sent_as_they_are_written(kkbida: Kkbida, scripted: Scripted, tmp_path: Path) -> None:
    expect = '{"json":{"$.amount":10.00,"$.id":12345678901234567890.5}}'
    lines = [f'{{"url": "{URL}", "body": {text}, "timeout": 5.0, "expect": {expect}}}' for text in EXACT]
    (tmp_path / "tasks").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["", *lines]).encode() + b"\r\n\r\n")
    scripted.will_say(Said(207, {"results": [TAKEN] * len(lines)}))
    kkbida("submit", "--from", str(tmp_path / "tasks"), "--url", scripted.url)
    sent = scripted.came[0].body.decode()
    assert all(f'"body":{text}' in sent for text in EXACT)
    assert sent.count(expect) == sent.count('"timeout":5.0') == len(lines)


BAD_LINES = {
    "no JSON": b"nonsense",
    "no object": b"[]",
    "no URL": b"{}",
    "a surprise": b'{"url": "x", "bodyy": 1}',
    "NaN": b'{"url": "x", "body": NaN}',
    "a rule that is none": b'{"url": "x", "retry": {"x": 1}}',
    "a name twice": b'{"url": "x", "body": 1, "body": 2}',
    "no UTF-8": b'{"url": "x", "body": "\xff"}',
    "half a line": b'{"url": "x", "body": ',
    "half a character": b'{"url": "\\ud800"}',
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
@pytest.mark.parametrize("by_pipe", [False, True])
def test_a_fault_in_the_last_line_is_told_before_the_first_is_sent(
    kkbida: Kkbida, scripted: Scripted, tmp_path: Path, bad: bytes, by_pipe: bool
) -> None:
    content = b'{"url": "https://partner.example"}\n' * 250 + bad
    (tmp_path / "tasks").write_bytes(content)
    source, stdin = ("-", content) if by_pipe else (str(tmp_path / "tasks"), b"")
    said = kkbida("submit", "--from", source, "--url", scripted.url, code=2, stdin=stdin).stderr
    assert "line 251 is no task: " in said
    assert "Nothing was submitted." in said
    assert scripted.came == []


def test_every_line_that_is_no_task_is_told_up_to_twenty(kkbida: Kkbida, scripted: Scripted) -> None:
    said = kkbida("submit", "--from", "-", "--url", scripted.url, code=2, stdin="x\n" * 25).stderr
    assert [line.split()[-2 if "more" in line else 1] for line in said.splitlines() if "line" in line][:3]
    assert said.count("is no task") == 20
    assert "and 5 more lines" in said


def test_lines_can_be_read_again_from_what_cannot_be_wound_back() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    lines = TaskLines.of(Pipe(b'{"url": "a"}\n\n{"url": "b"}'))
    assert lines.checked() == 2
    assert [(number, task.url) for number, task in lines.tasks()] == [(1, "a"), (3, "b")]


@pytest.mark.parametrize(("answer", "code"), [(Said(403, {"code": "forbidden"}), 3), (Said(200, b"<html>"), 5)])
def test_a_submission_that_breaks_off_says_how_far_it_came(
    kkbida: Kkbida, scripted: Scripted, answer: Said, code: int
) -> None:
    refused = {"status": 400, "problem": {"code": "invalid_request"}}
    scripted.will_say(Said(207, {"results": [TAKEN] * 99 + [refused]}), answer)
    lines = '{"url": "https://partner.example"}\n' * 250
    said = kkbida("submit", "--from", "-", "--url", scripted.url, code=code, stdin=lines).stderr
    assert "99 of 250 tasks were submitted, up to line 100." in said


# ── in the SDK ───────────────────────────────────────────────────────────────────────────────────


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])), st.lists
    )
)
def test_a_raw_text_is_sent_wherever_it_stands(value: Any) -> None:
    text = json.dumps(value, indent=1)
    wrapped = {"a": [RawJson(text), {"b": RawJson(text)}], "c": value}
    assert written(wrapped).decode().count(text) >= (2 if len(text) > 1 else 0)
    assert json.loads(written(wrapped)) == {"a": [value, {"b": value}], "c": value}


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_digits(number: Decimal) -> None:
    assert (
        json.loads(written({"n": number}), parse_float=Decimal, parse_int=Decimal)["n"].as_tuple() == number.as_tuple()
    )


def test_what_looks_like_a_mark_of_ours_is_text() -> None:
    text = "raw:" + "0" * 32
    assert json.loads(written([text, RawJson("1")])) == [text, 1]


@pytest.mark.parametrize(
    "text", ["", "NaN", "[1,]", "{'a': 1}", "1 2", "\ufeff1", '"\ud800"', "[" * 100_000, "-Infinity"]
)
def test_a_raw_text_that_is_no_json_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RawJson(text)


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


UNSENDABLE: dict[str, Any] = {
    "NaN": float("nan"),
    "infinity": {"a": [float("inf")]},
    "a decimal that is none": Decimal("NaN"),
    "half a character": "\ud800",
    "a set": {1},
    "bytes": b"x",
    "depth": deep(),
}


@pytest.mark.parametrize("body", UNSENDABLE.values(), ids=UNSENDABLE)
def test_what_cannot_be_sent_is_refused_before_anything_is(scripted: Scripted, body: Any) -> None:
    good, bad = Task(URL), Task(URL, body=body)
    with Client(scripted.url) as client:
        for attempt in (lambda: client.call(bad), lambda: client.batch([good] * 150 + [bad])):
            with pytest.raises(Unsendable):
                attempt()
    with pytest.raises(ValueError, match=r"."):
        asyncio.run(AsyncClient(scripted.url, patience=Patience(total=0)).call(bad))
    assert scripted.came == []


@pytest.mark.parametrize("key", ["订单-1", "é", "a\nb", "a\r\nX-Evil: 1", "\x7f", "\ud800"])
def test_a_header_that_http_does_not_carry_is_refused_and_not_told(scripted: Scripted, key: str) -> None:
    with Client(scripted.url) as client, pytest.raises(Unsendable, match="header idempotency-key") as refused:
        client.call(Task(URL, idempotency_key=key))
    assert key not in str(refused.value)
    for key_id, secret in ((f"key{key}", "s"), ("key", f"s{key}")):
        if secret == "s" or key == "\ud800":
            with Client(scripted.url, key_id, secret) as client, pytest.raises(Unsendable):
                client.call(Task(URL))
    assert scripted.came == []


def test_a_batch_has_no_more_bytes_than_kkbida_takes(scripted: Scripted) -> None:
    tasks = [Task(URL, body="x" * 1_500_000) for _ in range(5)]
    scripted.will_say(*(Said(207, {"results": [TAKEN] * count}) for count in (2, 2, 1)))
    with Client(scripted.url) as client:
        assert len(client.batch(tasks)) == 5
    assert [len(it.json["tasks"]) for it in scripted.came] == [2, 2, 1]


# ── and what is shown is what came ───────────────────────────────────────────────────────────────


def test_numbers_are_shown_as_they_came(kkbida: Kkbida, scripted: Scripted) -> None:
    numbers = ["10.00", "1e400", "12345678901234567890.123456789", "1" * 5000, "-0.0"]
    text = json.dumps(whole_task(body="BODY")).replace('"BODY"', f"[{', '.join(numbers)}]")
    scripted.will_say(Said(200, text.encode()))
    shown = kkbida("show", "id-1", "--json", "--url", scripted.url).stdout
    assert rawjson.read(shown, number=str)["body"] == numbers
    assert "10.00, 1e400, 12345678901234567890.123456789" in kkbida("show", "id-1", "--url", scripted.url).stdout
    scripted.will_say(Said(200, f'{{"tasks": [{text}], "cursor": null}}'.encode()))
    for form in (("list", "--json"), ("export",)):
        assert rawjson.read(kkbida(*form, "--url", scripted.url).stdout, number=str)["body"] == numbers


def test_a_number_that_came_is_a_number(scripted: Scripted) -> None:
    scripted.will_say(Said(200, json.dumps(whole_task(body={"amount": 10.5, "n": 3})).encode()))
    with Client(scripted.url) as client:
        body = client.get("id-1").shown["body"]
    assert (body["amount"], body["n"], body["amount"] + 1) == (10.5, 3, 11.5)
    assert isinstance(body["n"], int)
