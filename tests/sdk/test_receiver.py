"""Receivers know what is kkbida's: by the headers alone, and in the requests of real frameworks."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import django
import flask
import httpx
import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from fastapi import FastAPI, Request, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook
from werkzeug.test import Client as Browser

from kkbida import Delivery, NotGenuine, Receiver
from kkbida.receiver import MAX_BODY_BYTES

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
NOON = 1_764_590_400
BODY = '{"order": 42, "city": "上海"}'.encode()


def signed(secret: str = OLD, body: bytes = BODY, at: int = NOON, webhook_id: str = "task-1") -> dict[str, str]:
    """The headers of a delivery, as another library makes them."""
    signature = Webhook(secret).sign(webhook_id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def receiver(*secrets: str, late: float = 0) -> Receiver:
    return Receiver(*(secrets or (OLD,)), now=lambda: NOON + late)


def test_a_delivery_is_known_by_its_signature() -> None:
    delivery = receiver().verify(signed(), BODY)
    assert delivery == Delivery("task-1", datetime(2025, 12, 1, 12, tzinfo=UTC), BODY)
    assert delivery.json() == {"order": 42, "city": "上海"}


def test_names_of_headers_may_be_written_in_any_way() -> None:
    assert receiver().verify({name.title(): value for name, value in signed().items()}, BODY).task_id == "task-1"


def test_while_the_secret_changes_either_is_known() -> None:
    both = {
        **signed(OLD),
        "webhook-signature": f"{signed(OLD)['webhook-signature']} {signed(NEW)['webhook-signature']}",
    }
    for secrets in ((OLD,), (NEW,), (NEW, OLD)):
        assert receiver(*secrets).verify(both, BODY)
    assert receiver(OLD, NEW).verify(signed(NEW), BODY)


FORGED: Mapping[str, tuple[dict[str, str], bytes]] = {
    "another secret": (signed(NEW), BODY),
    "another body": (signed(), BODY + b" "),
    "another id": ({**signed(), "webhook-id": "task-2"}, BODY),
    "another time": ({**signed(), "webhook-timestamp": str(NOON + 1)}, BODY),
    "a time that is none": ({**signed(), "webhook-timestamp": "noon"}, BODY),
    "a time in other digits": ({**signed(), "webhook-timestamp": "١"}, BODY),
    "a time below zero": ({**signed(), "webhook-timestamp": f"-{NOON}"}, BODY),
    "another version": ({**signed(), "webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")}, BODY),
    "no version": ({**signed(), "webhook-signature": signed()["webhook-signature"].removeprefix("v1,")}, BODY),
    "half a signature": ({**signed(), "webhook-signature": signed()["webhook-signature"][:20]}, BODY),
    "noise": ({**signed(), "webhook-signature": "v1,é v1, ,,"}, BODY),
    "no signature": ({**signed(), "webhook-signature": ""}, BODY),
    "no headers": ({}, BODY),
}


@pytest.mark.parametrize(("headers", "body"), FORGED.values(), ids=FORGED)
def test_what_is_not_ours_is_not_taken(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(NotGenuine):
        receiver().verify(headers, body)


@pytest.mark.parametrize(("late", "fresh"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_what_is_old_or_ahead_of_its_time_may_be_a_repetition(late: int, fresh: bool) -> None:
    if fresh:
        assert receiver(late=late).verify(signed(), BODY)
        return
    with pytest.raises(NotGenuine, match="300 seconds"):
        receiver(late=late).verify(signed(), BODY)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "b2xkb2xk", "whsec_é"])
def test_a_secret_that_is_none_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match="begins with whsec_") as raised:
        Receiver(secret)
    assert not secret or secret == "whsec_" or secret not in str(raised.value)


def test_no_secret_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Receiver()


# ── in real frameworks: each is asked over its own entrance, with a right delivery and a forged one ─


def by_flask(headers: Mapping[str, str], body: bytes) -> int:
    app = flask.Flask("shop")

    @app.post("/callback")
    def callback() -> str:
        return receiver().flask(flask.request).task_id

    @app.errorhandler(NotGenuine)
    def refuse(error: NotGenuine) -> tuple[str, int]:
        return str(error), 401

    return app.test_client().post("/callback", data=body, headers=dict(headers)).status_code


def by_fastapi(headers: Mapping[str, str], body: bytes) -> int:
    app = FastAPI()

    @app.post("/callback")
    async def callback(request: Request) -> str:
        return (await receiver().fastapi(request)).task_id

    @app.exception_handler(NotGenuine)
    async def refuse(_: Request, error: Exception) -> Response:
        return Response(str(error), 401)

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as browser:
            return (await browser.post("http://shop/callback", content=body, headers=headers)).status_code

    return asyncio.run(ask())


def by_django(headers: Mapping[str, str], body: bytes) -> int:
    if not django_settings.configured:
        django_settings.configure(DEBUG=False)
        django.setup()

    def callback(request: HttpRequest) -> HttpResponse:
        try:
            return HttpResponse(receiver().django(request).task_id)
        except NotGenuine as error:
            return HttpResponse(str(error), status=401)

    request = RequestFactory().post("/callback", body, content_type="application/json", headers=dict(headers))
    return int(callback(request).status_code)


def by_wsgi(headers: Mapping[str, str], body: bytes) -> int:
    def callback(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            delivery = receiver().wsgi(environ)
            assert environ["wsgi.input"].read() == delivery.body, "it is put back"
            start_response("200 OK", [])
        except NotGenuine:
            start_response("401 Unauthorized", [])
        return []

    return Browser(callback).post("/callback", data=body, headers=dict(headers)).status_code


@pytest.mark.parametrize("ask", [by_flask, by_fastapi, by_django, by_wsgi])
def test_each_framework_takes_what_is_ours_and_refuses_what_is_not(
    ask: Callable[[Mapping[str, str], bytes], int],
) -> None:
    assert ask(signed(), BODY) == 200
    assert ask(signed(NEW), BODY) == 401
    assert ask({}, BODY) == 401


def test_a_wsgi_body_of_unknown_length_is_read_to_its_end() -> None:
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed().items()}
    whole = {**environ, "wsgi.input": io.BytesIO(BODY), "wsgi.input_terminated": True}
    assert receiver().wsgi(whole).body == BODY


# ── whatever a sender writes ─────────────────────────────────────────────────────────────────────

NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")

ODD_TEXTS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
    st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(
        ["9" * 5000, "0" * 5000, "1e9", "\uff11\uff17", "\u00b2", "+1", "-0", " 1", "1_000", "0x10", "nan"]
    ),
    st.sampled_from(["v1,", "v1," * 999, "v1,é", "v1,====", "v1,\ud800"]),
    st.just(str(NOON)),
    st.just(signed()["webhook-signature"]),
    st.just("task-1"),
)
ODD_HEADERS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), ODD_TEXTS, max_size=5)
WHOLE_HEADERS = st.fixed_dictionaries(dict.fromkeys(NAMES, ODD_TEXTS))


def taken_or_not_genuine(take: Callable[[], Delivery], body: bytes) -> None:
    """It is refused in the one documented way; or it is what was signed, byte for byte."""
    try:
        delivery = take()
    except NotGenuine:
        return
    assert (delivery.task_id, delivery.body, body) == ("task-1", BODY, BODY)


@given(ODD_HEADERS | WHOLE_HEADERS, st.binary(max_size=40) | st.just(BODY))
def test_whatever_is_in_the_headers_nothing_else_is_raised(headers: dict[str, str], body: bytes) -> None:
    taken_or_not_genuine(lambda: receiver().verify(headers, body), body)


@pytest.mark.parametrize("value", [None, b"task-1", 7, ["task-1"], object()])
@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_is_no_text_is_no_header(name: str, value: Any) -> None:
    with pytest.raises(NotGenuine, match=f"it has no {name}"):
        receiver().verify({**signed(), name: value}, BODY)


class Input(io.BytesIO):
    """A body that says how much of it was asked for."""

    asked: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= MAX_BODY_BYTES + 1, "no more than a delivery can have is asked for, and never all there is"
        self.asked = size
        return super().read(size)


@given(
    WHOLE_HEADERS | st.just(signed()),
    st.none() | ODD_TEXTS | st.sampled_from(["", "0", str(len(BODY)), f"000{len(BODY)}", "10485761", "9" * 20]),
    st.booleans(),
)
def test_whatever_is_in_a_wsgi_environment_nothing_else_is_raised(
    headers: dict[str, str], length: str | None, terminated: bool
) -> None:
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"wsgi.input": Input(BODY), "wsgi.input_terminated": terminated}
    environ |= {} if length is None else {"CONTENT_LENGTH": length}
    taken_or_not_genuine(lambda: receiver().wsgi(environ), BODY)


@pytest.mark.parametrize(
    ("length", "why"),
    [
        ("-1", "no number"),
        ("1_0", "no number"),
        ("+5", "no number"),
        ("５", "no number"),
        ("x", "no number"),
        ("10485761", "more than"),
        ("9" * 5000, "more than"),
    ],
)
def test_a_length_that_is_none_is_refused_before_anything_is_read(length: str, why: str) -> None:
    unread = Input(BODY)
    with pytest.raises(NotGenuine, match=why):
        receiver().wsgi({"CONTENT_LENGTH": length, "wsgi.input": unread})
    assert unread.asked is None


def test_an_endless_body_is_not_read_to_its_end() -> None:
    class Endless(Input):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            return b"x" * size

    with pytest.raises(NotGenuine, match="more than"):
        receiver().wsgi({"wsgi.input": Endless(), "wsgi.input_terminated": True})


def test_a_sender_that_breaks_off_is_not_genuine() -> None:
    class Broken:
        headers = signed()

        def read(self, _: int) -> bytes:
            raise ConnectionResetError

        get_data = property(lambda self: lambda: self.read(1))
        body = property(lambda self: self.read(1))

    broken: Any = Broken()
    for take in (receiver().flask, receiver().django, lambda it: receiver().wsgi({"wsgi.input": it})):
        with pytest.raises(NotGenuine, match="broke off"):
            take(broken)


def by_asgi(headers: Iterable[tuple[bytes, bytes]], *messages: dict[str, Any]) -> Delivery:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return asyncio.run(receiver().asgi({"type": "http", "headers": headers}, receive))


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


RAW = [(name.encode(), value.encode()) for name, value in signed().items()]


def test_an_asgi_body_may_come_in_parts() -> None:
    assert by_asgi(RAW, part(BODY[:5], more=True), part(b"", more=True), part(BODY[5:], more=False)).body == BODY
    assert by_asgi(RAW, part(BODY, more=False)).task_id == "task-1"
    with pytest.raises(NotGenuine, match="broke off"):
        by_asgi(RAW, part(BODY, more=True), {"type": "http.disconnect"})
    with pytest.raises(NotGenuine, match="more than"):
        by_asgi(RAW, *[part(b"x" * 1_048_576, more=True)] * 11)


@settings(max_examples=50)  # each runs an event loop
@given(st.lists(st.tuples(st.sampled_from([name for name, _ in RAW]) | st.binary(max_size=9), st.binary(max_size=40))))
def test_whatever_is_in_an_asgi_request_nothing_else_is_raised(headers: list[tuple[bytes, bytes]]) -> None:
    taken_or_not_genuine(lambda: by_asgi(headers, part(BODY, more=False)), BODY)


def test_the_events_of_api_gateway_are_understood() -> None:
    text, raw = BODY.decode(), base64.b64encode(BODY).decode()
    several = {name: ["other", value] for name, value in signed().items()}
    for event in (
        {"headers": signed(), "body": text},
        {"headers": signed(), "body": raw, "isBase64Encoded": True},
        {"headers": None, "multiValueHeaders": several, "body": text, "isBase64Encoded": False},
        {"headers": {name.title(): value for name, value in signed().items()}, "body": text},
    ):
        assert receiver().aws_lambda(event).body == BODY


@given(
    st.none() | ODD_HEADERS | WHOLE_HEADERS | st.just(signed()),
    st.none() | st.dictionaries(st.sampled_from(NAMES), st.lists(ODD_TEXTS, max_size=2)),
    st.none() | ODD_TEXTS | st.just(BODY.decode()),
    st.none() | st.booleans(),
)
def test_whatever_is_in_an_event_nothing_else_is_raised(
    headers: dict[str, str] | None, several: dict[str, list[str]] | None, body: str | None, encoded: bool | None
) -> None:
    event = {"headers": headers, "multiValueHeaders": several, "body": body, "isBase64Encoded": encoded}
    taken_or_not_genuine(lambda: receiver().aws_lambda(event), BODY)


def test_a_body_of_any_depth_is_json_or_none() -> None:
    body = b"[" * 100_000
    delivery = receiver().verify(signed(body=body), body)
    with pytest.raises(ValueError, match="too deeply"):
        delivery.json()
