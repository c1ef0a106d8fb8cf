"""The predecessor's clients, unchanged: what its SDK posts to /api/addTask, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from chalicelib import api, auth, operators
from chalicelib.call import Call
from chalicelib.errors import Unavailable
from chalicelib.keyring import FRESH
from chalicelib.ports import Outgoing
from chalicelib.shape import seconds
from chalicelib.signing import fingerprint
from chalicelib.task import evolve
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example"

USER = {"username": "admin", "password": "s3cret-of-java"}
JAVA = {
    "accept": "text/plain, application/json, application/*+json, */*",
    "content-type": "application/json;charset=UTF-8",
    "user-agent": "Java/1.8.0_191",
    "connection": "keep-alive",
}
"""What `RestTemplate` sends beside its content length and the host."""


def bean(**members: Any) -> dict[str, Any]:
    """Every field of CallBackTask, as Jackson writes it."""
    return {
        "taskId": None,
        "url": f"{PARTNER}/callback?city={{city}}",
        "requestMethod": "GET",
        "requestParam": {"city": "上海"},
        "sourceAppName": "orders",
        "targetAppName": "billing",
        "sourceIp": None,
        "expectResult": "success",
        "callCount": 0,
        "limitCallCount": 3,
        "createDate": None,
        "lastModifiedDate": None,
        "expireTimestamp": None,
        **members,
    }


class Old:
    """A closed house with a caller for the predecessor's clients."""

    def __init__(self, networks: tuple[str, ...] = ("192.0.2.0/24",), **variables: str) -> None:
        self.house = House(KKBIDA_OPEN_API="0", **variables)
        self.made = self.caller(networks=list(networks))

    def as_admin(self, view: str, body: Any = None, **parts: Any) -> tuple[int, Any]:
        closed = self.house.world.settings
        object.__setattr__(self.house.world, "settings", evolve(closed, open_api=True))
        try:
            return self.house.call(view, body, **parts)
        finally:
            object.__setattr__(self.house.world, "settings", closed)

    def caller(self, status: int = 201, **members: Any) -> dict[str, Any]:
        submitted = {"source_app": "*", "user_name": USER["username"], "password": USER["password"], **members}
        given, made = self.as_admin("create_caller", submitted)
        assert given == status, made
        self.house.clock.at += FRESH
        return dict(made)

    def add(self, task: Any, headers: Mapping[str, str] = USER, **parts: Any) -> tuple[int, Any]:
        return self.house.call("add_task", task, headers={**JAVA, **headers}, **parts)

    def added(self, **members: Any) -> str:
        status, task_id = self.add(bean(**members))
        assert status == 200, task_id
        return str(task_id)

    def look(self, task_id: str) -> Any:
        return self.as_admin("look", path={"task_id": task_id})[1]

    def sent(self) -> list[Outgoing]:
        return self.house.outside.sent_to(PARTNER)


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "COST", (4, 8, 1))


@pytest.fixture
def old() -> Old:
    return Old()


# ── what it answers ──────────────────────────────────────────────────────────────────────────────


def test_the_answer_is_the_task_id_and_nothing_else(old: Old) -> None:
    raw = json.dumps(bean(), ensure_ascii=False).encode()
    answer = api.answer(old.house.world, "add_task", Call(body=raw, headers={**JAVA, **USER}, address="192.0.2.7"))
    assert (answer.status, answer.headers) == (200, {"Content-Type": "text/plain;charset=UTF-8"})
    assert len(answer.text()) == 36
    assert str(UUID(answer.text())) == answer.text() == old.look(answer.text())["task_id"]


def test_a_task_looks_like_any_other(old: Old) -> None:
    task = old.look(old.added())
    assert (task["source_app"], task["target_app"], task["max_attempts"]) == ("orders", "billing", 3)
    assert task["expect"] == {"status": ["200"], "contains": "success"}
    assert task["retry"]["backoff"] == "fixed"
    assert (task["retry"]["initial"], task["timeout"]) == (60, old.house.world.settings.max_timeout)
    assert task["labels"] == {"submitted_by": "addTask", "source_ip": "192.0.2.7"}


def test_what_may_be_absent_may_be_absent_and_what_is_unknown_is_passed_over(old: Old) -> None:
    least = {"url": PARTNER, "requestMethod": "POST", "expectResult": "ok", "limitCallCount": 1}
    status, task_id = old.add({**least, "traceId": "added by a later SDK"})
    assert (status, old.look(task_id)["source_app"]) == (200, "default")


