"""Tasks, attempts and the like, complete and plausible, for tests that care about one thing about them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar
from uuid import uuid4

from chalicelib import life
from chalicelib.task import (
    Attempt,
    Audit,
    Caller,
    Channel,
    Expectation,
    Gist,
    Mention,
    Notice,
    Operator,
    Policy,
    Request,
    Resend,
    Role,
    Session,
    SigningSecret,
    Task,
    Verdict,
    evolve,
)
from chalicelib.vault import MemoryVault

NOW = 1_900_000_000.0
"""A moment in 2030, 17:46:40 UTC: late enough that no real clock lets a sample expire."""

HOUR, DAY = 3600, 86_400
LEASE = 75
GRACE = 600
RETENTION = 30 * DAY

T = TypeVar("T")


def request(**changes: Any) -> Request:
    """A small POST, tried up to three times, a minute apart."""
    small = Request(
        url="https://partner.example/callback",
        headers={"X-Order": "42"},
        body={"order": 42},
        expect=Expectation(contains="success"),
        retry=Policy(max_attempts=3, backoff="fixed", initial=60, deadline=DAY),
        timeout=10,
    )
    return evolve(small, **changes)


def task(task_id: str | None = None, *, at: float = NOW, asked: Request | None = None, **changes: Any) -> Task:
    """A task accepted `at`, of its own id."""
    begun = life.begin(
        asked or request(), task_id=task_id or str(uuid4()), caller="tests", digest="d" * 32, now=at, grace=GRACE
    )
    return evolve(begun, **changes)


def attempt(of: Task, verdict: Verdict = Verdict.FAILED, **changes: Any) -> Attempt:
    """The result of the claim that `of` just got: a 503, or a success."""
    ok = verdict is Verdict.DELIVERED
    plain = Attempt(
        number=of.number,
        round=of.round,
        fence=of.fence,
        started_at=of.claimed_at,
        verdict=verdict,
        duration_ms=120,
        status_code=200 if ok else 503,
        kind=None if ok else "reply",
        reason=None if ok else "status 503 not in 2xx",
        reply="success" if ok else "busy",
        reply_bytes=7 if ok else 4,
        wait=None if ok else 60,
        phases=(2, 11, None, 100, 1),
    )
    return evolve(plain, **changes)


def audit(subject: str, *, at: float = NOW, action: str = "task.cancel", **detail: Any) -> Audit:
    """What an operator did to `subject`."""
    return Audit(at=at, actor="晓明", action=action, subject=subject, address="192.0.2.7", detail=detail)


def mention(subject: str, notice_id: str = "n-1", *, at: float = NOW, **changes: Any) -> Mention:
    """A mention that is about to be stored for the first time."""
    fresh = Mention(
        subject=subject,
        round=1,
        channel_id="team",
        channel_kind="dingtalk",
        notice_id=notice_id,
        target="https://partner.example:443",
        created_at=at,
        due_at=at + 60,
    )
    return evolve(fresh, **changes)


def notice(notice_id: str = "n-1", *, at: float = NOW, **changes: Any) -> Notice:
    """A notice that is about to be settled."""
    fresh = Notice(
        notice_id=notice_id,
        channel_id="team",
        channel_kind="dingtalk",
        gist=Gist(tasks=1, targets={"https://partner.example:443": 1}, first=("t-1",)),
        due_at=at,
        created_at=at,
    )
    return evolve(fresh, **changes)


def channel(channel_id: str = "team", *, at: float = NOW, **changes: Any) -> Channel:
    """A channel that is about to be stored for the first time."""
    fresh = Channel(
        channel_id=channel_id,
        kind="dingtalk",
        url="https://robot.example/send?access_token=t",
        secret="SEC",
        template='{"text": "任务 ${taskId} 失败"}',
        source_apps=("orders",),
        version=1,
        created_at=at,
        updated_at=at,
    )
    return evolve(fresh, **changes)


def resend(resend_id: str = "again", *, at: float = NOW, **changes: Any) -> Resend:
    """A bulk resend that is about to be stored for the first time."""
    fresh = Resend(
        resend_id=resend_id,
        filter={"status": "exhausted", "q": "回调"},
        rate=2.5,
        actor="晓明",
        address="192.0.2.7",
        started_at=at,
    )
    return evolve(fresh, **changes)


def caller(key_id: str = "first", *, at: float = NOW, **changes: Any) -> Caller:
    """A caller of the app 订单, made `at`."""
    fresh = Caller(
        key_id=key_id,
        source_app="订单",
        scopes=("submit", "read"),
        networks=("10.0.0.0/8",),
        fingerprint="0123456789ab",
        created_at=at,
        created_by="小王",
    )
    return evolve(fresh, **changes)


def operator(name: str = "小王", *, at: float = NOW, **changes: Any) -> Operator:
    """An admin, made `at`."""
    fresh = Operator(
        name=name,
        role=Role.ADMIN,
        password="scrypt$1$1$1$c2FsdA$aGFzaA",
        era="now",
        device_key="by chance",
        created_at=at,
        created_by="command",
        password_at=at,
    )
    return evolve(fresh, **changes)


def session(session_id: str = "hash", *, at: float = NOW, **changes: Any) -> Session:
    """A session of that admin, begun `at`."""
    fresh = Session(
        session_id=session_id, operator="小王", era="now", seen_at=at, expires_at=at + HOUR, ends_at=at + DAY
    )
    return evolve(fresh, **changes)


def signing_secret(secret_id: str = "first", *, at: float = NOW, **changes: Any) -> SigningSecret:
    """A signing secret that is about to be stored."""
    fresh = SigningSecret(secret_id=secret_id, source_app="订单", fingerprint="0123456789ab", created_at=at)
    return evolve(fresh, **changes)


def at_once(threads: int, work: Callable[[int], T]) -> list[T]:
    """What `work(0)`, `work(1)` ... return, begun together, each in its own thread."""
    start = Barrier(threads)

    def begin(number: int) -> T:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


VAULT = MemoryVault()
"""The master key of stores that are opened by hand."""
