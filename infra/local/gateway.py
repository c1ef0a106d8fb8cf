"""API Gateway, as far as a Chalice app can tell: a WSGI request becomes a REST proxy event, its result a reply.

The shapes are those of API Gateway's Lambda proxy integration (payload format 1.0).
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import uuid4

STAGE = "local"

Environ = Mapping[str, Any]
"""A request as WSGI has it (PEP 3333). waitress lets only ASCII into path and query."""

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body, on the way back to the client."""


@dataclass(frozen=True, slots=True)
class Match:
    """The resource that a path leads to, and the values of its `{parameters}`, decoded."""

    resource: str
    parameters: Mapping[str, str]


def match(resources: Iterable[str], path: str) -> Match | None:
    """Find the resource for a percent-encoded path. Written-out segments go before `{parameters}`.

    A slash at the end is overlooked, as API Gateway does; an encoded slash belongs to its segment.
    """
    segments = [unquote(segment) for segment in path.rstrip("/").split("/")]
    for resource in sorted(resources):
        parameters = _fit(resource.rstrip("/").split("/"), segments)
        if parameters is not None:
            return Match(resource, parameters)
    return None


def _fit(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parameters = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            parameters[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return parameters


def path_of(environ: Environ) -> str:
    """The path as the client sent it, still percent-encoded."""
    return str(environ["REQUEST_URI"]).partition("?")[0]


def event(environ: Environ, found: Match, method: str, binary_types: Collection[str]) -> dict[str, Any]:
    """Build the proxy event. Reads the body. `method` may differ from the request's (HEAD runs as GET)."""
    headers = dict(_headers(environ))
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True) or None
    return {
        "resource": found.resource,
        "path": path_of(environ),
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query and {name: values[-1] for name, values in query.items()},
        "multiValueQueryStringParameters": query,
        "pathParameters": dict(found.parameters) or None,
        "stageVariables": None,
        "requestContext": _request_context(environ, found, method),
        **_body(environ["wsgi.input"].read(), headers.get("Content-Type", ""), binary_types),
    }


def _request_context(environ: Environ, found: Match, method: str) -> dict[str, Any]:
    now = time.time()
    return {
        "resourcePath": found.resource,
        "httpMethod": method,
        "path": path_of(environ),  # as at a domain of one's own, where no stage stands before it
        "stage": STAGE,
        "requestId": str(uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "protocol": environ["SERVER_PROTOCOL"],
        "domainName": environ.get("HTTP_HOST", ""),
        "accountId": None,
        "apiId": STAGE,
        "identity": {"sourceIp": environ["REMOTE_ADDR"], "userAgent": environ.get("HTTP_USER_AGENT")},
    }


def _headers(environ: Environ) -> Iterable[tuple[str, str]]:
    """Names as most clients write them: WSGI keeps neither their case nor which ones came twice."""
    for key, value in environ.items():
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            yield key.removeprefix("HTTP_").replace("_", "-").title(), value


def _body(raw: bytes, content_type: str, binary_types: Collection[str]) -> dict[str, Any]:
    """Text as text; binary types in Base64, and also what is not UTF-8, so that no byte is lost."""
    if content_type.partition(";")[0].strip().lower() not in binary_types:
        try:
            return {"body": raw.decode() or None, "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass  # it goes the way of binary bodies
    return {"body": b64encode(raw).decode(), "isBase64Encoded": True}


def answer(result: Mapping[str, Any]) -> Answer:
    """What the app returned, as a reply. Without a content type it is JSON, as API Gateway has it."""
    several = {name: [value] for name, value in (result.get("headers") or {}).items()}
    several |= result.get("multiValueHeaders") or {}
    headers = [(name, str(value)) for name, values in several.items() for value in values]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    body = result.get("body") or ""
    raw = b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return int(result["statusCode"]), headers, raw
