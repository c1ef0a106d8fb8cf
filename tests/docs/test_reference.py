"""The reference says what the code says."""

from __future__ import annotations

from chalicelib import api
from chalicelib.errors import Kind, Refusal
from chalicelib.settings import SETTINGS
from chalicelib.task import NoticeStatus, Status, Verdict
from infra.reference import PATH, reference


def test_the_reference_is_what_the_code_says() -> None:
    assert PATH.read_text() == reference(), "run python -m infra.reference"


def test_it_names_every_word_that_the_api_uses() -> None:
    page = PATH.read_text()
    words = [*Status, *Verdict, *Kind, *NoticeStatus, *(setting.variable for setting in SETTINGS)]
    words += [refusal.code for refusal in Refusal.__subclasses__()]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_every_view_has_a_route_and_every_route_a_view() -> None:
    from app import app  # noqa: PLC0415 - the front door is imported where it is looked at

    routed = {route.view_name for methods in app.routes.values() for route in methods.values()}
    assert routed == set(api.VIEWS)
