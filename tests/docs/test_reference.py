"""The reference says what the code says."""

from __future__ import annotations

import re

from chalicelib import api
from chalicelib.errors import Kind, Refusal, kinds_of
from chalicelib.openapi import document
from chalicelib.settings import SETTINGS
from chalicelib.task import Held, NoticeStatus, ResendStatus, Status, Verdict
from infra.reference import PATH, reference


def test_the_reference_is_what_the_code_says() -> None:
    assert PATH.read_text() == reference(), "run python -m infra.reference"


def test_it_names_every_word_that_the_api_uses() -> None:
    page = PATH.read_text()
    words = [*Status, *Held, *Verdict, *Kind, *NoticeStatus, *ResendStatus, *(setting.variable for setting in SETTINGS)]
    words += [refusal.code for refusal in kinds_of(Refusal)]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_it_describes_every_shape_of_the_document() -> None:
    page = PATH.read_text()
    schemas = document(api.ROUTES.values())["components"]["schemas"]
    told = set(re.findall(r"^## `(\w+)`, as answered", page, re.MULTILINE))
    assert schemas.keys() - told == {
        *("NewTask", "Expect", "Retry", "Changes", "NewChannel", "Batch", "BatchedTask"),
        *(
            "NewResend",
            "Filter",
            "NewSigningSecret",
            "NewCaller",
            "CallBackTask",
            "CallBackTaskRow",
            "CallBackLog",
            "Import",
            "PreviewedChannel",
            "TargetChanges",
            "BreakerChanges",
        ),
        *("NewOperator", "OperatorChanges", "Credentials", "PasswordChange"),
    }, "these come in"


def test_the_front_door_has_the_routes_of_the_table_and_no_others() -> None:
    from app import app  # noqa: PLC0415 - the front door is imported where it is looked at

    doors = {(method, path, it.view_name) for path, methods in app.routes.items() for method, it in methods.items()}
    assert doors == {(route.method, route.path, name) for name, route in api.ROUTES.items()}
