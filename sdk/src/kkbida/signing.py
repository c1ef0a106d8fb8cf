"""HTTP Message Signatures (RFC 9421) with `hmac-sha256`, and digests of bodies (RFC 9530). Pure.

Covered are method, path and query, of a body its digest and its type, and the idempotency key if there is one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace

from kkbida.wire import Request

LABEL = "sig1"
ALGORITHM = "hmac-sha256"
COVERED_IF_SENT = ("content-digest", "content-type", "idempotency-key")


def signed(request: Request, *, key_id: str, secret: str, created: int, nonce: str) -> Request:
    """The request with its signature. `created`: whole seconds since the epoch; `nonce`: new for every request."""
    whole = replace(request, headers={**request.headers, **_digest(request.body)})
    covered = components(whole)
    parameters = f';created={created};nonce={_quoted(nonce)};keyid={_quoted(key_id)};alg="{ALGORITHM}"'
    headers = {
        "signature-input": f"{LABEL}={signature_parameters(covered, parameters)}",
        "signature": f"{LABEL}={signature(secret.encode(), covered, parameters)}",
    }
    return replace(whole, headers={**whole.headers, **headers})


def signature(key: bytes, covered: Mapping[str, str], parameters: str) -> str:
    """The signature of what is covered, as the header has it."""
    return _binary(hmac.digest(key, base(covered, parameters), hashlib.sha256))


def components(request: Request) -> dict[str, str]:
    """What is signed of a request, by name and in order."""
    derived = {"@method": request.method, "@path": request.path, "@query": f"?{request.query_text}"}
    return derived | {name: request.headers[name] for name in COVERED_IF_SENT if name in request.headers}


def base(covered: Mapping[str, str], parameters: str) -> bytes:
    """The signature base of section 2.5: a line for each component, and one for the parameters."""
    lines = [f'"{name}": {value}' for name, value in covered.items()]
    return "\n".join([*lines, f'"@signature-params": {signature_parameters(covered, parameters)}']).encode()


def signature_parameters(covered: Mapping[str, str], parameters: str) -> str:
    """The names of what is covered, and the parameters, as `Signature-Input` has them."""
    return "(" + " ".join(f'"{name}"' for name in covered) + ")" + parameters


def _digest(body: bytes | None) -> dict[str, str]:
    if body is None:
        return {}
    return {"content-digest": f"sha-256={_binary(hashlib.sha256(body).digest())}"}


def _binary(value: bytes) -> str:
    """A byte sequence of RFC 8941."""
    return f":{base64.b64encode(value).decode()}:"


def _quoted(text: str) -> str:
    """A string of RFC 8941."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
