"""The task routes: what they take, what they answer, what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import api
from chalicelib.api import ROUTES
from chalicelib.call import Call
from chalicelib.ports import Queue
from chalicelib.response_size import MAX_RESPONSE_BYTES
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"


def nothing_is_stored(house: House) -> bool:
    return house.call("list_tasks")[1]["tasks"] == [] and house.world.queues.receive(Queue.TASKS) == []


def test_a_task_needs_only_a_url() -> None:
    status, body = House().call("submit", {"url": PARTNER})
    assert status == 202
    assert body["status"] == "pending"
    assert len(body["task_id"]) == 36
    assert (body["method"], body["source_app"], body["max_attempts"]) == ("POST", "default", 12)


def test_every_fault_is_named_at_once_and_nothing_is_stored() -> None:
    house = House()
    status, problem = house.call(
        "submit",
        {
            "url": "ftp://partner.example",
            "method": "FETCH",
            "headers": {"Host": "other", "X-Ok": "1", "bad name": "1", "X-Inject": "a\r\nb: c"},
            "timeout": 1000,
            "expect": {"status": ["2xx", "9xx"], "regex": "(", "json": {"code": 0}},
            "retry": {"schedule": [1], "initial": 5, "max_attempts": 0},
            "surprise": 1,
        },
    )
    assert (status, problem["code"], problem["status"]) == (400, "invalid_request", 400)
    assert sorted(fault["pointer"] for fault in problem["errors"]) == [
        "/expect/json/code",
        "/expect/regex",
        "/expect/status/1",
        "/headers/Host",
        "/headers/X-Inject",
        "/headers/bad name",
        "/method",
        "/retry/initial",
        "/retry/max_attempts",
        "/surprise",
        "/timeout",
        "/url",
    ]
    assert nothing_is_stored(house)


def test_a_body_full_of_faults_does_not_come_back_many_times_as_long() -> None:
    raw = json.dumps({f"{number:x}": 1 for number in range(20_000)}).encode()
    status, problem = House().call("submit", raw=raw)
    assert (status, len(problem["errors"])) == (400, 1000)
    assert problem["detail"] == "The request is not valid: 20001 faults; the first are listed"
    assert len(json.dumps(problem)) < len(raw)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not valid UTF-8"),
        (b'{"url": NaN}', "NaN is no JSON number"),
        (b'{"url": 1e999}', "too large"),
        (b'{"url": "\\ud800"}', "surrogate"),
        (b'{"url": "a", "url": "b"}', '"url" stands twice'),
        (b"[" * 100_000, "nested too deep"),
        (b"[]", "must be an object, not a list"),
        (b"1" * 5000, "cannot be taken"),
    ],
)
def test_what_is_not_json_is_refused(raw: bytes, says: str) -> None:
    house = House()
    status, problem = house.call("submit", raw=raw)
    assert (status, problem["code"]) == (400, "invalid_request")
    assert says in json.dumps(problem, ensure_ascii=False).replace('\\"', '"')
    assert nothing_is_stored(house)


def test_a_body_over_the_limit_is_refused_with_413() -> None:
    house = House()
    raw = json.dumps({"url": PARTNER, "body": "x" * 262_144}).encode()
    status, problem = house.call("submit", raw=raw)
    assert (status, problem["code"]) == (413, "too_large")
    assert nothing_is_stored(house)


def test_the_largest_body_that_is_taken_arrives_whole() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    text = "必达" * 40_000
    house.submit(PARTNER, body=text)
    house.work()
    [sent] = house.outside.sent
    assert (sent.body or b"").decode() == text


def test_a_request_of_a_batch_that_cannot_be_stored_is_refused_with_413() -> None:
    house = House()
    raw = b'{"tasks":[{"url":"%s","body":[%s]}]}' % (PARTNER.encode(), b",".join([b"1e15"] * 80_000))
    status, told = house.call("submit_batch", raw=raw)
    (result,) = told["results"]
    assert (status, result["status"], result["problem"]["code"]) == (207, 413, "too_large")
    assert nothing_is_stored(house)


def as_lambda_returns(house: House, view: str, **parts: Any) -> int:
    """Bytes of an answer in the JSON that the function returns: the runtime escapes all that is not ASCII."""
    answer = api.answer(house.world, view, Call(**parts))
    assert answer.status == 200
    return len(json.dumps({"statusCode": 200, "headers": dict(answer.headers), "body": answer.text()}))


@pytest.mark.parametrize("character", ["x", '"', "\\", "\x01", "é", "上", "😀"])
def test_an_answer_with_the_replies_of_many_attempts_fits_into_what_lambda_returns(character: str) -> None:
    house = House()
    size = len(character.encode())
    house.outside.answers[PARTNER] = in_turn(reply(500, character * (60_000 // size)))
    body = character * (250_000 // max(size, 6 if character == "\x01" else 2 if character in '"\\' else 1))
    task_id = house.submit(PARTNER, body=body, retry={"backoff": "fixed", "initial": 1, "max_attempts": 60})
    house.pass_time(80)
    shown = house.look(task_id)
    assert as_lambda_returns(house, "look", path={"task_id": task_id}) <= MAX_RESPONSE_BYTES
    attempts, cursor = shown["attempts"][::-1], shown["attempts_cursor"]
    assert cursor is not None
    while cursor is not None:
        parts: dict[str, Any] = {"path": {"task_id": task_id}, "query": {"cursor": [cursor], "limit": ["100"]}}
        assert as_lambda_returns(house, "list_attempts", **parts) <= MAX_RESPONSE_BYTES
        _, page = house.call("list_attempts", **parts)
        attempts += page["attempts"]
        cursor = page["cursor"]
    assert [it["number"] for it in attempts] == list(range(60, 0, -1))
    assert {it["reply"] for it in attempts} == {character * (60_000 // size)}


def test_attempts_are_listed_newest_first_a_page_at_a_time_whatever_happens_meanwhile() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    task_id = house.submit(PARTNER, retry={"backoff": "fixed", "initial": 1, "max_attempts": 5})
    house.pass_time(2)
    path = {"task_id": task_id}
    _, first = house.call("list_attempts", path=path, query={"limit": ["2"]})
    assert [it["number"] for it in first["attempts"]] == [3, 2]
    house.pass_time(20)
    _, second = house.call("list_attempts", path=path, query={"limit": ["2"], "cursor": [first["cursor"]]})
    assert ([it["number"] for it in second["attempts"]], second["cursor"]) == ([1], None)
    assert house.look(task_id)["attempts_cursor"] is None
    for wrong in ("0", "-1", "x", "²"):
        status, problem = house.call("list_attempts", path=path, query={"cursor": [wrong]})
        assert (status, problem["errors"][0]["pointer"]) == (400, "query:cursor")
    assert house.call("list_attempts", path={"task_id": "none"})[0] == 404


def test_a_page_holds_fewer_tasks_where_lambda_returns_no_more() -> None:
    house = House()
    labels = {f"{number}{'😀' * 190}": "😀" * 500 for number in range(20)}
    ids = {house.submit(PARTNER, labels=labels) for _ in range(45)}
    assert as_lambda_returns(house, "list_tasks", query={"limit": ["100"]}) <= MAX_RESPONSE_BYTES
    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        query = {"limit": ["100"], **({"cursor": [cursor]} if cursor else {})}
        _, page = house.call("list_tasks", query=query)
        found += [it["task_id"] for it in page["tasks"]]
        cursor = page["cursor"]
    assert len(found) == len(ids) == 45
    assert set(found) == ids


def test_statuses_that_only_take_out_take_nothing_in() -> None:
    status, problem = House().call("submit", {"url": PARTNER, "expect": {"status": ["!204"]}})
    assert (status, problem["errors"][0]["pointer"]) == (400, "/expect/status")


def test_a_body_that_is_not_json_by_its_type_is_refused_with_415() -> None:
    status, problem = House().call("submit", {"url": PARTNER}, headers={"content-type": "text/xml"})
    assert (status, problem["code"]) == (415, "unsupported_media_type")


def test_the_same_key_and_content_is_one_task_and_other_content_a_conflict() -> None:
    house = House()
    keyed: dict[str, Any] = {"headers": {"idempotency-key": "order-42"}}
    first = house.call("submit", {"url": PARTNER, "body": {"a": 1, "b": 2}}, **keyed)
    again = house.call("submit", {"body": {"a": 1, "b": 2}, "url": PARTNER}, **keyed)
    assert first[0] == again[0] == 202
    assert first[1]["task_id"] == again[1]["task_id"]
    for body in ({"a": 2, "b": 2}, {"b": 2, "a": 1}):  # a body is delivered as it is written, so its order counts
        other = house.call("submit", {"url": PARTNER, "body": body}, **keyed)
        assert (other[0], other[1]["code"]) == (409, "idempotency_conflict")
    assert len(house.call("list_tasks")[1]["tasks"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "键"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    status, problem = House().call("submit", {"url": PARTNER}, headers={"idempotency-key": key})
    assert (status, problem["errors"][0]["pointer"]) == (400, "header:Idempotency-Key")


def test_a_task_that_is_not_there_is_a_404() -> None:
    for view in ("look", "resend", "cancel", "deliver_now"):
        status, problem = House().call(view, path={"task_id": "nope"})
        assert (status, problem["code"]) == (404, "not_found"), view


def test_secret_headers_are_sent_and_never_shown() -> None:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    task_id = house.submit(PARTNER, headers={"Authorization": "Bearer hush", "X-Order": "42"})
    house.work()
    assert house.outside.sent[0].headers["Authorization"] == "Bearer hush"
    assert house.look(task_id)["headers"] == {"Authorization": "***", "X-Order": "42"}


# ── lists ──


def stocked() -> House:
    """Twelve tasks, one a minute: two apps, two hosts, every third one exhausted."""
    house = House()
    for number in range(12):
        host = "a.example" if number % 2 else "b.example"
        house.outside.answers[f"https://{host}/{number}/"] = in_turn(reply(500 if number % 3 == 0 else 200, "x"))
        house.submit(
            f"https://{host}/{number}/", source_app=f"app{number % 2}", target_app="billing", retry={"max_attempts": 1}
        )
        house.work()
        house.clock.at += 60
    return house


def listed(house: House, **query: str) -> list[int]:
    status, body = house.call("list_tasks", query={name: [value] for name, value in query.items()})
    assert status == 200, body
    return [int(task["url"].split("/")[3]) for task in body["tasks"]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"status": "exhausted"}, [9, 6, 3, 0]),
        ({"status": "pending"}, []),
        ({"source_app": "app1"}, [11, 9, 7, 5, 3, 1]),
        ({"target_app": "billing", "limit": "2"}, [11, 10]),
        ({"target_app": "other"}, []),
        ({"target": "https://a.example:443", "status": "exhausted"}, [9, 3]),
        ({"q": "/1"}, [11, 10, 1]),
        ({"since": "2025-12-01T12:10:00Z"}, [11, 10]),
        ({"since": "2025-12-01T20:10:00+08:00", "until": "2025-12-01T12:11:00Z"}, [10]),
    ],
)
def test_the_list_is_filtered_and_newest_first(query: dict[str, str], numbers: list[int]) -> None:
    assert listed(stocked(), **query) == numbers


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    house, found = stocked(), list[int]()
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": ["5"], **({"cursor": [cursor]} if cursor else {})}
        body = house.call("list_tasks", query=query)[1]
        found += [int(task["url"].split("/")[3]) for task in body["tasks"]]
        cursor = body["cursor"]
    assert found == list(range(11, -1, -1))


@pytest.mark.parametrize(
    "query",
    [
        {"status": ["lost"]},
        {"limit": ["0"]},
        {"limit": ["101"]},
        {"since": ["yesterday"]},
        {"colour": ["red"]},
        {"status": ["pending", "delivered"]},
        {"cursor": ["!"]},
        {"limit": ["000000000100999"]},
        {"limit": ["1" + "0" * 5000]},
        {"since": ["0001-01-01T00:00:00+14:00"]},
        {"until": ["9999-12-31T23:00:00-12:00"]},
    ],
)
def test_a_bad_filter_is_refused_by_name(query: dict[str, list[str]]) -> None:
    status, problem = House().call("list_tasks", query=query)
    assert (status, problem["code"]) == (400, "invalid_request")
    assert problem["errors"][0]["pointer"] == f"query:{next(iter(query))}"


def test_every_fault_of_a_query_is_named_at_once() -> None:
    query = {"limit": ["0"], "since": ["yesterday"], "status": ["lost"], "q": ["a", "b"], "colour": ["red"]}
    problem = House().call("list_tasks", query=query)[1]
    assert {fault["pointer"]: fault["detail"][:20] for fault in problem["errors"]} == {
        "query:limit": "must be from 1 to 10",
        "query:since": "must be a time as in",
        "query:status": "must be one of pendi",
        "query:q": "is given more than o",
        "query:colour": "is unknown; known ar",
    }


@pytest.mark.parametrize("limit", ["-1", "1.0", "1e1", "ten", "[1]", '"1"', "true", "null", "٣"])
def test_a_limit_that_is_no_whole_number_is_refused(limit: str) -> None:
    status, problem = House().call("list_tasks", query={"limit": [limit]})
    assert (status, problem["errors"][0]["pointer"]) == (400, "query:limit")


def test_a_parameter_that_is_empty_counts_as_absent() -> None:
    house = stocked()
    empty = {name: [""] for name in ROUTES["list_tasks"].query}
    assert house.call("list_tasks", query=empty) == house.call("list_tasks")


def test_a_plus_in_a_time_need_not_be_encoded() -> None:
    assert listed(stocked(), since="2025-12-01T20:10:00 08:00") == [11, 10]


# ── resend ──


def exhausted_house(**members: Any) -> tuple[House, str]:
    house = House()
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"))
    task_id = house.submit(PARTNER, retry={"max_attempts": 1}, **members)
    house.work()
    assert house.look(task_id)["status"] == "exhausted"
    return house, task_id


def test_a_resend_may_change_the_request_and_says_which_parts() -> None:
    house, task_id = exhausted_house(headers={"X-A": "1"}, body={"old": True})
    other = "https://other.example/new"
    house.outside.answers[other] = in_turn(reply(200, "ok"))
    changes = {"url": other, "headers": {"X-B": "2"}, "body": {"new": True}, "retry": {"schedule": [1, 2]}}
    status, body = house.call("resend", changes, path={"task_id": task_id})
    assert (status, body["round"], body["url"], body["max_attempts"]) == (202, 2, other, 3)
    house.work()
    [sent] = house.outside.sent_to(other)
    assert sent.body == b'{"new": true}'
    assert (sent.headers["X-B"], "X-A" in sent.headers) == ("2", False)
    task = house.look(task_id)
    assert task["status"] == "delivered"
    changed = task["audit"][0]["detail"]["changes"]
    assert sorted(changed) == ["body", "headers", "retry", "url"]
    assert changed["url"] == {"from": PARTNER, "to": other}


def test_a_bad_resend_changes_nothing() -> None:
    house, task_id = exhausted_house()
    status, problem = house.call("resend", {"url": "nope", "timeout": 3}, path={"task_id": task_id})
    assert status == 400
    assert {fault["pointer"] for fault in problem["errors"]} == {"/url", "/timeout"}
    assert house.look(task_id)["status"] == "exhausted"
    assert house.look(task_id)["audit"] == []


# ── who may ──


def test_a_closed_api_answers_401_to_everything_but_health_and_its_description() -> None:
    house = House(KKBIDA_OPEN_API="0")
    answers = {view: house.call(view, path={"task_id": "x", "channel_id": "x"})[0] for view in ROUTES}
    assert (answers.pop("health"), answers.pop("openapi"), answers.pop("log_in")) == (200, 200, 400)
    assert set(answers.values()) == {401}
