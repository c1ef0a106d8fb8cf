"""Holds answers to what is declared of them: to our own shapes, and to the schemas of the document."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from chalicelib import api, show
from chalicelib.openapi import document

DOCUMENT = document(api.ROUTES.values())


def assert_declared(view: str, answer: api.Answer) -> None:
    """Status, headers, content type and body are among those that the view's route declares."""
    response = declared(view, answer.status)
    headers = {"Content-Type": "application/json", **answer.headers}
    assert response.get("headers", {}).keys() <= headers.keys()
    if answer.body is None:
        assert "content" not in response
        return
    body = json.loads(answer.text())
    assert list(response["content"]) == [headers["Content-Type"]]
    validator(json.dumps(response["content"][headers["Content-Type"]]["schema"])).validate(body)
    assert undeclared(view, answer.status, body) == []


def declared(view: str, status: int) -> Any:
    """What the document says of an answer."""
    route = api.ROUTES[view]
    responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    assert str(status) in responses, f"{view} answers {status}"
    return at(responses[str(status)])


def at(part: Any) -> Any:
    """What stands where a reference leads."""
    if "$ref" not in part:
        return part
    found = DOCUMENT
    for step in part["$ref"].split("/")[1:]:
        found = found[step]
    return found


@lru_cache
def validator(schema: str) -> Draft202012Validator:
    """What checks JSON by a schema of the document, formats included."""
    whole = {**json.loads(schema), "components": DOCUMENT["components"]}
    return Draft202012Validator(whole, validate_formats=True)


def undeclared(view: str, status: int, body: Any) -> list[Any]:
    """What our own shapes find wrong: they let pass nothing that they do not know."""
    route = api.ROUTES[view]
    shapes = {gives.status: gives.shape for gives in (route.gives, *route.also)}
    return list((shapes.get(status) or show.PROBLEM).faults(body, ""))
