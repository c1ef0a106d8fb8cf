"""Callers: made and shown once, known by their signatures, kept to their app, their scopes and their networks."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib import api
from chalicelib.api import ROUTES
from chalicelib.auth import WINDOW
from chalicelib.call import Call
from chalicelib.embedded import EmbeddedStore
from chalicelib.keyring import FRESH, MAX_READS_AT_ONCE, DerivedKeys
from chalicelib.settings import Settings
from chalicelib.task import Caller, evolve
from chalicelib.vault import MemoryVault
from tests.conftest import Lines
from tests.house import House
from tests.signer import ALWAYS, Signer, digest_of

PARTNER = "https://partner.example/callback"
TASK = {"url": PARTNER, "body": {"order": 42}}
STAGE = "/prod"


class Here:
    """A closed house, and a caller in it."""

    def __init__(self) -> None:
        self.house = House(KKBIDA_OPEN_API="0")
        self.me = self.caller("orders")

    def caller(self, source_app: str, **members: Any) -> Signer:
        """A new caller, made by somebody who may."""
        made = self.make({"source_app": source_app, **members})
        return Signer(key_id=made["key_id"], secret=made["secret"])

    def make(self, submitted: Mapping[str, Any]) -> dict[str, Any]:
        status, made = self.as_admin("create_caller", submitted)
        assert status == 201, made
        self.house.clock.at += 1  # they are listed by when they were made
        return dict(made)

    def as_admin(self, view: str, body: Any = None, **parts: Any) -> tuple[int, Any]:
        closed = self.house.world.settings
        object.__setattr__(self.house.world, "settings", _open(closed))
        try:
            return self.house.call(view, body, **parts)
        finally:
            object.__setattr__(self.house.world, "settings", closed)

    def ask(
        self,
        view: str,
        body: Any = None,
        *,
        by: Signer | None = None,
        path: Mapping[str, str] | None = None,
        query: str = "",
        asked: Mapping[str, list[str]] | None = None,
        came: Mapping[str, Any] | None = None,
        nonce: str = "n-1",
        **signing: Any,
    ) -> tuple[int, Any]:
        """A signed call; `came`: what came in another way than it was sent."""
        route = ROUTES[view]
        raw = b"" if body is None else json.dumps(body).encode()
        url_path = STAGE + route.path.format(**(path or {}))
        signing.setdefault("created", self.house.clock.at)
        headers = (by or self.me).sign(route.method, url_path, query=query, body=raw, nonce=nonce, **signing)
        parts = {"headers": headers, "raw": raw, "url_path": url_path, "path": path or {}, "query": asked or {}}
        return self.house.call(view, **{**parts, **(came or {})})


def _open(settings: Settings) -> Settings:
    return evolve(settings, open_api=True)


@pytest.fixture
def here() -> Here:
    return Here()


# ── they are made, and removed ───────────────────────────────────────────────────────────────────


def test_a_caller_is_shown_with_its_secret_once(here: Here) -> None:
    made = here.make({"source_app": "billing", "scopes": ["read"], "networks": ["10.0.0.0/8"], "memo": "the ERP"})
    assert made["secret"].startswith("kks_")
    listed = here.as_admin("list_callers")[1]["callers"][-1]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert (listed["source_app"], listed["scopes"], listed["networks"], listed["memo"]) == (
        "billing",
        ["read"],
        ["10.0.0.0/8"],
        "the ERP",
    )
    assert listed["created_by"] == "anyone"


def test_its_secret_is_in_no_record(here: Here) -> None:
    kept = here.house.world.store.callers()
    assert here.me.secret not in repr(kept)
    assert [it.fingerprint for it in kept] == [here.as_admin("list_callers")[1]["callers"][0]["fingerprint"]]


def test_a_caller_has_every_scope_unless_said(here: Here) -> None:
    assert here.make({"source_app": "billing"})["scopes"] == ["submit", "read", "resend"]


@pytest.mark.parametrize(
    ("submitted", "pointer"),
    [
        ({}, "/source_app"),
        ({"source_app": "a", "scopes": ["admin"]}, "/scopes/0"),
        ({"source_app": "a", "networks": ["10.0.0.1/8"]}, "/networks/0"),
        ({"source_app": "a", "networks": ["10.0.0.0/8", "here"]}, "/networks/1"),
        ({"source_app": "a", "secret": "mine"}, "/secret"),
    ],
)
def test_a_caller_that_makes_no_sense_is_refused(here: Here, submitted: Any, pointer: str) -> None:
    status, problem = here.as_admin("create_caller", submitted)
    assert (status, [fault["pointer"] for fault in problem["errors"]]) == (400, [pointer])
    assert len(here.house.world.store.callers()) == 1


def test_there_are_no_more_than_each_process_can_keep_in_mind(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.admin.MOST_CALLERS", 2)
    here.make({"source_app": "billing"})
    assert here.as_admin("create_caller", {"source_app": "parcels"})[1]["code"] == "too_many"


def test_two_keys_of_one_app_are_good_at_a_time_and_mean_the_same_tasks(here: Here) -> None:
    other = here.caller("orders")
    first = here.ask("submit", TASK, headers={"idempotency-key": "order-42"})[1]
    again = here.ask("submit", TASK, by=other, nonce="n-2", headers={"idempotency-key": "order-42"})[1]
    assert first["task_id"] == again["task_id"]


def test_a_caller_that_was_removed_is_refused_within_seconds(here: Here) -> None:
    assert here.ask("list_tasks")[0] == 200
    assert here.as_admin("remove_caller", path={"key_id": here.me.key_id}) == (204, None)
    assert here.as_admin("remove_caller", path={"key_id": here.me.key_id})[0] == 404
    assert here.ask("list_tasks")[1]["code"] == "signature_wrong"


class Counting:
    """The store, and how often it was asked for all callers."""

    def __init__(self, here: Here) -> None:
        self._store = here.house.world.store
        self.asked = 0

    def callers(self) -> list[Caller]:
        self.asked += 1
        return self._store.callers()


def elsewhere(here: Here) -> tuple[DerivedKeys, Counting]:
    """The keyring of another process, which has just read all callers."""
    store = Counting(here)
    ring = DerivedKeys(store, here.house.world.keyring._vault, here.house.clock)  # type: ignore[arg-type,attr-defined]
    ring.callers()
    return ring, store


def test_a_key_that_another_process_has_made_is_known_at_once(here: Here) -> None:
    ring, _ = elsewhere(here)
    made = here.make({"source_app": "billing"})
    found = ring.caller(made["key_id"])
    assert found is not None
    assert found[1] == made["secret"]


def test_so_is_a_user_name(here: Here) -> None:
    ring, _ = elsewhere(here)
    here.make({"source_app": "billing", "user_name": "old", "password": "long enough for it"})
    assert getattr(ring.caller_named("old"), "source_app", "") == "billing"


def test_a_key_that_another_process_has_removed_is_refused_within_five_seconds(here: Here) -> None:
    ring, _ = elsewhere(here)
    here.as_admin("remove_caller", path={"key_id": here.me.key_id})
    here.house.clock.at += FRESH
    assert ring.caller(here.me.key_id) is None


def test_a_flood_of_unknown_keys_is_no_flood_of_reads(here: Here) -> None:
    ring, store = elsewhere(here)
    for number in range(1000):
        assert ring.caller(f"key_{number:024x}") is None
        assert ring.caller_named(f"name-{number}") is None
    assert store.asked == 1 + MAX_READS_AT_ONCE
    for second in range(4):
        here.house.clock.at += 1
        for number in range(1000):
            ring.caller(f"key_{second:012x}{number:012x}")
    assert store.asked == 1 + MAX_READS_AT_ONCE + 4


def test_the_same_unknown_key_is_looked_up_once_in_five_seconds(here: Here) -> None:
    ring, store = elsewhere(here)
    for _ in range(100):
        ring.caller(f"key_{7:024x}")
    assert store.asked == 2
    here.house.clock.at += FRESH
    ring.caller(f"key_{7:024x}")
    assert store.asked == 4, "all are read anew, and then this one is looked up"


@pytest.mark.parametrize("key_id", ["", "key_", "key_" + "G" * 24, "x" * 10_000, "key_" + "0" * 25])
def test_what_is_no_key_id_is_not_looked_up(here: Here, key_id: str) -> None:
    ring, store = elsewhere(here)
    assert ring.caller(key_id) is None
    assert store.asked == 1


def test_what_is_read_while_a_key_is_made_is_not_remembered(here: Here) -> None:
    """The read began before the key was there, and ended after."""
    ring = here.house.world.keyring
    store = here.house.world.store
    late: list[str] = []

    def callers() -> list[Caller]:
        found = EmbeddedStore.callers(store)  # type: ignore[arg-type]
        if not late:
            late.append("")
            late.append(here.make({"source_app": "late"})["key_id"])
        return found

    store.callers = callers  # type: ignore[method-assign]
    here.house.clock.at += FRESH
    ring.callers()
    assert late[1] in ring.callers()


def test_a_caller_whose_master_key_is_gone_is_void_and_said_so(here: Here, logged: Lines) -> None:
    other = MemoryVault()
    other.make()
    for vault in (MemoryVault(), other):
        assert DerivedKeys(here.house.world.store, vault, here.house.clock).callers() == {}
    assert [line["key_id"] for line in logged() if line["message"] == "caller.void"] == [here.me.key_id] * 2


def test_a_secret_of_a_caller_has_nothing_to_do_with_a_signing_secret_of_the_same_id() -> None:
    keyring = House().world.keyring
    assert base64.urlsafe_b64encode(keyring.make("it")).decode().rstrip("=") not in keyring.make_secret("it")


def test_making_and_removing_one_is_audited_without_its_secret(here: Here) -> None:
    here.as_admin("remove_caller", path={"key_id": here.me.key_id})
    made, removed = here.house.world.store.audits(here.me.key_id)
    assert (made.action, made.actor, made.address) == ("create-caller", "anyone", "192.0.2.7")
    assert removed.action == "remove-caller"
    assert here.me.secret not in repr((made, removed))


# ── what is signed rightly is taken ──────────────────────────────────────────────────────────────


def test_a_signed_task_is_taken_and_belongs_to_the_app(here: Here) -> None:
    status, taken = here.ask("submit", TASK)
    assert status == 202
    assert here.ask("look", path=taken and {"task_id": taken["task_id"]}, nonce="n-2")[1]["source_app"] == "orders"


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("status=exhausted&limit=5", {"status": ["exhausted"], "limit": ["5"]}),
        ("limit=5&status=exhausted", {"status": ["exhausted"], "limit": ["5"]}),
        ("q=a%20b", {"q": ["a b"]}),
        ("q=a+b", {"q": ["a b"]}),
        ("q=%E4%B8%8A%E6%B5%B7", {"q": ["上海"]}),
        ("since=2026-01-01T00:00:00Z", {"since": ["2026-01-01T00:00:00Z"]}),
        ("since=2026-01-01T00%3A00%3A00Z", {"since": ["2026-01-01T00:00:00Z"]}),
    ],
)
def test_a_query_may_be_written_in_the_usual_ways(here: Here, query: str, asked: Any) -> None:
    assert here.ask("list_tasks", query=query, asked=asked)[0] == 200


def test_more_may_be_signed_than_must_be(here: Here) -> None:
    headers = here.me.sign(
        "GET",
        "/v1/tasks",
        created=here.house.clock.at,
        headers={"x-mark": "1"},
        covered=(*ALWAYS, "x-mark"),
        extra=f';expires={int(here.house.clock.at) + 60};alg="hmac-sha256"',
    )
    assert here.house.call("list_tasks", headers=headers, url_path="/v1/tasks")[0] == 200


@pytest.mark.parametrize("late", [-300, 300])
def test_a_clock_may_be_wrong_by_five_minutes(here: Here, late: float) -> None:
    assert here.ask("list_tasks", created=here.house.clock.at - late)[0] == 200


# ── what is not, is refused ──────────────────────────────────────────────────────────────────────

OTHER_BODY = json.dumps({**TASK, "url": "https://elsewhere.example/"}).encode()


def _unquoted(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "signature-input": headers["signature-input"].replace('"', "")}


@pytest.mark.parametrize(
    ("what", "changes", "status", "code"),
    [
        (
            "the method is not covered",
            {"covered": ("@path", "@query", "content-digest", "content-type")},
            401,
            "signature_incomplete",
        ),
        (
            "the path is not covered",
            {"covered": ("@method", "@query", "content-digest", "content-type")},
            401,
            "signature_incomplete",
        ),
        (
            "the query is not covered",
            {"covered": ("@method", "@path", "content-digest", "content-type")},
            401,
            "signature_incomplete",
        ),
        (
            "the body is not covered",
            {"covered": ("@method", "@path", "@query", "content-type")},
            401,
            "signature_incomplete",
        ),
        (
            "its type is not covered",
            {"covered": ("@method", "@path", "@query", "content-digest")},
            401,
            "signature_incomplete",
        ),
        ("nothing is covered", {"covered": ()}, 401, "signature_incomplete"),
        (
            "something is covered twice",
            {"covered": (*ALWAYS, "content-digest", "content-type", "@path")},
            401,
            "signature_incomplete",
        ),
        ("another algorithm", {"extra": ';alg="rsa-v1_5-sha256"'}, 401, "signature_incomplete"),
        ("no nonce", {"nonce": ""}, 401, "signature_incomplete"),
        ("a nonce without end", {"nonce": "n" * 129}, 401, "signature_incomplete"),
        ("too late", {"created": -301}, 401, "signature_stale"),
        ("too early", {"created": 301}, 401, "signature_stale"),
        ("expired", {"extra": ";expires=1"}, 401, "signature_stale"),
        ("an expiry that is no time", {"extra": ';expires="soon"'}, 401, "signature_incomplete"),
        ("another body", {"came": {"raw": OTHER_BODY}}, 401, "digest_wrong"),
        ("a truncated body", {"came": {"raw": json.dumps(TASK).encode()[:-1]}}, 401, "digest_wrong"),
        ("another path", {"came": {"url_path": "/prod/v1/tasks/batch"}}, 401, "signature_wrong"),
        ("another stage", {"came": {"url_path": "/test/v1/tasks"}}, 401, "signature_wrong"),
        ("no stage", {"came": {"url_path": "/v1/tasks"}}, 401, "signature_wrong"),
        ("a digest of no known kind", {"headers": {"content-digest": "md5=:YQ==:"}}, 401, "digest_wrong"),
        ("an empty digest", {"headers": {"content-digest": ""}}, 401, "digest_wrong"),
        (
            "one right digest and a wrong one",
            {"headers": {"content-digest": f"{digest_of(json.dumps(TASK).encode())}, sha-512=:YQ==:"}},
            401,
            "digest_wrong",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_that_is_not_signed_rightly_is_refused(
    here: Here, what: str, changes: dict[str, Any], status: int, code: str
) -> None:
    if "created" in changes:
        changes = {**changes, "created": here.house.clock.at + changes["created"]}
    got, problem = here.ask("submit", TASK, **changes)
    assert (got, problem["code"]) == (status, code), what
    assert here.house.world.store.totals() == {}, "nothing was stored"
    assert here.me.secret not in json.dumps(problem)


@pytest.mark.parametrize(("ago", "status"), [(0, 202), (59, 202), (61, 401)])
def test_expires_may_be_the_moment_of_a_clock_that_is_a_minute_behind(here: Here, ago: int, status: int) -> None:
    now = int(here.house.clock.at)
    assert here.ask("submit", TASK, created=now - 100, extra=f";expires={now - ago}")[0] == status


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("signature", None, "signature_incomplete"),
        ("signature-input", None, "signature_incomplete"),
        ("signature", "sig1=:AAAA:", "signature_wrong"),
        ("signature", "sig1=:AAA:", "signature_incomplete"),
        ("signature", "sig2=:AAAA:", "signature_incomplete"),
        ("signature", "", "signature_incomplete"),
        ("signature", "sig1=:AAAA:, sig1=:AAAA:", "signature_incomplete"),
        ("signature-input", "sig1=()", "signature_incomplete"),
        ("signature-input", "x" * 10_000, "signature_incomplete"),
        ("content-type", "text/plain", "signature_wrong"),
    ],
)
def test_headers_that_came_otherwise_than_they_were_sent_are_refused(
    here: Here, name: str, value: str | None, code: str
) -> None:
    raw = json.dumps(TASK).encode()
    headers = here.me.sign("POST", "/v1/tasks", body=raw, created=here.house.clock.at)
    changed = {key: text for key, text in {**headers, name: value}.items() if text is not None}
    status, problem = here.house.call("submit", raw=raw, headers=changed, url_path="/v1/tasks")
    assert (status, problem["code"]) == (401, code)


def test_a_forged_signature_and_an_unknown_key_are_told_apart_by_nobody(here: Here) -> None:
    forger = Signer(key_id=here.me.key_id, secret="kks_guess")
    stranger = Signer(key_id="key_000000000000000000000000", secret=here.me.secret)
    forged, unknown = here.ask("submit", TASK, by=forger), here.ask("submit", TASK, by=stranger)
    assert forged[0] == unknown[0] == 401
    told = [answer[1]["detail"].replace(by.key_id, "") for answer, by in ((forged, forger), (unknown, stranger))]
    assert told[0] == told[1]


def test_a_wrong_query_is_refused(here: Here) -> None:
    sent: Any = {"query": "status=delivered", "asked": {"status": ["exhausted"]}}
    assert here.ask("list_tasks", **sent)[1]["code"] == "signature_wrong"
    assert here.ask("list_tasks", query="", asked={"status": ["exhausted"]})[1]["code"] == "signature_wrong"


def test_an_idempotency_key_that_is_not_signed_is_refused(here: Here) -> None:
    covered = (*ALWAYS, "content-digest", "content-type")
    answer = here.ask("submit", TASK, headers={"idempotency-key": "k"}, covered=covered)
    assert answer[1]["code"] == "signature_incomplete"


def test_what_is_not_signed_is_refused(here: Here) -> None:
    status, problem = here.house.call("submit", TASK)
    assert (status, problem["code"]) == (401, "unauthorized")


def test_a_signature_that_is_wrong_does_not_become_right_because_the_api_is_open() -> None:
    here = Here()
    forger = Signer(key_id=here.me.key_id, secret="kks_guess")
    headers = forger.sign("GET", "/v1/tasks", created=here.house.clock.at)
    assert here.as_admin("list_tasks", headers=headers, url_path="/v1/tasks")[0] == 401


# ── the same request again ───────────────────────────────────────────────────────────────────────


def test_a_replayed_submission_is_the_same_task(here: Here) -> None:
    first, again = here.ask("submit", TASK), here.ask("submit", TASK)
    assert first[1]["task_id"] == again[1]["task_id"]
    assert here.house.world.store.totals()["accepted"] == 1


def test_a_replayed_batch_makes_no_second_task(here: Here) -> None:
    batch = {"tasks": [TASK, TASK, {**TASK, "idempotency_key": "mine"}, "nonsense"]}
    first, again = (here.ask("submit_batch", batch)[1]["results"] for _ in range(2))
    ids = [[it.get("task", {}).get("task_id") for it in results] for results in (first, again)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4
    assert here.house.world.store.totals()["accepted"] == 3


def test_the_same_nonce_of_two_keys_of_an_app_makes_two_tasks(here: Here) -> None:
    other = here.caller("orders")
    mine, theirs = here.ask("submit", TASK), here.ask("submit", TASK, by=other)
    assert (mine[0], theirs[0]) == (202, 202)
    assert mine[1]["task_id"] != theirs[1]["task_id"]
    batch = {"tasks": [TASK]}
    batches = [here.ask("submit_batch", batch, by=by, nonce="b")[1]["results"] for by in (here.me, other)]
    assert len({results[0]["task"]["task_id"] for results in batches}) == 2


def test_another_replayed_action_is_refused(here: Here) -> None:
    task_id = here.ask("submit", TASK)[1]["task_id"]
    path = {"task_id": task_id}
    assert here.ask("cancel", path=path, nonce="n-2")[0] == 200
    assert here.ask("resend", path=path, nonce="n-3")[0] == 202
    assert here.ask("cancel", path=path, nonce="n-4")[0] == 200
    assert here.ask("resend", path=path, nonce="n-3")[1]["code"] == "replayed"
    assert here.ask("look", path=path)[1]["round"] == 2


def test_a_nonce_is_remembered_for_as_long_as_its_signature_is_fresh(here: Here) -> None:
    path = {"task_id": here.ask("submit", TASK)[1]["task_id"]}
    ahead = here.house.clock.at + WINDOW
    assert here.ask("deliver_now", path=path, nonce="n", created=ahead)[0] == 202
    here.house.clock.at = ahead + WINDOW
    here.house.world.store.sweep(here.house.clock.at, 100)  # type: ignore[attr-defined]  # as the local run does
    assert here.ask("deliver_now", path=path, nonce="n", created=ahead)[1]["code"] == "replayed"
    here.house.clock.at += 1
    assert here.ask("deliver_now", path=path, nonce="n", created=ahead)[1]["code"] == "signature_stale"


def test_two_callers_may_have_the_same_nonce(here: Here) -> None:
    other = here.caller("orders")
    path = {"task_id": here.ask("submit", TASK)[1]["task_id"]}
    assert here.ask("deliver_now", path=path, nonce="n")[0] == 202
    assert here.ask("deliver_now", path=path, nonce="n", by=other)[0] == 202


# ── what a caller may ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scope", ["submit", "read", "resend"])
def test_a_caller_may_what_its_scopes_say_and_nothing_else(here: Here, scope: str) -> None:
    mine = here.ask("submit", TASK)[1]["task_id"]
    caller = here.caller("orders", scopes=[scope])
    may = {
        "submit": {"submit", "submit_batch"},
        "read": {"look", "list_attempts", "list_tasks"},
        "resend": {"resend", "cancel", "deliver_now"},
    }
    for number, (view, route) in enumerate(ROUTES.items()):
        if route.right is not None and not route.as_before:
            ids = dict.fromkeys(route.ids, mine)
            status, problem = here.ask(view, by=caller, path=ids, nonce=f"n-{number}")
            assert (status == 403) == (view not in may[scope]), (view, problem)


def test_a_caller_acts_for_its_own_app_only(here: Here) -> None:
    other = here.caller("billing")
    theirs = here.ask("submit", TASK, by=other)[1]["task_id"]
    assert here.ask("submit", {**TASK, "source_app": "billing"})[1]["code"] == "forbidden"
    assert here.ask("submit", {**TASK, "source_app": "orders"})[0] == 202
    for number, view in enumerate(("look", "resend", "cancel", "deliver_now")):
        assert here.ask(view, path={"task_id": theirs}, nonce=f"t-{number}")[0] == 404, "not even that it exists"
    asked: Any = {"query": "source_app=billing", "asked": {"source_app": ["billing"]}}
    assert here.ask("list_tasks", **asked)[1]["code"] == "forbidden"
    listed = here.ask("list_tasks")[1]["tasks"]
    assert {it["source_app"] for it in listed} == {"orders"}


def test_a_task_of_another_app_in_a_batch_is_refused_by_itself(here: Here) -> None:
    batch = {"tasks": [TASK, {**TASK, "source_app": "billing"}]}
    statuses = [it["status"] for it in here.ask("submit_batch", batch)[1]["results"]]
    assert statuses == [202, 403]


def test_idempotency_keys_of_two_apps_have_nothing_to_do_with_each_other(here: Here) -> None:
    other = here.caller("billing")
    keyed: Any = {"headers": {"idempotency-key": "42"}}
    assert here.ask("submit", TASK, **keyed)[1]["task_id"] != here.ask("submit", TASK, by=other, **keyed)[1]["task_id"]


@pytest.mark.parametrize(
    ("networks", "address", "taken"),
    [
        (["192.0.2.0/24"], "192.0.2.7", True),
        (["198.51.100.0/24", "192.0.2.7/32"], "192.0.2.7", True),
        (["192.0.2.0/29"], "192.0.2.8", False),
        (["0.0.0.0/32"], "10.0.0.0", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
        (["192.0.2.0/24"], "2001:db8::1", False),
        (["192.0.2.0/24"], "", False),
        ([], "", True),
    ],
)
def test_a_caller_may_call_from_its_networks_only(here: Here, networks: list[str], address: str, taken: bool) -> None:
    caller = here.caller("orders", networks=networks)
    headers = caller.sign("GET", "/v1/tasks", created=here.house.clock.at, headers={"x-forwarded-for": "192.0.2.7"})
    call = Call(headers=headers, url_path="/v1/tasks", address=address)
    answer = api.answer(here.house.world, "list_tasks", call)
    assert answer.status == (200 if taken else 403)
    assert taken or answer.body["code"] == "wrong_network"