def test_blank_names_of_apps_count_as_absent(old: Old) -> None:
    task = old.look(old.added(sourceAppName=" ", targetAppName=""))
    assert (task["source_app"], task["target_app"]) == ("default", "default")


def test_what_the_predecessor_wrote_itself_changes_nothing(old: Old) -> None:
    of_its_own: Any = {
        "callCount": 2,
        "createDate": 1_000,
        "expireTimestamp": 4_102_444_800_000,
        "sourceIp": "10.0.0.1",
    }
    task = old.look(old.added(**of_its_own))
    assert (task["attempts_made"], task["scheduled"], task["labels"]["source_ip"]) == (0, False, "192.0.2.7")
    assert task["created_at"] == task["next_try_at"]


def test_a_task_id_makes_a_repetition_safe(old: Old) -> None:
    first = old.added(taskId="order-42")
    assert old.added(taskId="order-42") == first
    assert old.add(bean(taskId="order-42"), address="192.0.2.99") == (200, first), "from wherever it comes"
    status, told = old.add(bean(taskId="order-42", url=PARTNER, requestParam=None))
    assert (status, told[:6]) == (400, "任务添加失败")


# ── what it refuses ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        (USER, "198.51.100.1", 403),
        ({}, "198.51.100.1", 401),
        ({**USER, "password": "wrong"}, "198.51.100.1", 403),
        ({**USER, "password": "wrong"}, "192.0.2.7", 401),
        ({**USER, "password": "half a pair: \ud800"}, "192.0.2.7", 401),
        ({**USER, "username": "nobody"}, "192.0.2.7", 401),
        ({"username": "admin"}, "192.0.2.7", 401),
        ({"password": "s3cret-of-java"}, "192.0.2.7", 401),
        ({}, "192.0.2.7", 401),
        ({**USER, "x-forwarded-for": "192.0.2.7"}, "198.51.100.1", 403),
        ({**USER, "username": ""}, "192.0.2.7", 401),
        ({**USER, "password": "密码"}, "192.0.2.7", 401),
    ],
)
def test_who_may_not_is_told_nothing_but_the_status(
    old: Old, headers: Mapping[str, str], address: str, status: int
) -> None:
    assert old.add(bean(), headers, address=address) == (status, None)
    assert old.house.world.store.totals() == {}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": None}, "，url为空或url格式不正确 (url is missing)"),
        ({"url": "ftp://partner.example"}, "，url为空或url格式不正确 (url must begin with http:// or https://)"),
        ({"url": "https://"}, "，url为空或url格式不正确 (url names no host)"),
        ({"limitCallCount": 0}, "，最大重试次数不能为空且不能大于100 (limitCallCount must be from 1 to 100)"),
        ({"limitCallCount": 101}, "，最大重试次数不能为空且不能大于100 (limitCallCount must be from 1 to 100)"),
        ({"limitCallCount": None}, "，最大重试次数不能为空且不能大于100 (limitCallCount is missing)"),
        ({"requestMethod": None}, "，请求方式不能为空 (requestMethod is missing)"),
        ({"requestMethod": "PUT"}, "，请求方式不能为空 (requestMethod must be one of GET, POST)"),
        ({"expectResult": " "}, "，期待结果不能为空 (expectResult must not be blank)"),
        ({"expectResult": None}, "，期待结果不能为空 (expectResult is missing)"),
        ({"requestParam": {}}, "，请求参数不正确 (requestParam has no value for city of the url)"),
        ({"requestParam": {"city": None}}, "，请求参数不正确 (requestParam has no value for city of the url)"),
        ({"requestParam": None}, "，请求参数不正确 (requestParam has no value for city of the url)"),
        ({"requestMethod": "POST"}, "，请求参数不正确 (requestParam has no value for city of the url)"),
        ({"requestParam": "city"}, "，请求参数不正确 (requestParam must be an object, not a string)"),
        ({"sourceAppName": "x" * 101}, "，源服务名不正确 (sourceAppName must have 0 to 100 characters, and has 101)"),
        ({"targetAppName": 5}, "，目标服务名不正确 (targetAppName must be a string, not a number)"),
        ({"taskId": "订单"}, "，taskId不正确 (taskId must have visible ASCII characters only)"),
    ],
)
def test_what_is_wrong_with_a_task_is_told_in_words_that_its_client_can_show(
    old: Old, changes: dict[str, Any], told: str
) -> None:
    assert old.add(bean(**changes)) == (400, f"任务添加失败{told}")
    assert old.house.world.store.totals() == {}


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"", {}),
        (b"[]", {}),
        (b"null", {}),
        (b"{", {}),
        (b"x" * 300_000, {}),
        (b"{}", {"content-type": "application/x-www-form-urlencoded"}),
    ],
)
def test_what_is_no_task_is_refused_with_words_too(old: Old, raw: bytes, headers: dict[str, str]) -> None:
    status, told = old.add(None, {**USER, **headers}, raw=raw)
    assert (status, told[:6]) == (400, "任务添加失败")


