"""No answer is larger than what a Lambda function returns, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import api, show
from chalicelib.call import Call
from chalicelib.errors import Fault, InvalidRequest, Kind
from chalicelib.operators import MOST_NAME
from chalicelib.ports import Page
from chalicelib.response_size import MAX_RESPONSE_BYTES
from chalicelib.task import (
    SCOPES,
    Attempt,
    Audit,
    Breaker,
    Caller,
    Channel,
    Json,
    Operator,
    Resend,
    Role,
    Roster,
    SigningSecret,
    Status,
    Target,
    Verdict,
    evolve,
)
from tests.house import NOON, House

PARTNER = "https://partner.example/"
WIDE = "😀"
"""One character, and twelve bytes as it is wrapped."""

LONG_APP = WIDE * 100
LABELS = {f"{number:02}{WIDE * 198}": WIDE * 500 for number in range(20)}
AUDIT = Audit(at=NOON, actor="", action="", subject="", address="", detail={})


def asked(house: House, view: str, body: Json = None, **parts: Any) -> tuple[int, Any]:
    """What the view answers, which fits into what a Lambda function returns: the runtime escapes all but ASCII."""
    raw = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    answer = api.answer(house.world, view, Call(**{"body": raw, "address": "192.0.2.7", **parts}))
    wrapped = {"statusCode": answer.status, "headers": dict(answer.all_headers), "body": answer.text()}
    assert len(json.dumps(wrapped)) <= MAX_RESPONSE_BYTES
    return house.call(view, body, **parts)


def many_channels(house: House) -> int:
    channel = Channel(
        channel_id="",
        kind="custom",
        url=f"https://{'h' * 1900}/",
        template=WIDE * 20_000,
        memo=WIDE * 200,
        source_apps=(LONG_APP,) * 100,
        target_apps=(LONG_APP,) * 100,
        version=1,
        created_at=NOON,
        updated_at=NOON,
    )
    for number in range(20):
        assert house.world.store.save_channel(
            evolve(channel, channel_id=f"00000000-0000-4000-8000-{number:012}"), AUDIT
        )
    return 20


def many_callers(house: House) -> int:
    caller = Caller(
        key_id="",
        source_app=LONG_APP,
        scopes=SCOPES,
        networks=("2001:0db8:0000:0000:0000:0000:0000:0000/128",) * 50,
        memo=WIDE * 200,
        user_name=LONG_APP,
        fingerprint="f" * 16,
        created_at=NOON,
        created_by=f"operator:{'n' * MOST_NAME}",
    )
    for number in range(1000):
        house.world.store.add_caller(evolve(caller, key_id=f"key_{number:024}"), AUDIT)
    return 1000


def many_signing_secrets(house: House) -> int:
    secret = SigningSecret(secret_id="", source_app=LONG_APP, fingerprint="f" * 16, created_at=NOON)
    for number in range(4500):
        house.world.store.add_signing_secret(evolve(secret, secret_id=f"00000000-0000-4000-8000-{number:012}"), AUDIT)
    return 4500


def many_resends(house: House) -> int:
    resend = Resend(
        resend_id="",
        filter={"q": WIDE * 4000},
        rate=1,
        actor=f"operator:{'n' * MOST_NAME}",
        address="",
        started_at=NOON,
    )
    for number in range(140):
        assert house.world.store.save_resend(
            evolve(resend, resend_id=f"00000000-0000-4000-8000-{number:012}", started_at=NOON + number)
        )
    return 140


def many_targets(house: House) -> int:
    limits = Breaker(failure_share=0.5, window=60, least_attempts=10, open_seconds=30)
    target = Target(name="", paused_at=NOON, breaker=limits, updated_at=NOON, updated_by=f"operator:{'n' * MOST_NAME}")
    many = [evolve(target, name=f"https://{number:0253}:443") for number in range(9000)]
    setattr(house.world.store, "targets", lambda: many)  # noqa: B010 - writing so many takes long
    return len(many)


@pytest.mark.parametrize(
    ("view", "name", "fill"),
    [
        ("list_channels", "channels", many_channels),
        ("list_callers", "callers", many_callers),
        ("list_signing_secrets", "signing_secrets", many_signing_secrets),
        ("list_resends", "resends", many_resends),
        ("list_targets", "targets", many_targets),
    ],
)
def test_a_list_that_is_too_large_comes_in_parts_that_make_it_up(view: str, name: str, fill: Any) -> None:
    house = House()
    rows = fill(house)
    found: list[Any] = []
    cursor, parts = None, 0
    while cursor is not None or parts == 0:
        status, page = asked(house, view, query={"cursor": [cursor]} if cursor else {})
        assert status == 200
        found += page[name]
        cursor, parts = page["cursor"], parts + 1
    assert parts > 1
    assert len({json.dumps(row) for row in found}) == len(found) == rows
    assert house.call(view, query={"cursor": ["gone"]})[0] == 400


def test_the_audit_trail_comes_in_parts_that_make_it_up() -> None:
    house = House()
    detail = {"changes": {f"{number}": {"from": WIDE * 501, "to": WIDE * 501} for number in range(10)}}
    for number in range(60):
        house.world.store.note(evolve(AUDIT, at=NOON + number, subject=str(number), detail=detail))
    house.pass_time(100)
    found: list[str] = []
    cursor, parts = None, 0
    while cursor is not None or parts == 0:
        query = {"limit": ["100"], **({"cursor": [cursor]} if cursor else {})}
        status, page = asked(house, "list_audits", query=query)
        assert status == 200
        found += [it["subject"] for it in page["audits"]]
        cursor, parts = page["cursor"], parts + 1
    assert found == [str(number) for number in reversed(range(60))]


def test_the_operators_fit_by_their_number() -> None:
    operator = Operator(
        name="n" * MOST_NAME, role=Role.OPERATOR, password="", era="", device_key="", created_at=NOON,
        created_by=f"operator:{'n' * MOST_NAME}", password_at=NOON,
    )  # fmt: skip
    rows = [show.operator(it) for it in Roster(1, (operator,) * 200).operators]
    assert len(json.dumps(json.dumps(rows))) < MAX_RESPONSE_BYTES / 10


def test_the_failures_fit_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many groups as there can be, each of one task, with all that is as long as can be."""
    house = House()
    task = house.world.store.get(house.submit(PARTNER))
    assert task is not None
    last = Attempt(number=1, round=1, fence=1, started_at=NOON, verdict=Verdict.FAILED, kind=Kind.REPLY)
    many = [
        evolve(
            task,
            status=Status.EXHAUSTED,
            request=evolve(task.request, url=f"https://{number:0253}:10443/"),
            last=evolve(last, reason=WIDE * 60),
        )
        for number in range(api.MOST_GATHERED)
    ]
    monkeypatch.setattr(house.world.store, "page", lambda *_: Page(many, None))
    status, page = asked(house, "failures")
    assert (status, len(page["groups"])) == (200, api.MOST_GATHERED)
    assert len(json.dumps(json.dumps(page))) * 2 < MAX_RESPONSE_BYTES


