"""What knowing a caller by its signature adds to a request.

    python -m benchmarks.verification

Each figure is the best of seven runs of a thousand: reading the signature, the digest, the HMAC, the rights.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from functools import partial
from random import Random

from chalicelib import auth
from chalicelib.call import Call
from chalicelib.embedded import open_embedded
from chalicelib.errors import SignatureWrong
from chalicelib.keyring import DerivedKeys
from chalicelib.outbound import Outbound
from chalicelib.ports import World
from chalicelib.settings import load
from chalicelib.signing import fingerprint
from chalicelib.task import SCOPES, Audit, Caller, Right
from chalicelib.vault import MemoryVault
from chalicelib.world import SystemClock
from tests.signer import Signer

RUNS, TIMES = 7, 1000
QUERY = {"limit": ["20"], "q": ["partner example"], "since": ["2026-11-01T00:00:00Z"], "status": ["exhausted"]}
WRITTEN = "limit=20&q=partner%20example&since=2026-11-01T00%3A00%3A00Z&status=exhausted"


def main() -> None:
    """Measure and print."""
    here, clock = _world(), SystemClock()
    signer = _caller(here)
    stranger = Signer(key_id="key_000000000000000000000000", secret=signer.secret)
    small, large = (
        json.dumps({"url": "https://partner.example/", "body": "x" * size}).encode() for size in (150, 10_000)
    )
    for name, by, body, written in (
        ("POST, a body of 200 bytes", signer, small, ""),
        ("POST, a body of 10 KB", signer, large, ""),
        ("GET, a query of four", signer, b"", WRITTEN),
        ("POST, an unknown key", stranger, small, ""),
    ):
        method = "POST" if body else "GET"
        headers = by.sign(method, "/v1/tasks", query=written, body=body, created=clock.now())
        call = Call(headers=headers, body=body, query=QUERY if written else {}, url_path="/v1/tasks")
        right = Right.SUBMIT if body else Right.READ
        print(f"{name:28} {_micros(partial(_identify, here, method, call, right)):6.1f} µs")


def _identify(here: World, method: str, call: Call, right: Right) -> None:
    try:
        who = auth.identify(here, method, call)
        auth.admit(here, who, method, call, right, same_again=True)
    except SignatureWrong:
        assert "key_000000000000000000000000" in call.headers["signature-input"]


def _micros(work: Callable[[], None]) -> float:
    return min(timeit.repeat(work, repeat=RUNS, number=TIMES)) / TIMES * 1e6


def _world() -> World:
    settings, clock = load({}), SystemClock()
    store, queues = open_embedded(":memory:", settings, clock)
    return World(
        settings=settings,
        store=store,
        queues=queues,
        http=Outbound(settings),
        keyring=DerivedKeys(store, MemoryVault(), clock),
        clock=clock,
        random=Random(1),
    )


def _caller(here: World) -> Signer:
    """A caller among a hundred."""
    for number in range(100):
        key_id = f"key_{number:024x}"
        secret = here.keyring.make_secret(key_id)
        caller = Caller(
            key_id=key_id,
            source_app="orders",
            scopes=SCOPES,
            fingerprint=fingerprint(secret.encode()),
            created_at=0,
            created_by="benchmark",
        )
        here.store.add_caller(
            caller, Audit(at=0, actor="benchmark", action="create-caller", subject=key_id, address="")
        )
    return Signer(key_id=key_id, secret=secret)


if __name__ == "__main__":
    main()