def test_all_that_is_wrong_is_told_at_once(old: Old) -> None:
    told = old.add({})[1]
    assert [told.count(word) for word in ("url为空", "最大重试次数", "请求方式", "期待结果")] == [1, 1, 1, 1]


def test_when_it_cannot_be_stored_the_client_is_told_so(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(old.house.world.store, "add", full)
    assert old.add(bean()) == (503, None)


def test_it_can_be_switched_off() -> None:
    status, problem = Old(KKBIDA_PREDECESSOR_API="0").add(bean())
    assert (status, problem["code"]) == (404, "no_such_route")


# ── who may ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"password": None}, "/password"),
        ({"user_name": None, "source_app": "orders"}, "/user_name"),
        ({"user_name": None, "password": None}, "/source_app"),
        ({"password": " s3cret"}, "/password"),
        ({"user_name": "ad\nmin"}, "/user_name"),
        ({"password": ""}, "/password"),
    ],
)
def test_a_user_that_makes_no_sense_is_refused(old: Old, members: Any, pointer: str) -> None:
    problem = old.caller(400, **{"user_name": "another", **members})
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]


def test_no_two_users_have_one_name(old: Old) -> None:
    assert old.caller(409, password="another long one")["code"] == "name_taken"


def test_a_password_is_kept_as_a_hash_and_shown_to_nobody(old: Old) -> None:
    (kept,) = old.house.world.store.callers()
    assert USER["password"] not in repr(kept)
    assert operators.is_password(USER["password"], kept.password)
    shown = json.dumps([old.made, old.as_admin("list_callers")[1]])
    assert USER["password"] not in shown
    assert kept.password not in shown
    assert [it["user_name"] for it in old.as_admin("list_callers")[1]["callers"]] == ["admin"]
    assert USER["password"] not in repr(old.house.world.store.audits(kept.key_id))


def test_a_user_of_one_app_submits_for_that_app_only(old: Old) -> None:
    old.caller(user_name="billing", source_app="billing")
    as_billing = {**USER, "username": "billing"}
    assert old.look(old.add(bean(sourceAppName=None), as_billing)[1])["source_app"] == "billing"
    assert old.add(bean(sourceAppName="billing"), as_billing)[0] == 200
    status, told = old.add(bean(sourceAppName="orders"), as_billing)
    assert (status, "源服务名不正确" in told) == (400, True)


def test_a_user_without_the_right_to_submit_may_not(old: Old) -> None:
    old.caller(user_name="reader", scopes=["read"])
    assert old.add(bean(), {**USER, "username": "reader"}) == (403, None)


def test_each_user_may_call_from_its_own_networks_only(old: Old) -> None:
    old.caller(user_name="other", networks=["198.51.100.0/24"])
    assert old.add(bean(), address="198.51.100.1") == (403, None)
    assert old.add(bean(), {**USER, "password": "wrong"}, address="198.51.100.1") == (403, None), "it costs no hash"


def test_a_user_that_was_removed_is_refused_within_seconds(old: Old) -> None:
    old.added()
    assert old.as_admin("remove_caller", path={"key_id": old.made["key_id"]})[0] == 204
    assert old.add(bean()) == (401, None)


def test_a_name_beyond_ascii_is_read_as_utf_8_whichever_way_it_came(old: Old) -> None:
    old.caller(user_name="订单")
    assert old.add(bean(), {**USER, "username": "订单"})[0] == 200
    assert old.add(bean(), {**USER, "username": "订单".encode().decode("latin-1")})[0] == 200


