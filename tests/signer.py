"""Signs requests as a caller does: RFC 9421 written down once more, from the RFC and not from the product."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ALWAYS = ("@method", "@path", "@query")


def digest_of(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@dataclass(frozen=True, kw_only=True)
class Signer:
    """One caller's way of signing. What a test wants to be wrong is given beside the right."""

    key_id: str
    secret: str

    def sign(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        created: float,
        nonce: str = "n-1",
        headers: Mapping[str, str] | None = None,
        covered: Sequence[str] | None = None,
        extra: str = ';alg="hmac-sha256"',
    ) -> dict[str, str]:
        """The headers of the signed request, in lower case."""
        sent = {**({"content-type": "application/json", "content-digest": digest_of(body)} if body else {})}
        sent |= headers or {}
        names = covered if covered is not None else (*ALWAYS, *sorted(sent))
        values: dict[str, Any] = {**sent, "@method": method, "@path": path, "@query": f"?{query}"}
        components = " ".join(f'"{name}"' for name in names)
        parameters = f'({components});created={int(created)};nonce="{nonce}";keyid="{self.key_id}"{extra}'
        lines = [f'"{name}": {values[name]}' for name in names] + [f'"@signature-params": {parameters}']
        signature = hmac.new(self.secret.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
        value = base64.b64encode(signature).decode()
        return {**sent, "signature-input": f"sig1={parameters}", "signature": f"sig1=:{value}:"}
