"""Small makers: one valid thing each, and whatever a test names is different."""

from __future__ import annotations

from chalicelib import life
from chalicelib.errors import Kind, SendFailed
from chalicelib.ports import Outgoing, Reply
from chalicelib.settings import load
from chalicelib.task import Attempt, Channel, Expectation, Json, Policy, Request, Task, Verdict, evolve

NOON = 1_764_590_400.0
"""2025-12-01T12:00:00Z"""

GRACE, LEASE, RETENTION = 600, 75, 30 * 86_400

SETTINGS = load({})


class AnyAddress:
    """A door that lets every address pass but those of `refused.example`, and is never opened."""

    def check(self, url: str) -> None:
        if "refused.example" in url:
            raise SendFailed(Kind.FORBIDDEN, "refused.example is at 127.0.0.1, which is not allowed.")

    def send(self, outgoing: Outgoing) -> Reply:
        raise AssertionError(f"nothing is sent in these tests, but {outgoing.url}")


def policy(**changes: Json) -> Policy:
    given = {"max_attempts": 5, "backoff": "exponential", "initial": 5, "factor": 3, "cap": 100, "deadline": 86_400}
    return Policy(**{**given, **changes})


def request(**changes: Json) -> Request:
    given = {"url": "https://partner.example/callback", "expect": Expectation(), "retry": policy(), "timeout": 10}
    return Request(**{**given, **changes})


def task(**changes: Json) -> Task:
    begun = life.begin(request(), task_id="task-1", caller="caller", digest="digest", now=NOON, grace=GRACE)
    return evolve(begun, **changes)


def claimed(it: Task, *, at: float = NOON) -> Task:
    return life.claim(it, now=at, lease=LEASE)


def failed(it: Task, **changes: Json) -> Attempt:
    """The attempt that owns `it`, as it failed."""
    given = {"started_at": it.claimed_at, "verdict": Verdict.FAILED, "wait": 30}
    return Attempt(number=it.number, round=it.round, fence=it.fence, **{**given, **changes})


def reply(body: str | bytes = "", status: int = 200, content_type: str = "text/plain") -> Reply:
    sent = body.encode() if isinstance(body, str) else body
    return Reply(status=status, headers={"content-type": content_type}, body=sent)


def channel(**changes: Json) -> Channel:
    given = {
        "channel_id": "channel-1",
        "kind": "dingtalk",
        "url": "https://oapi.dingtalk.com/robot/send?access_token=t0k3n",
    }
    return Channel(**{**given, "created_at": NOON, "updated_at": NOON, **changes})
