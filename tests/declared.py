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
    assert response.get("headers", {}).keys() <= answer.headers.keys() | {"Content-Type"}
    body = read(answer)
    if body is None:
        assert "content" not in response
        return
    assert list(response["content"]) == [answer.content_type]
    validator(json.dumps(response["content"][answer.content_type]["schema"])).validate(body)
    assert undeclared(view, answer.status, body) == []


def read(answer: api.Answer) -> Any:
    """The body as whoever asked reads it; None when there is none."""
    if not answer.text():
        return None
    return answer.text() if answer.content_type.startswith("text/plain") else json.loads(answer.text())


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
