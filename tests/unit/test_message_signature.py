"""Signatures of requests: by the RFC's own example, and by an implementation that is not ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import HMAC_SHA256
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import message_signature
from chalicelib.errors import DigestWrong, SignatureIncomplete
from chalicelib.message_signature import Signature
from tests.signer import digest_of

SECRET = "kks_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
NOW = 1_900_000_000

# RFC 9421, B.1.5 and B.2.5
RFC_KEY = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
RFC_PARAMETERS = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
RFC_SIGNATURE = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
RFC_VALUES = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "@authority": "example.com",
    "content-type": "application/json",
}


def test_the_rfcs_own_example_comes_to_the_same() -> None:
    example = Signature(
        covered=tuple(RFC_VALUES),
        created=1618884473,
        expires=None,
        nonce="",
        key_id="test-shared-secret",
        parameters=RFC_PARAMETERS,
        value=b"",
    )
    base = message_signature.base_of(example, RFC_VALUES)
    assert base64.b64encode(hmac.digest(RFC_KEY, base, "sha256")).decode() == RFC_SIGNATURE


class OneKey(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:  # noqa: ARG002 - it knows one
        return SECRET.encode()

    def resolve_public_key(self, key_id: str) -> bytes:  # noqa: ARG002 - as above
        return SECRET.encode()


@pytest.mark.parametrize("query", ["", "limit=5&status=exhausted", "q=a%20b"])
def test_what_another_implementation_signs_is_read_and_right(query: str) -> None:
    url = f"https://kkbida.example/prod/v1/tasks{'?' + query if query else ''}"
    body = '{"url": "https://partner.example/"}'
    headers = {"Content-Type": "application/json", "Content-Digest": digest_of(body.encode())}
    request = requests.Request("POST", url, headers=headers, data=body).prepare()
    HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=OneKey()).sign(
        request,
        key_id="key_1",
        created=datetime.fromtimestamp(NOW, UTC),
        nonce="n-1",
        covered_component_ids=("@method", "@path", "@query", "content-digest", "content-type"),
        use_existing_digest=True,
    )
    sent = {name.lower(): str(value) for name, value in request.headers.items()}
    signature = message_signature.read(sent)
    values = {**sent, "@method": "POST", "@path": "/prod/v1/tasks", "@query": f"?{query}"}
    assert message_signature.sign(SECRET, message_signature.base_of(signature, values)) == signature.value
    assert (signature.created, signature.key_id, signature.nonce) == (NOW, "key_1", "n-1")


def headers_of(parameters: str, value: str = "AAAA", label: str = "sig1") -> dict[str, str]:
    return {"signature-input": f"{label}={parameters}", "signature": f"{label}=:{value}:"}


RIGHT = '("@method");created=1;nonce="n";keyid="k"'


def test_what_is_sent_is_read_as_it_is() -> None:
    assert message_signature.read(headers_of(RIGHT + ';alg="hmac-sha256";tag="x"', label="a-1")) == Signature(
        covered=("@method",),
        created=1,
        expires=None,
        nonce="n",
        key_id="k",
        parameters=RIGHT + ';alg="hmac-sha256";tag="x"',
        value=b"\0\0\0",
    )


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "()",
        RIGHT.replace(";created=1", ""),
        RIGHT.replace(";created=1", ";created=-1"),
        RIGHT.replace(";created=1", ";created=soon"),
        RIGHT.replace(";created=1", ";created=1.5"),
        RIGHT.replace(';nonce="n"', ""),
        RIGHT.replace(';keyid="k"', ""),
        RIGHT.replace(';keyid="k"', ';keyid=""'),
        RIGHT.replace(";", "; "),
        RIGHT.replace('"@method"', '"@method"  "@path"'),
        RIGHT.replace('"@method"', '"@query-param";name="x"'),
        RIGHT.replace('"@method"', "@method"),
        RIGHT + ', sig2=("@method");created=1;nonce="n";keyid="k"',
        RIGHT + ';alg="hmac-sha512"',
        RIGHT + ";x=1e3",
        RIGHT.replace('"n"', '"' + "n" * 129 + '"'),
        RIGHT.replace('"n"', '"n 1"'),
    ],
)
def test_what_cannot_be_read_is_told(parameters: str) -> None:
    with pytest.raises(SignatureIncomplete):
        message_signature.read(headers_of(parameters))


@given(st.text(max_size=200), st.text(max_size=100))
def test_whatever_is_sent_is_read_or_refused(sent: str, signature: str) -> None:
    try:
        found = message_signature.read({"signature-input": sent, "signature": signature})
    except SignatureIncomplete:
        return
    assert found.parameters in sent


@pytest.mark.parametrize("name", ["signature-input", "signature"])
def test_a_header_that_is_too_long_is_not_even_parsed(name: str) -> None:
    limit = message_signature.MAX_HEADER_CHARACTERS[name]
    sent = headers_of(RIGHT)
    message_signature.read({**sent, name: sent[name].ljust(limit)})
    with pytest.raises(SignatureIncomplete, match=f"has {limit + 1} characters; at most {limit} are read"):
        message_signature.read({**sent, name: sent[name].ljust(limit + 1)})


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (digest_of(b"body"), True),
        (digest_of(b"bodY"), False),
        (f"{digest_of(b'body')}, unixsum=:AAA=:", True),
        ("sha-512=:" + base64.b64encode(hashlib.sha512(b"body").digest()).decode() + ":", True),
        (f"{digest_of(b'body')}, sha-512=:AAAA:", False),
        (f"{digest_of(b'body')}\t, \tunixsum=:AAA=:", True),
        ("md5=:AAAA:", False),
        ("", False),
        (",", False),
        (f"{digest_of(b'body')},", False),
        (f"{digest_of(b'body')};q=1", False),
        (f"nonsense {digest_of(b'body')}", False),
        (f"{digest_of(b'body')}{digest_of(b'body')}", False),
        (digest_of(b"body").ljust(message_signature.MAX_HEADER_CHARACTERS["content-digest"]), True),
        (digest_of(b"body").ljust(message_signature.MAX_HEADER_CHARACTERS["content-digest"] + 1), False),
    ],
)
def test_a_digest_is_of_the_body_or_wrong(header: str, right: bool) -> None:
    try:
        message_signature.check_digest(header, b"body")
    except DigestWrong:
        assert not right
    else:
        assert right


def test_something_covered_twice_or_unknown_has_no_base() -> None:
    for covered, values in ((("a", "a"), {"a": "1"}), (("@query-param",), {})):
        odd: Any = Signature(
            covered=covered, created=1, expires=None, nonce="n", key_id="k", parameters="()", value=b""
        )
        with pytest.raises(SignatureIncomplete):
            message_signature.base_of(odd, values)
