"""Receivers know what is kkbida's: by the headers alone, and in the requests of real frameworks."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import django
import flask
import httpx
import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook
from werkzeug.test import Client as Browser

from kkbida import Delivery, NotGenuine, Receiver

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
    if not settings.configured:
        settings.configure(DEBUG=False)
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
