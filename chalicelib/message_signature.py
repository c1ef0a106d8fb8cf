"""Requests signed by HTTP Message Signatures (RFC 9421) with `hmac-sha256`, and digests of bodies (RFC 9530). Pure.

    Signature-Input: sig1=("@method" "@path" "@query" "content-digest" "content-type");created=1795442400;
                     nonce="n0nce";keyid="key_...";alg="hmac-sha256"
    Signature: sig1=:base64 of the HMAC over the base:

The base has a line for each component that is covered, `"@method": POST`, and at its end the parameters as they were
sent (RFC 9421, 2.5). One signature is read; what is covered are fields by their names, and `@method`, `@path`,
`@query` and `@authority`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalicelib.errors import DigestWrong, SignatureIncomplete

ALGORITHM = "hmac-sha256"

MOST_NONCE = 128
"""Characters of a nonce."""

MAX_HEADER_CHARACTERS: Mapping[str, int] = {"signature-input": 4096, "signature": 1024, "content-digest": 1024}
"""Of the headers that are parsed before the sender is known. A signature over thirty fields takes less than 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature as it was sent, and what it says that it covers.

    `parameters`: the text that ends the base. `created`, `expires`: whole seconds since the epoch.
    """

    covered: tuple[str, ...]
    created: int
    expires: int | None
    nonce: str
    key_id: str
    parameters: str
    value: bytes


# ── what was sent ────────────────────────────────────────────────────────────────────────────────

_LABEL = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'
_INPUT = re.compile(
    rf"\s*({_LABEL})=(\(((?:{_STRING}(?: {_STRING})*)?)\)((?:;{_LABEL}=(?:{_STRING}|-?[0-9]{{1,15}}))*))\s*"
)
_SIGNATURE = re.compile(rf"\s*({_LABEL})=:([A-Za-z0-9+/]*={{0,2}}):\s*")
_PARAMETER = re.compile(rf";({_LABEL})=({_STRING}|-?[0-9]+)")


def read(headers: Mapping[str, str]) -> Signature:
    """The signature that a request bears. Raises SignatureIncomplete, which says what is missing or odd about it."""
    sent, value = _sent(headers)
    given = {name: text.strip('"') for name, text in _PARAMETER.findall(sent[4])}
    for name in ("created", "nonce", "keyid"):
        if not given.get(name):
            raise SignatureIncomplete(f"Signature-Input lacks the parameter {name}.")
    if given.get("alg", ALGORITHM) != ALGORITHM:
        raise SignatureIncomplete(f"The algorithm must be {ALGORITHM}.")
    if len(given["nonce"]) > MOST_NONCE or " " in given["nonce"]:
        raise SignatureIncomplete(f"The nonce must have {MOST_NONCE} characters at most, and no space.")
    return Signature(
        covered=tuple(item.strip('"') for item in re.findall(_STRING, sent[3])),
        created=_whole("created", given["created"]),
        expires=_whole("expires", given["expires"]) if "expires" in given else None,
        nonce=given["nonce"],
        key_id=given["keyid"],
        parameters=sent[2],
        value=value,
    )


def _sent(headers: Mapping[str, str]) -> tuple[re.Match[str], bytes]:
    """The one member of Signature-Input, and the bytes under the same label in Signature."""
    sent = _INPUT.fullmatch(_bounded("Signature-Input", headers))
    if sent is None:
        raise SignatureIncomplete(
            'Signature-Input must hold one signature, such as sig1=("@method" "@path" "@query");created=...;'
            'nonce="...";keyid="...", written without any other spaces.'
        )
    signed = _SIGNATURE.fullmatch(_bounded("Signature", headers))
    if signed is None or signed[1] != sent[1]:
        raise SignatureIncomplete(f"Signature must be {sent[1]}=:base64 of the signature:.")
    try:
        return sent, base64.b64decode(signed[2], validate=True)
    except ValueError as error:
        raise SignatureIncomplete("Signature holds no base64.") from error


def _bounded(name: str, headers: Mapping[str, str]) -> str:
    """The value of a header; empty without one. Raises SignatureIncomplete for one that is too long to be read."""
    value, limit = headers.get(name.lower(), ""), MAX_HEADER_CHARACTERS[name.lower()]
    if len(value) > limit:
        raise SignatureIncomplete(f"{name} has {len(value)} characters; at most {limit} are read.")
    return value


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise SignatureIncomplete(f"The parameter {name} must be whole seconds since the epoch.")
    return int(text)


# ── what must have been signed ───────────────────────────────────────────────────────────────────


def base_of(signature: Signature, values: Mapping[str, str]) -> bytes:
    """The bytes that the signature is over. `values`: of each component by name.

    Raises SignatureIncomplete when something is covered that the request does not have.
    """
    strange = [name for name in signature.covered if name not in values]
    if strange:
        raise SignatureIncomplete(f"The signature covers {strange[0][:80]}, which the request does not have.")
    if len(set(signature.covered)) < len(signature.covered):
        raise SignatureIncomplete("The signature covers something twice.")
    lines = [f'"{name}": {values[name]}' for name in signature.covered]
    return "\n".join((*lines, f'"@signature-params": {signature.parameters}')).encode("utf-8", "surrogatepass")


def sign(secret: str, base: bytes) -> bytes:
    """The signature: its key is the secret's own text, in UTF-8."""
    return hmac.digest(secret.encode(), base, hashlib.sha256)


# ── digests of bodies ────────────────────────────────────────────────────────────────────────────

_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_DIGEST = re.compile(rf"[ \t]*({_LABEL})=:([A-Za-z0-9+/]*={{0,2}}):[ \t]*")


def check_digest(header: str, body: bytes) -> None:
    """Raises DigestWrong unless Content-Digest holds a SHA-256 or SHA-512 of the body, and nothing that differs."""
    given = dict(_digests(header))
    known = {name: text for name, text in given.items() if name in _DIGESTS}
    if not known:
        raise DigestWrong("Content-Digest must be sha-256=:base64: or sha-512=:base64:.")
    for name, text in known.items():
        if not hmac.compare_digest(base64.b64encode(_DIGESTS[name](body).digest()), text.encode()):
            raise DigestWrong(f"The {name} of the body that came, {len(body)} bytes, is not what Content-Digest says.")


def _digests(header: str) -> Iterator[tuple[str, str]]:
    """The members of the header, each by its algorithm. Each is matched whole, so the work is linear in its length."""
    limit = MAX_HEADER_CHARACTERS["content-digest"]
    if len(header) > limit:
        raise DigestWrong(f"Content-Digest has {len(header)} characters; at most {limit} are read.")
    for member in header.split(",") if header else ():
        match = _DIGEST.fullmatch(member)
        if match is None:
            raise DigestWrong(f'Content-Digest cannot be read at "{member.strip()[:40]}"; write sha-256=:base64:.')
        yield match[1], match[2]