def test_a_right_password_costs_its_hash_once_and_a_wrong_one_each_time(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    really = operators.is_password

    def counting(given: str, kept: str) -> bool:
        asked.append(given)
        return really(given, kept)

    monkeypatch.setattr(auth, "RECENT", auth.Recent())
    monkeypatch.setattr(operators, "is_password", counting)
    old.added()
    old.added()
    assert asked == ["s3cret-of-java"]
    for headers in ({**USER, "password": "no"}, {**USER, "password": "no"}, {**USER, "username": "nobody"}):
        assert old.add(bean(), headers)[0] == 401
    assert asked == ["s3cret-of-java", "no", "no"], "an unknown name costs none"
    old.house.clock.at += auth.Recent.SECONDS + 1
    old.added()
    assert asked[3:] == ["s3cret-of-java"]


def test_a_password_that_was_right_for_one_user_is_wrong_for_another(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "RECENT", auth.Recent())
    old.caller(user_name="another", password="another long one")
    old.added()
    assert old.add(bean(), {**USER, "username": "another"})[0] == 401


# ── guessing ─────────────────────────────────────────────────────────────────────────────────────


def guess(old: Old, times: int, name: str = "admin", address: str = "192.0.2.9") -> list[int]:
    """The statuses of so many wrong passwords."""
    headers = {"username": name, "password": "wrong"}
    return [old.add(bean(), headers, address=address)[0] for _ in range(times)]


def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process: it remembers no password."""
    monkeypatch.setattr(auth, "RECENT", auth.Recent())


@pytest.mark.parametrize("name", ["admin", "nobody"])
def test_after_some_tens_of_wrong_passwords_the_answer_is_to_wait(old: Old, name: str) -> None:
    assert guess(old, 21, name) == [401] * 20 + [429]
    raw = json.dumps(bean()).encode()
    call = Call(body=raw, headers={**JAVA, "username": name, "password": "wrong"}, address="192.0.2.9")
    answer = api.answer(old.house.world, "add_task", call)
    assert (answer.status, answer.text(), answer.headers) == (429, "", {"Retry-After": "1"})
    old.house.clock.at += 1
    assert guess(old, 2, name) == [401, 429]


def test_while_it_must_wait_no_password_is_hashed(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    guess(old, 20)
    monkeypatch.delattr(operators, "is_password")
    assert guess(old, 3) == [429] * 3


def test_wrong_passwords_of_one_user_are_counted_over_all_addresses(old: Old) -> None:
    statuses = [guess(old, 1, address=f"192.0.2.{number}")[0] for number in range(100, 122)]
    assert statuses == [401] * 20 + [429] * 2


def test_an_attack_from_elsewhere_does_not_keep_the_client_out(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    cold(monkeypatch)
    old.added()
    guess(old, 60)
    old.added()
    cold(monkeypatch)
    old.added()
    old.house.clock.at += 29 * 86_400
    guess(old, 60)
    cold(monkeypatch)
    old.added()


def test_a_client_at_the_address_of_the_attack_waits_a_minute_at_most(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold(monkeypatch)
    old.added()
    guess(old, 20, address="192.0.2.7")
    for _ in range(8):
        old.house.clock.at += 60
        assert guess(old, 1, address="192.0.2.7") == [401]
    old.added()
    cold(monkeypatch)
    assert old.add(bean())[0] == 429, "in a process that has not seen its password"
    old.house.clock.at += 60
    old.added()


def test_a_client_that_is_started_many_times_at_once_is_let_in(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try is counted before its password is looked at: here, others are made while one is."""
    cold(monkeypatch)
    really, depth = operators.is_password, []

    def during(given: str, kept: str) -> bool:
        depth.append(given)
        if len(depth) < 16:
            old.added()
        return really(given, kept)

    monkeypatch.setattr(operators, "is_password", during)
    old.added()
    assert len(depth) == 16


def test_wrong_passwords_are_in_the_audit_trail_without_what_was_tried(old: Old) -> None:
    guess(old, 3)
    guess(old, 3, "hunter2-as-a-name")
    audits = old.as_admin("list_audits")[1]["audits"]
    found = [(it["actor"], it["subject"], it["result"]) for it in audits if it["action"] == "add-task"]
    key_id = old.made["key_id"]
    assert sorted(found) == [(f"caller:{key_id}", key_id, "unauthorized"), ("nobody", "addTask", "unauthorized")]
    assert "wrong" not in json.dumps([it["detail"] for it in audits if it["action"] == "add-task"]).replace(
        "password is wrong", ""
    )
    assert "hunter2" not in json.dumps(audits)
    assert "admin" in json.dumps(audits)


def test_a_new_password_has_ten_characters_and_one_of_before_stays_good(old: Old) -> None:
    problem = old.caller(400, user_name="another", password="4711")
    assert problem["errors"] == [{"pointer": "/password", "detail": "must have 10 characters at least"}]
    store = old.house.world.store
    (kept,) = store.callers()
    short = operators.hash_password("4711", b"s" * 16)
    mark = fingerprint(old.house.world.keyring.make_secret("key_of_before").encode())
    store.add_caller(
        evolve(kept, key_id="key_of_before", user_name="before", password=short, fingerprint=mark),
        auth.entry(old.house.world, auth.NOBODY, "create-caller", "key_of_before"),
    )
    old.house.clock.at += FRESH
    assert old.add(bean(), {"username": "before", "password": "4711"})[0] == 200


def test_where_everybody_may_call_a_name_that_is_wrong_stays_wrong() -> None:
    house = House()
    assert house.call("add_task", bean())[0] == 200
    assert house.call("add_task", bean(), headers=USER) == (401, None)


# ── the whole life of a task ─────────────────────────────────────────────────────────────────────


def test_a_get_is_sent_every_minute_with_its_values_until_the_reply_says_success(old: Old) -> None:
    old.house.outside.answers[PARTNER] = in_turn(reply(200, "busy"), reply(201, "success"), reply(200, "a success!"))
    task_id = old.added(requestParam={"city": "上海 a&b", "unused": 1})
    old.house.pass_time(130)
    assert {(it.method, it.url, it.body) for it in old.sent()} == {
        ("GET", f"{PARTNER}/callback?city=%E4%B8%8A%E6%B5%B7%20a%26b", None)
    }
    assert {it.headers["Accept"] for it in old.sent()} == {JAVA["accept"]}
    task = old.look(task_id)
    assert (task["status"], task["attempts_made"]) == ("delivered", 3)
    reasons = [it["reason"] for it in task["attempts"]]
    assert reasons == ['body does not contain "success"', "status 201 not in 200", None]
    times = [seconds(it["started_at"]) for it in task["attempts"]]
    assert [at - times[0] for at in times] == [0, 60, 120]


def test_a_post_sends_its_parameters_as_json(old: Old) -> None:
    old.house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    params = {"order": 42, "paid": True, "note": None, "rows": [1, None, {"a": None, "b": "上海"}]}
    old.added(url=f"{PARTNER}/p", requestMethod="POST", requestParam=params)
    old.house.pass_time(1)
    (sent,) = old.sent()
    assert sent.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert json.loads(sent.body or b"") == {"order": 42, "paid": True, "rows": [1, None, {"b": "上海"}]}


@pytest.mark.parametrize(("params", "body"), [(None, None), ({}, b"{}")])
def test_a_post_without_parameters_has_no_body_and_one_with_none_an_empty_object(
    old: Old, params: Any, body: bytes | None
) -> None:
    old.house.outside.answers[PARTNER] = in_turn(reply(200, "success"))
    old.added(url=f"{PARTNER}/p", requestMethod="POST", requestParam=params)
    old.house.pass_time(1)
    assert [it.body for it in old.sent()] == [body]


def test_one_out_of_tries_is_told_to_dingtalk_in_the_old_words(old: Old) -> None:
    robot = "https://oapi.dingtalk.com/robot/send?access_token=t"
    old.house.outside.answers[PARTNER] = in_turn(reply(500, "success"))
    old.house.outside.answers[robot] = in_turn(reply(200, '{"errcode":0,"errmsg":"ok"}'))
    assert old.as_admin("create_channel", {"kind": "dingtalk", "url": robot, "gather": 0})[0] == 201
    task_id = old.added(url=f"{PARTNER}/p", requestMethod="POST", limitCallCount=2)
    old.house.pass_time(120)
    task = old.look(task_id)
    assert (task["status"], task["attempts_made"], task["because"]) == ("exhausted", 2, "all 2 attempts are used")
    (told,) = old.house.outside.sent_to(robot)
    text = json.loads(told.body or b"")["text"]["content"]
    assert text == (
        f"回调异常，taskId：{task_id}，url：{PARTNER}/p，发起时间：2025-12-01 12:00:05 UTC，"
        "源服务名：orders，目标服务名：billing，已达到最大重试次数：2"
    )
