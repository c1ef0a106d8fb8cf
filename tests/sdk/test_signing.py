"""Signatures of requests: held to RFC 9421's own example, and to a library that knows nothing of ours."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from hypothesis import given
from hypothesis import strategies as st

from kkbida import AsyncClient, CallerKey, Client, Filter, Patience, Task, operations
from kkbida.signing import base, signature, signed
from kkbida.wire import Request
from tests.sdk.conftest import KEY_ID, SECRET, Came, Said, Scripted, shown_task

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=50)


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, secrets: dict[str, str]) -> None:
        self.secrets = secrets

    def resolve_public_key(self, key_id: str) -> bytes:
        return self.secrets[key_id].encode()


@dataclass
class Message:
    """A request as the library looks at it."""

    method: str
    url: str
    headers: dict[str, str]


def verified(message: Message, body: bytes, secrets: dict[str, str] | None = None) -> dict[str, Any]:
    """What the library says is covered. Raises what it raises."""
    keys = Keys(secrets or {KEY_ID: SECRET})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)
    [result] = verifier.verify(message, max_age=timedelta(days=36_500), body=body or None)
    return dict(result.covered_components)


def as_message(request: Request) -> Message:
    return Message(request.method, f"https://kkbida.example{request.location}", dict(request.headers))


REQUESTS = st.builds(
    lambda body, key, query, task_id: Request(
        method="POST" if body else "GET",
        path="/prod/v1/tasks",
        route="/v1/tasks",
        query=query,
        headers={"content-type": "application/json", "idempotency-key": key} if body else {"x-else": task_id},
        body=body or None,
    ),
    st.binary(max_size=50),
    VISIBLE,
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    VISIBLE,
)


def test_the_example_of_the_rfc_is_signed_as_it_says() -> None:
    key = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
    covered = {"date": "Tue, 20 Apr 2021 02:07:55 GMT", "@authority": "example.com", "content-type": "application/json"}
    parameters = ';created=1618884473;keyid="test-shared-secret"'
    assert base(covered, parameters).decode().splitlines() == [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@authority": example.com',
        '"content-type": application/json',
        '"@signature-params": ("date" "@authority" "content-type")' + parameters,
    ]
    assert signature(key, covered, parameters) == ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"


VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "signing-vectors.json").read_text())["requests"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_requests_of_the_page_on_signing_are_signed_as_it_says(vector: dict[str, Any]) -> None:
    parts = urlsplit(vector["url"])
    sent = {name: text for name, text in vector["headers"].items() if name in ("content-type", "idempotency-key")}
    body = vector["body"].encode() if vector["body"] else None
    request = Request(vector["method"], parts.path, "", query=dict(parse_qsl(parts.query)), headers=sent, body=body)
    by = {name: vector[name] for name in ("key_id", "secret", "created", "nonce")}
    assert signed(request, **by).headers == vector["headers"]


def test_a_signed_request_says_what_it_covers_in_this_very_order() -> None:
    task = replace(Task("https://partner.example"), idempotency_key="order-42")
    request = signed(
        operations.submit(task).request("/prod"), key_id='key_"7', secret=SECRET, created=1_700_000_000, nonce="n-1"
    )
    assert request.headers["signature-input"] == (
        'sig1=("@method" "@path" "@query" "content-digest" "content-type" "idempotency-key")'
        ';created=1700000000;nonce="n-1";keyid="key_\\"7";alg="hmac-sha256"'
    )


@given(REQUESTS, VISIBLE, VISIBLE)
def test_another_library_verifies_what_we_sign(request: Request, key_id: str, secret: str) -> None:
    ours = signed(request, key_id=key_id, secret=secret, created=1_700_000_000, nonce="n")
    covered = verified(as_message(ours), ours.body or b"", {key_id: secret})
    names = {'"@method"', '"@path"', '"@query"'}
    names |= {'"content-digest"', '"content-type"', '"idempotency-key"'} if ours.body else set()
    assert covered.keys() - {'"@signature-params"'} == names


CHANGES = {
    "the method": {"method": "PUT"},
    "the path": {"path": "/v1/tasks"},
    "the query": {"query": {"a": "2"}},
    "the body": {"body": b"{}"},
    "the type": {"headers": {"content-type": "text/plain"}},
    "the key": {"headers": {"idempotency-key": "other"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_on_the_way_does_not_verify(change: dict[str, Any]) -> None:
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    plain = Request("POST", "/prod/v1/tasks", "/v1/tasks", query={"a": "1"}, headers=headers, body=b'{"url":"x"}')
    right = signed(plain, key_id=KEY_ID, secret=SECRET, created=1_700_000_000, nonce="n")
    assert verified(as_message(right), right.body or b"")
    wrong = replace(right, **{**change, "headers": {**right.headers, **change.get("headers", {})}})
    with pytest.raises(HTTPMessageSignaturesException):
        verified(as_message(wrong), wrong.body or b"")


def arrived(scripted: Scripted) -> list[dict[str, Any]]:
    """What is covered of each request that came, as it came."""

    def of(came: Came) -> dict[str, Any]:
        return verified(Message(came.method, scripted.url + came.target, dict(came.headers)), came.body)

    return [of(came) for came in scripted.came]


ODD = Filter(q="/a b?c=上海&d=%41~'()*!+", target="https://partner.example:443", source_app="ä/é")


def test_what_requests_sends_is_what_was_signed(scripted: Scripted) -> None:
    scripted.will_say(Said(202, shown_task()), Said(200, {"tasks": [], "cursor": None}))
    client = Client(f"{scripted.url}/prod", KEY_ID, SECRET)
    client.call(Task("https://partner.example", body={"city": "上海"}))
    assert list(client.list(ODD)) == []
    submitted, listed = arrived(scripted)
    assert (submitted['"@path"'], submitted['"@query"']) == ("/prod/v1/tasks", "?")
    assert listed['"@query"'] == "?" + scripted.came[1].target.partition("?")[2]


def test_what_httpx_sends_is_what_was_signed(scripted: Scripted) -> None:
    scripted.will_say(Said(202, shown_task()), Said(200, {"tasks": [], "cursor": None}))

    async def go() -> None:
        async with AsyncClient(f"{scripted.url}/prod", KEY_ID, SECRET) as client:
            await client.call(Task("https://partner.example", body={"city": "上海"}))
            assert [it async for it in client.list(ODD)] == []

    asyncio.run(go())
    assert [it['"@path"'] for it in arrived(scripted)] == ["/prod/v1/tasks"] * 2


def test_a_query_is_written_sorted_and_by_the_strict_rules() -> None:
    request = operations.page(ODD, limit=7).request("")
    assert request.query_text == (
        "limit=7&q=%2Fa%20b%3Fc%3D%E4%B8%8A%E6%B5%B7%26d%3D%2541~%27%28%29%2A%21%2B"
        "&source_app=%C3%A4%2F%C3%A9&target=https%3A%2F%2Fpartner.example%3A443"
    )


def test_each_try_is_signed_anew_and_keeps_its_idempotency_key(scripted: Scripted) -> None:
    scripted.will_say(Said(503, {}), Said(503, {}), Said(202, shown_task()))
    client = Client(scripted.url, KEY_ID, SECRET, patience=Patience(first=0.001))
    client.call(Task("https://partner.example"))
    assert len({came.headers["idempotency-key"] for came in scripted.came}) == 1
    assert len({came.headers["signature-input"] for came in scripted.came}) == 3
    assert len(arrived(scripted)) == 3


def test_a_secret_is_in_no_text_of_its_key_and_in_nothing_that_is_sent(scripted: Scripted) -> None:
    scripted.will_say(Said(202, shown_task()))
    Client(scripted.url, KEY_ID, SECRET).call(Task("https://partner.example"))
    assert SECRET not in repr(CallerKey(KEY_ID, SECRET))
    assert SECRET not in repr(scripted.came)
