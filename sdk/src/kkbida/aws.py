"""The way past API Gateway: the function itself is invoked, and IAM decides who may."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from kkbida.errors import Unintelligible, Unreachable
from kkbida.version import USER_AGENT
from kkbida.wire import Json, Reply, Request

BUSY = frozenset({"TooManyRequestsException", "ThrottlingException", "EC2ThrottledException"})
"""What Lambda says when it runs as many as it may."""

NEVER_SENT = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})
"""What botocore raises when there was no connection."""

READ_SECONDS = 35
"""Of one try."""

CRASHED = 502
"""What API Gateway would answer for a function that ended in an error."""

CRASH = b'{"code": "function_crashed", "detail": "the function ended in an error; its log says which"}'

MOST_TOLD = 200
"""Bytes of a result that nobody understands which an error shows."""


class LambdaTransport:
    """Invokes kkbida's function for the API, by its name or ARN, with the event that API Gateway would make.

    `client` is boto3's for Lambda, made from the environment unless given (pip install 'kkbida[aws]'). IAM must allow
    `lambda:InvokeFunction`. Callers are known by their key here too: what is signed is the path without a stage.
    A forked process takes none of its parent's connections.
    """

    def __init__(self, function: str, client: Any = None) -> None:
        self._function = function
        self._client = client or _lambda()
        self._process = os.getpid()

    def send(self, request: Request) -> Reply:
        """Invoke it once. Raises Unreachable, or Unintelligible when the function is another one than kkbida's."""
        from botocore import exceptions as told  # noqa: PLC0415 - an extra

        try:
            answer = self._here().invoke(FunctionName=self._function, Payload=json.dumps(event(request)).encode())
            payload = b"" if "FunctionError" in answer else answer["Payload"].read()
        except told.ClientError as error:
            return _refusal(error.response.get("Error", {}))
        except (told.ConnectionError, told.HTTPClientError, told.IncompleteReadError, OSError) as error:
            never_sent = type(error).__name__ in NEVER_SENT
            raise Unreachable(f"{self._function}: {error}", never_sent=never_sent) from error
        return self._read(payload) if "FunctionError" not in answer else Reply(CRASHED, {}, CRASH)

    def _here(self) -> Any:
        """The client, without the connections that a fork has left from the parent."""
        if self._process != os.getpid():
            self._client.close()  # here alone: the parent goes on with them
            self._process = os.getpid()
        return self._client

    def _read(self, payload: bytes) -> Reply:
        try:
            return replace(reply(json.loads(payload)), url=self._function)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            begins = payload[:MOST_TOLD].decode(errors="replace")
            raise Unintelligible(
                f"The function {self._function} is not that of kkbida's API. Its result begins {begins!r}.",
                url=self._function,
            ) from error

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _lambda() -> Any:
    """A client that tries once: each further try is signed anew, and that is not boto3's to do."""
    import boto3  # noqa: PLC0415 - an extra
    from botocore.config import Config  # noqa: PLC0415 - an extra

    return boto3.client("lambda", config=Config(retries={"max_attempts": 0}, read_timeout=READ_SECONDS))


def _refusal(error: Mapping[str, Any]) -> Reply:
    """What AWS itself refused, as API Gateway would: too many at a time, or not allowed."""
    code = str(error.get("Code", ""))
    status = 429 if code in BUSY else 404 if code == "ResourceNotFoundException" else 403
    return Reply(status, {}, json.dumps({"code": code, "detail": error.get("Message", "")}).encode())


def event(request: Request) -> dict[str, Json]:
    """The request as API Gateway hands it to a function (REST API, Lambda proxy integration)."""
    headers = {"user-agent": USER_AGENT, **request.headers}
    return {
        "resource": request.route,
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(request.query) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in request.query.items()} or None,
        "pathParameters": dict(request.ids) or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": request.route,
            "httpMethod": request.method,
            "path": request.path,
            "requestId": str(uuid4()),
            "identity": {},
        },
        "body": None if request.body is None else request.body.decode(),
        "isBase64Encoded": False,
    }


def reply(answer: Mapping[str, Any]) -> Reply:
    """What a function answers API Gateway, as the reply that it becomes."""
    several = {name: ", ".join(values) for name, values in (answer.get("multiValueHeaders") or {}).items()}
    headers = {name.lower(): str(value) for name, value in {**(answer.get("headers") or {}), **several}.items()}
    body = answer.get("body") or ""
    raw = b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return Reply(int(answer["statusCode"]), headers, raw)
