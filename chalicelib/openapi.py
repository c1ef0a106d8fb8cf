"""The OpenAPI 3.1 document, made of the declarations that the routes and their parsers obey. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chalicelib import __version__
from chalicelib.auth import COOKIE
from chalicelib.errors import ASK_LATER, Refusal, kinds_of
from chalicelib.route import JSON, RETRY_AFTER, Gives, Route, in_one_line
from chalicelib.shape import Field, Schema, Shape, Shown
from chalicelib.show import ID, IDS, PROBLEM, PROBLEM_JSON
from chalicelib.task import Json

Part = dict[str, Any]
"""A part of the document."""

ABOUT = """\
Takes an HTTP callback from one system and guarantees that it reaches another.

Times are RFC 3339 in UTC, durations are seconds. A member of a request that is null counts as absent; one that is not
known is refused, as is a query parameter. Later releases may add members to answers: pass over those you do not know.
Whatever is refused comes back as a problem with a stable `code`, and has changed nothing.
"""


INFO = {
    "title": "kkbida",
    "version": __version__,
    "description": ABOUT,
    "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
}
KNOWN_BY = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Signature",
        "description": "A caller signs each request by RFC 9421, with hmac-sha256; docs/signing.md says how.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "An operator logs in by POST /v1/login. Requests that change anything need the session's"
        " csrf_token in the header X-CSRF-Token; docs/operators.md says how.",
    },
}
PROBLEMS = {"description": "The form of problems (RFC 9457)", "url": "https://www.rfc-editor.org/rfc/rfc9457"}


def document(routes: Iterable[Route], base: str = "") -> Part:
    """The whole document. `base` is what stands before every path in a URL, such as `/prod`."""
    routes = list(routes)
    refusals = {refusal.__name__: refusal for route in routes for refusal in route.refusals}
    responses = {name: _refused(refusal) for name, refusal in sorted(refusals.items())}
    schemas: dict[str, Schema] = {}
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "externalDocs": PROBLEMS,
        "servers": [{"url": base or "/", "description": "Where this document was read."}],
        "tags": [{"name": tag.name, "description": tag.about} for tag in dict.fromkeys(it.tag for it in routes)],
        "paths": _by_name(_paths(routes), schemas),
        "components": {
            "responses": _by_name(responses, schemas),
            "schemas": schemas,
            "securitySchemes": KNOWN_BY,
        },
    }


def _paths(routes: Sequence[Route]) -> Part:
    found: Part = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method.lower()] = _operation(route, routes)
    return found


def _by_name(part: Json, schemas: dict[str, Schema]) -> Json:
    """`part` with a reference in the place of every schema that has a title; the schemas themselves go to `schemas`."""
    if isinstance(part, list):
        return [_by_name(item, schemas) for item in part]
    if not isinstance(part, dict):
        return part
    inside = {key: _by_name(item, schemas) for key, item in part.items()}
    if not isinstance(part.get("title"), str):
        return inside
    name = inside.pop("title")
    assert schemas.setdefault(name, inside) == inside, f"two shapes are called {name}"
    return _reference("schemas", name)


# ── an operation ─────────────────────────────────────────────────────────────────────────────────


def _operation(route: Route, routes: Sequence[Route]) -> Part:
    summary, _, more = route.about.partition(". ")
    return {
        "operationId": route.name,
        "tags": [route.tag.name],
        "summary": summary.removesuffix("."),
        **({"description": more} if more else {}),
        "parameters": list(_parameters(route)),
        **({"requestBody": _request(route)} if route.takes else {}),
        "responses": _responses(route, routes),
        "security": [] if route.is_open else [{name: []} for name in KNOWN_BY],
    }


def _parameters(route: Route) -> Iterator[Part]:
    ids = {
        name: Field(IDS.get(name, ID), f"The id of the {name.removesuffix('_id')}.", required=True)
        for name in route.ids
    }
    yield from ({"name": name, "in": "path", **_told(field)} for name, field in ids.items())
    for name, field in route.query.items():  # an empty one counts as absent
        yield {"name": name, "in": "query", "allowEmptyValue": True, **_told(field)}
    yield from ({"name": name, "in": "header", **_told(field)} for name, field in route.headers.items())


def _told(field: Field) -> Part:
    """What a parameter and a header have in common."""
    default = {"default": field.default} if field.default is not None else {}
    return {"description": field.help, "required": field.required, "schema": {**field.shape.schema(), **default}}


def _request(route: Route) -> Part:
    assert route.takes is not None, "it takes a body"
    return {"required": not route.optional, "content": {JSON: {"schema": route.takes.schema()}}}


def _responses(route: Route, routes: Sequence[Route]) -> Part:
    refused = {str(refusal.status): _reference("responses", refusal.__name__) for refusal in route.refusals}
    others = [other for other in routes if other is not route]
    given = {str(gives.status): _given(gives, others) for gives in (route.gives, *route.also)}
    return dict(sorted((refused | given).items()))


def _given(gives: Gives, others: Sequence[Route]) -> Part:
    found = {
        "headers": {name: _told(field) for name, field in gives.headers.items()},
        "content": {gives.content_type: {"schema": gives.shape.schema()}} if gives.shape else {},
        "links": dict(_links(gives.shape, others)),
    }
    return {"description": gives.told, **{name: part for name, part in found.items() if part}}


def _links(shape: Shape | None, others: Sequence[Route]) -> Iterator[tuple[str, Part]]:
    """Where an answer leads: to every route whose path asks for an id that the answer holds."""
    held = shape.fields if isinstance(shape, Shown) else {}
    for route in others:
        if route.ids and held.keys() >= set(route.ids):
            ids = {name: f"$response.body#/{name}" for name in route.ids}
            yield route.name, {"operationId": route.name, "parameters": ids}


def _refused(refusal: type[Refusal]) -> Part:
    """The response of a kind of refusal: a problem with its code, or that of a kind of it."""
    codes = [it.code for it in kinds_of(refusal)]
    of_this_kind = {"properties": {"status": {"const": refusal.status}, "code": {"enum": codes}}}
    headers = {name: _told(field) for name, field in RETRY_AFTER.items()} if refusal in ASK_LATER else {}
    return {
        "description": in_one_line(refusal.__doc__),
        **({"headers": headers} if headers else {}),
        "content": {PROBLEM_JSON: {"schema": {"allOf": [PROBLEM.schema(), of_this_kind]}}},
    }


def _reference(kind: str, name: str) -> Part:
    return {"$ref": f"#/components/{kind}/{name}"}
