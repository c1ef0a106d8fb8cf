"""What is submitted goes out as it was written: the text of a JSON body, and each number anywhere else."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import json_text
from chalicelib.accept import digest, is_content_of
from chalicelib.api import answer
from chalicelib.call import Call
from chalicelib.task import evolve
from tests.house import House, in_turn, reply

URL = "https://partner.example/callback"

BODIES = [
    '{"amount":123456789012345678.91}', "10.00", "-0", "-0.0", "1E5", "1e-400", "[1.0, 1.00 ,1.000]",
    "123456789012345678901234567890",
    '{"b": 1, "a": 2}', ' { "a" :\n\t[ ] , "\\u4e0a":"\\/" } ', '{"body": {"body": 1.50}}', "true", "[]", "{}",
    '["}", "\\"", ","]',
]  # fmt: skip


@pytest.fixture
def house() -> House:
    house = House()
    house.outside.answers[URL] = in_turn(reply(200, "ok"))
    return house


def post(house: House, view: str, text: str, key: str | None = None, **path: str) -> tuple[int, str]:
    headers = {"content-type": "application/json", **({"idempotency-key": key} if key else {})}
    given = answer(house.world, view, Call(path=path, headers=headers, body=text.encode(), url_path="/"))
    return given.status, given.text()


def task(body: str, **more: str) -> str:
    members = {"url": json.dumps(URL), "body": body, **more}
    return "{" + ", ".join(f'"{name}": {text}' for name, text in members.items()) + "}"


def member(text: str, name: str) -> str:
    return next(text[start:end] for found, start, end in json_text.members(text) if found == name)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_sent_and_shown_as_its_text(house: House, body: str) -> None:
    status, told = post(house, "submit", task(body))
    assert status == 202
    house.work()
    (sent,) = house.outside.sent
    assert (sent.body or b"").decode() == body.strip()
    shown = answer(house.world, "look", Call(path={"task_id": json.loads(told)["task_id"]})).text()
    assert member(shown, "body") == body.strip()


def test_so_are_the_bodies_of_a_batch_and_of_a_resend(house: House) -> None:
    tasks = ",".join(task(body) for body in BODIES)
    status, told = post(house, "submit_batch", f'{{"tasks": [ {tasks} ]}}')
    assert status == 207
    results = json.loads(told)["results"]
    assert {it["status"] for it in results} == {202}
    house.pass_time(3)
    assert sorted((it.body or b"").decode() for it in house.outside.sent) == sorted(body.strip() for body in BODIES)
    house.outside.sent.clear()
    assert post(house, "resend", '{"body": [1.10 ,2]}', task_id=results[0]["task"]["task_id"])[0] == 202
    house.pass_time(3)
    assert [it.body for it in house.outside.sent] == [b"[1.10 ,2]"]


def test_numbers_of_params_keep_their_text(house: House) -> None:
    params = '{"a":10.00,"b":[1E2,123456789012345678.91],"c":{"d":-0}}'
    for more in ({"method": '"GET"'}, {"method": '"PUT"'}):
        assert post(house, "submit", task("null", params=params, **more))[0] == 202
    house.work()
    query, body = sorted(house.outside.sent, key=lambda it: it.method)
    assert parse_qs(urlsplit(query.url).query) == {
        "a": ["10.00"], "b": ["1E2", "123456789012345678.91"], "c": ['{"d":-0}']
    }  # fmt: skip
    assert (body.body or b"").decode() == params


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1E999", "1" + "0" * 4300, ".5", "01", "1."]
)
def test_what_is_no_number_is_refused_everywhere(house: House, number: str) -> None:
    for text in (task(number), task(f'{{"a":[{number}]}}'), task("1", params=f'{{"a":{number}}}')):
        assert post(house, "submit", text)[0] == 400


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("12345678901234567.89", "12345678901234567.12", False),
        ("10.00", "10.0", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', False),
        ('{"a":1}', '{"a": 1}', False),
        ('{"a":1.10}', '{"a":1.10}', True),
        ('"a/b"', '"a\\/b"', True),
    ],
)
def test_a_body_is_the_same_when_its_text_is(house: House, one: str, other: str, same: bool) -> None:
    assert post(house, "submit", task(one), "k")[0] == 202
    assert post(house, "submit", task(other), "k")[0] == (202 if same else 409)
    batch = ",".join(task(body, idempotency_key='"k"') for body in (one, other))
    told = json.loads(post(house, "submit_batch", f'{{"tasks":[{batch}]}}')[1])["results"]
    assert [it["status"] for it in told] == [202, 202 if same else 409]


def test_the_order_and_the_blanks_of_other_members_do_not_count(house: House) -> None:
    one = '{"url":"https://a.example/","params":{"a":1.0,"b":2},"timeout":10.0,"labels":{"x":"1","y":"2"}}'
    other = ' {"labels" : {"y":"2","x":"1"}, "timeout":10.0, "params":{"b":2,"a":1.0}, "url":"https://a.example/"}'
    assert [post(house, "submit", text, "k")[0] for text in (one, other)] == [202, 202]
    assert post(house, "submit", one.replace("1.0,", "1.00,"), "k")[0] == 409


def test_a_task_of_an_older_release_is_recognised_by_its_rounded_numbers(house: House) -> None:
    content = json_text.loads('{"body": {"a": 1.10, "b": [1E2]}, "url": "https://a.example/"}')
    text = '{"body":{"a":1.1,"b":[100.0]},"url":"https://a.example/"}'
    told = json.loads(post(house, "submit", '{"url":"https://a.example/"}')[1])
    stored = house.world.store.get(told["task_id"])
    assert stored is not None
    old = evolve(stored, digest=hashlib.sha256(text.encode()).hexdigest()[:32])
    assert is_content_of(old, content)
    assert not is_content_of(old, {**content, "body": 1})
    assert not is_content_of(evolve(stored, digest=digest({"body": 1})), content)


@pytest.mark.parametrize(
    ("wanted", "found", "delivered"),
    [
        ("10.00", "10", True),
        ("1E2", "100.0", True),
        ("12345678901234567.89", "12345678901234567.12", False),
        ("12345678901234567.89", "12345678901234567.89", True),
        ("0.1", "0.1000000000000000055511151231257827", False),
        ("9007199254740993", "9007199254740992.0", False),
        ('{"a":[1.50]}', '{"a":[1.5]}', True),
        ("1", "1e99999999999999999999", False),
        ("1", "true", False),
        ("-0", "0", True),
    ],
)
def test_numbers_of_a_reply_are_compared_exactly(house: House, wanted: str, found: str, delivered: bool) -> None:
    house.outside.answers[URL] = in_turn(reply(200, f'{{"n":{found}}}'))
    text = task("1", expect=f'{{"json":{{"$.n":{wanted}}}}}', retry='{"max_attempts":1}')
    told = json.loads(post(house, "submit", text)[1])
    house.work()
    shown = answer(house.world, "look", Call(path={"task_id": told["task_id"]})).text()
    assert (json.loads(shown)["status"] == "delivered") is delivered
    assert f'"$.n":{wanted}' in shown


def test_numbers_that_are_settings_are_numbers_however_written(house: House) -> None:
    retry = '{"backoff":"fixed","initial":1E1,"max_attempts":3,"jitter":0.10,"give_up_on":[]}'
    told = json.loads(post(house, "submit", task("1", timeout="5.00", delay="-0", retry=retry))[1])
    stored = house.world.store.get(told["task_id"])
    assert stored is not None
    assert (stored.request.timeout, stored.request.retry.initial, stored.request.retry.jitter) == (5, 10, 0.1)
