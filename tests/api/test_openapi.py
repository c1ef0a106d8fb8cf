"""The OpenAPI document: valid, whole, and true. (`tests/declared.py` holds every answer of every story to it.)"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib import __version__, api
from chalicelib.api import ROUTES, Answer
from chalicelib.errors import HeadTooLarge, MethodNotAllowed, NotFound, Refusal, Unauthorized, kinds_of
from tests.declared import at
from tests.house import House


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    status, found = House().call("openapi")
    assert status == 200
    return dict(found)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in methods.items())


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_it_tells_the_version_and_every_route(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == __version__
    told = {operation["operationId"]: where for where, operation in operations(document)}
    assert told == {name: f"{route.method} {route.path}" for name, route in ROUTES.items()}


@pytest.mark.parametrize(
    ("asked_at", "server"),
    [("/openapi.json", "/"), ("/openapi.json/", "/"), ("/prod/openapi.json", "/prod"), ("", "/")],
)
def test_it_says_what_stands_before_every_path(asked_at: str, server: str) -> None:
    assert House().call("openapi", url_path=asked_at)[1]["servers"][0]["url"] == server


def test_every_part_has_a_word_of_explanation(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        assert operation["summary"], where
        assert all(parameter["description"] for parameter in operation["parameters"]), where
        assert all(at(response)["description"] for response in operation["responses"].values()), where
    for name, schema in document["components"]["schemas"].items():
        silent = [member for member, its in schema["properties"].items() if not its.get("description")]
        assert silent == [], name


def inside(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all those in it."""
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from inside(part)


@pytest.mark.parametrize("name", ["NewTask", "Batch", "BatchedTask", "Expect", "Retry", "Changes", "NewChannel"])
def test_whatever_comes_in_has_bounds(document: dict[str, Any], name: str) -> None:
    for schema in inside(document["components"]["schemas"][name]["properties"]):
        types = schema.get("type", [])
        assert "string" not in types or {"maxLength", "enum", "format"} & schema.keys(), schema
        assert "array" not in types or "maxItems" in schema, schema
        assert "object" not in types or "maxProperties" in schema, schema
        assert not {"number", "integer"} & {*types} or "maximum" in schema, schema


def test_every_refusal_is_told_where_it_may_come(document: dict[str, Any]) -> None:
    told = {name: at({"$ref": f"#/components/responses/{name}"}) for name in document["components"]["responses"]}
    beside_every_route = {MethodNotAllowed, HeadTooLarge}
    assert told.keys() == {refusal.__name__ for refusal in {*Refusal.__subclasses__()} - beside_every_route}
    codes = [
        code
        for part in told.values()
        for code in part["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    ]
    assert sorted(codes) == sorted(it.code for it in {*kinds_of(Refusal)} - beside_every_route - {Refusal})
    submit = document["paths"]["/v1/tasks"]["post"]["responses"]
    assert submit["409"]["$ref"].endswith("/IdempotencyConflict")
    assert at(submit["503"])["headers"].keys() == {"Retry-After"}


def test_it_says_of_each_route_how_one_must_be_known(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"].keys() == {"signature", "session"}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    is_open = {it["operationId"] for it in operations if it["security"] == []}
    assert is_open == {"health", "openapi", "log_in"}
    assert all(it["security"] == [{"signature": []}, {"session": []}] for it in operations if it["security"])


def test_its_example_is_taken(document: dict[str, Any]) -> None:
    [example] = document["components"]["schemas"]["NewTask"]["examples"]
    assert House().call("submit", example)[0] == 202


def test_an_answer_with_an_id_leads_to_the_routes_that_ask_for_it(document: dict[str, Any]) -> None:
    links = document["paths"]["/v1/tasks"]["post"]["responses"]["202"]["links"]
    assert links.keys() == {"look", "list_attempts", "resend", "cancel", "deliver_now"}
    assert links["look"] == {"operationId": "look", "parameters": {"task_id": "$response.body#/task_id"}}


@pytest.mark.parametrize("view", ROUTES)
def test_a_query_parameter_that_is_not_in_it_is_refused(view: str) -> None:
    ids = dict.fromkeys(ROUTES[view].ids, "x")
    needed = {name: ["x"] for name, field in ROUTES[view].query.items() if field.required}
    status, problem = House().call(view, path=ids, query={"colour": ["red"], **needed})
    if ROUTES[view].as_before:
        assert (status, "query:colour is unknown" in problem) == (400, True)
        return
    assert (status, [fault["pointer"] for fault in problem["errors"]]) == (400, ["query:colour"])


def test_no_other_route_pays_for_it() -> None:
    loaded = "import sys, app, chalicelib.api; sys.exit('chalicelib.openapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_every_answer_forbids_storing_and_guessing_its_type() -> None:
    for answer in (Answer(200, {}), Answer(204), api.problem(NotFound()), api.as_before(Unauthorized())):
        sent = answer.all_headers
        assert (sent["Cache-Control"], sent["X-Content-Type-Options"]) == ("no-store", "nosniff")