def test_a_batch_whose_answer_would_not_fit_is_refused_before_anything_is_stored() -> None:
    house = House()
    body = {"tasks": [{"url": PARTNER, "labels": LABELS}] * 50}
    status, problem = asked(house, "submit_batch", body)
    assert (status, problem["code"]) == (413, "too_large")
    assert house.call("list_tasks")[1]["tasks"] == []
    status, answer = asked(house, "submit_batch", {"tasks": body["tasks"][:20]})
    assert (status, {it["status"] for it in answer["results"]}) == (207, {202})


FAULTY: Json = {
    "url": PARTNER,
    "headers": {f"{number}{WIDE * 190}": "" for number in range(50)},
    **{f"{number}": 0 for number in range(2000)},
}


def test_the_problems_of_a_batch_fit_and_say_that_more_faults_were_found() -> None:
    house = House()
    status, answer = asked(house, "submit_batch", {"tasks": [FAULTY] * 50})
    assert status == 207
    assert all("faults; the first are listed" in it["problem"]["detail"] for it in answer["results"])


def test_the_problems_and_remarks_of_an_import_fit() -> None:
    house = House()
    row = {
        "taskId": "1",
        "url": PARTNER,
        "requestMethod": "GET",
        "expectResult": "ok",
        "limitCallCount": 1,
        "callCount": 1,
        "requestParam": {f"{number}{WIDE * 190}": 1 for number in range(50)},
        "logs": [{"responseTxt": "x"}] * 2,
    }
    rows = [{**row, "taskId": str(number)} for number in range(100)]
    status, answer = asked(house, "import_tasks", {"tasks": rows, "dry_run": True})
    assert (status, {it["status"] for it in answer["results"]}) == (207, {201})
    assert all(len(remark) < 700 for it in answer["results"] for remark in it["remarks"])
    rows = [{**row, "requestParam": {f"{number}{WIDE * 1000}": 1 for number in range(10)}} for _ in range(100)]
    status, answer = asked(house, "import_tasks", {"tasks": rows, "dry_run": True})
    assert (status, {it["status"] for it in answer["results"]}) == (207, {400})


@pytest.mark.parametrize("view", ["submit", "import_tasks", "add_task", "start_resend"])
def test_a_problem_quotes_the_beginning_of_a_long_name_only(view: str) -> None:
    house = House(KKBIDA_PREDECESSOR_API="1")
    name = WIDE * 30_000
    status, problem = asked(house, view, {name: 1, "url": PARTNER, "requestParam": {name: 1}})
    assert status == 400
    assert len(json.dumps(problem, ensure_ascii=False)) < 2000


def test_faults_are_listed_as_far_as_they_fit() -> None:
    faults = tuple(Fault(WIDE * 200, WIDE * 2000) for _ in range(1000))
    told = show.problem(InvalidRequest(faults=faults))
    assert 100 < len(told["errors"]) < 1000
    assert told["detail"].endswith("1000 faults; the first are listed")


def test_what_did_not_fit_into_a_task_is_counted() -> None:
    house = House()
    task_id = house.submit(PARTNER)
    detail = {"changes": {f"{number}": {"from": WIDE * 501, "to": WIDE * 501} for number in range(10)}}
    for number in range(60):
        house.world.store.note(evolve(AUDIT, at=NOON + number, subject=task_id, detail=detail))
    status, shown = asked(house, "look", path={"task_id": task_id})
    assert status == 200
    assert 0 < len(shown["audit"]) == 60 - shown["audit_left_out"] < 60
    assert shown["audit"][-1]["at"] == show.time(NOON + 59)


def test_an_answer_that_is_too_large_all_the_same_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    monkeypatch.setattr(show, "setting", lambda *_: {"name": WIDE * 50_000})
    status, problem = asked(house, "list_settings")
    assert (status, problem["code"]) == (500, "response_too_large")
    assert "6291556" in problem["detail"]
