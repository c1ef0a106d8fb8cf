"""The routes of signing secrets, and what receivers see of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib.errors import Unavailable
from chalicelib.keyring import FRESH, DerivedKeys
from chalicelib.ports import Outgoing
from chalicelib.vault import MemoryVault
from tests.conftest import Lines
from tests.house import House, in_turn, reply

PARTNER = "https://partner.example/callback"


@pytest.fixture
def house() -> House:
    """One of today: the library takes no old timestamps."""
    house = House()
    house.clock.at = time.time()
    house.outside.answers[PARTNER] = in_turn(reply(200, "ok"))
    return house


def make(house: House, source_app: str = "orders") -> dict[str, Any]:
    status, made = house.call("create_signing_secret", {"source_app": source_app})
    assert status == 201, made
    return dict(made)


def delivered(house: House, source_app: str = "orders", **members: Any) -> Outgoing:
    house.submit(PARTNER, source_app=source_app, **members)
    house.work()
    return house.outside.sent[-1]


def verify(secret: str, sent: Outgoing) -> Any:
    """What a receiver reads that trusts nobody. Raises WebhookVerificationError."""
    return Webhook(secret).verify(sent.body or b"", dict(sent.headers))


def test_the_deliveries_of_the_app_verify_and_those_of_others_are_not_signed(house: House) -> None:
    secret = make(house)["secret"]
    assert verify(secret, delivered(house, body={"order": 42, "city": "上海"})) == {"order": 42, "city": "上海"}
    assert "webhook-signature" not in delivered(house, "parcels").headers
    with pytest.raises(WebhookVerificationError):
        verify(make(house, "parcels")["secret"], delivered(house, body={}))


def test_each_try_is_signed_for_its_own_moment(house: House) -> None:
    secret = make(house)["secret"]
    house.outside.answers[PARTNER] = in_turn(reply(500, "no"), reply(200, "ok"))
    house.submit(PARTNER, source_app="orders", body={"n": 1}, retry={"schedule": [30]})
    house.pass_time(31)
    first, second = house.outside.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert [verify(secret, sent) for sent in (first, second)] == [{"n": 1}, {"n": 1}]


def test_a_request_without_a_body_is_signed_too(house: House) -> None:
    secret = make(house)["secret"]
    sent = delivered(house, method="GET", params={"order": 42})
    Webhook(secret).verify(sent.body or b"", dict(sent.headers), json_parse=False)


def test_while_there_are_two_secrets_whoever_knows_one_can_verify(house: House) -> None:
    old, new = make(house), make(house)
    sent = delivered(house, body={"order": 42})
    assert len(sent.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        verify(secret["secret"], sent)
    assert house.call("remove_signing_secret", path={"secret_id": old["secret_id"]})[0] == 204
    sent = delivered(house, body={"order": 43})
    verify(new["secret"], sent)
    with pytest.raises(WebhookVerificationError):
        verify(old["secret"], sent)


def test_a_third_secret_is_refused(house: House) -> None:
    make(house), make(house)
    status, problem = house.call("create_signing_secret", {"source_app": "orders"})
    assert (status, problem["code"]) == (409, "too_many")
    make(house, "parcels")


def test_the_key_is_shown_once_and_neither_stored_nor_logged(house: House, logged: Lines) -> None:
    made = make(house)
    delivered(house)
    shown = house.call("list_signing_secrets")[1]["signing_secrets"]
    assert shown == [{name: value for name, value in made.items() if name != "secret"}]
    key = made["secret"].removeprefix("whsec_")
    database = house.world.store.database  # type: ignore[attr-defined]
    dump = "\n".join(database.read(lambda connection: list(connection.iterdump())))
    assert made["secret_id"] in dump
    assert key not in dump
    assert key not in json.dumps(logged())


def test_secrets_are_listed_by_app(house: House) -> None:
    make(house), make(house, "parcels")
    status, body = house.call("list_signing_secrets", query={"source_app": ["parcels"]})
    assert (status, [it["source_app"] for it in body["signing_secrets"]]) == (200, ["parcels"])


def test_what_was_done_to_a_secret_is_audited(house: House) -> None:
    secret_id = make(house)["secret_id"]
    house.call("remove_signing_secret", path={"secret_id": secret_id})
    entries = house.world.store.audits(secret_id)
    assert [(it.action, it.actor, it.address) for it in entries] == [
        ("create-signing-secret", "anyone", "192.0.2.7"),
        ("remove-signing-secret", "anyone", "192.0.2.7"),
    ]
    assert house.call("remove_signing_secret", path={"secret_id": secret_id})[0] == 404


def test_a_secret_is_for_an_app_that_is_named(house: House) -> None:
    assert house.call("create_signing_secret", {})[0] == 400


# ── what is read, and when ───────────────────────────────────────────────────────────────────────


class Counting:
    """A store that counts how often it is asked for signing secrets, and may fail."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.asked = 0
        self.fails = False

    def signing_secrets(self) -> Any:
        self.asked += 1
        if self.fails:
            raise Unavailable("The table cannot serve this just now.")
        return self._store.signing_secrets()  # type: ignore[attr-defined]


def test_the_secrets_are_read_once_in_some_seconds_and_the_master_key_only_where_there_are_any(house: House) -> None:
    store = Counting(house.world.store)
    ring = DerivedKeys(store, MemoryVault(), house.clock)  # type: ignore[arg-type]
    for _ in range(100):
        assert ring.keys() == {}
    assert store.asked == 1
    house.clock.at += FRESH
    ring.keys()
    house.clock.at -= 1000
    ring.keys()
    assert store.asked == 3, "a clock that was set back makes nobody wait"


def test_without_the_secrets_no_attempt_begins_and_none_is_used_up(house: House) -> None:
    secret = make(house)["secret"]
    store = Counting(house.world.store)
    store.fails = True
    kept = house.world.keyring
    object.__setattr__(house.world, "keyring", DerivedKeys(store, MemoryVault(), house.clock))  # type: ignore[arg-type]
    task_id = house.submit(PARTNER, source_app="orders", body={}, retry={"max_attempts": 1})
    house.work()
    assert house.look(task_id)["attempts"] == []
    object.__setattr__(house.world, "keyring", kept)
    house.pass_time(31)
    assert house.look(task_id)["status"] == "delivered"
    verify(secret, house.outside.sent[-1])


def test_a_secret_whose_master_key_is_gone_signs_nothing_and_says_so(house: House, logged: Lines) -> None:
    made = make(house)
    none, other = MemoryVault(), MemoryVault()
    other.make()
    for vault in (none, other):
        assert DerivedKeys(house.world.store, vault, house.clock).keys() == {}
    void = [line["secret_id"] for line in logged() if line["message"] == "signing_secret.void"]
    assert void == [made["secret_id"]] * 2
