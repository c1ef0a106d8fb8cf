"""What schemathesis does beside what the document tells it: where tasks may go, what else an answer must be.

It runs in schemathesis' own process, for `test_fuzz.py`. The signatures are those that schemathesis calls.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

from chalicelib.show import PROBLEM

RECEIVER = os.environ["FUZZ_RECEIVER"]
"""Address of the flaky receiver: the only one that anything may be sent to."""

PORT = RECEIVER.rpartition(":")[2]

WELCOME = [f"{RECEIVER}{path}" for path in ("/ok", "/fail/1", "/status/500", "/status/404", "/wrong-body", "/cut")]
HOSTILE = [
    f"http://{host}:{PORT}/"
    for host in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[fe80::1]")
]
ADDRESSES = [*WELCOME, *WELCOME, *HOSTILE, f"ftp://127.0.0.1:{PORT}/", f"http://me@127.0.0.1:{PORT}/", "http://[/"]

ELSEWHERE = "http://127.0.0.1:9"
"""A target that no task goes to."""

LONGEST_URL = 4000
SHORT_KEY = 240
MANY, BAD_REQUEST = 207, 400

AS_BEFORE = "/api/addTask"
"""The route of the predecessor's clients, who are told in plain text what is wrong, or nothing at all."""

NO_WORDS = (401, 403, 503)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - see above
    """Puts an address of ours in the place of every URL that has the right form, whatever made it.

    So no name is looked up, and nothing is sent but to the receiver. The body decides which address it is, and gives
    most keys an end of their own.
    """
    dice = zlib.crc32(repr(case.body).encode(errors="backslashreplace"))
    if isinstance(case.body, dict):
        case.body = all_addressed(case.body, dice)
    if (case.operation.method, case.operation.path) == ("patch", "/v1/targets") and PORT in str(case.query):
        case.query["target"] = ELSEWHERE  # what is held for a target is not tried
    key = case.headers.get("Idempotency-Key", "")
    if 0 < len(key) <= SHORT_KEY and dice % 4:  # else most tasks would meet another one's key
        case.headers["Idempotency-Key"] = f"{key}{dice}"


def all_addressed(body: dict[str, Any], dice: int) -> Any:
    """A body with a task, or a batch of them."""
    tasks = body.get("tasks")
    batch = [addressed(it, dice + number) for number, it in enumerate(tasks)] if isinstance(tasks, list) else tasks
    return addressed({**body, "tasks": batch} if isinstance(tasks, list) else body, dice)


def addressed(submitted: Any, dice: int) -> Any:
    """What was submitted, to an address of ours."""
    if isinstance(submitted, dict) and has_right_form(submitted.get("url")):
        return {**submitted, "url": ADDRESSES[dice % len(ADDRESSES)]}
    return submitted


def has_right_form(url: Any) -> bool:
    return isinstance(url, str) and 0 < len(url) <= LONGEST_URL


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:  # noqa: ARG001 - see above
    """Notes every task that was promised."""
    with Path(os.environ["FUZZ_PROMISED"]).open("a") as promised:
        promised.writelines(f"{task_id}\n" for task_id in promised_in(case, response))


def promised_in(case: Case[Any], response: Response) -> list[str]:
    """The tasks that an answer promises."""
    answer = (case.operation.method, case.operation.path, response.status_code)
    if answer == ("post", "/v1/tasks", 202):
        return [response.json()["task_id"]]
    if answer == ("post", AS_BEFORE, 200):
        return [response.text]
    is_dry_run = isinstance(case.body, dict) and bool(case.body.get("dry_run"))
    results = response.json()["results"] if response.status_code == MANY and not is_dry_run else []
    return [result["task"]["task_id"] for result in results if "task" in result]


@schemathesis.check
def a_refusal_is_a_problem(ctx: CheckContext, response: Response, case: Case[Any]) -> None:  # noqa: ARG001 - see above
    """Also where the document says nothing of it, such as for a wrong method."""
    if case.operation.path == AS_BEFORE and response.status_code in NO_WORDS:
        assert response.text == ""
    elif case.operation.path == AS_BEFORE and response.status_code == BAD_REQUEST:
        assert response.text.startswith("任务添加失败")
    elif response.status_code >= BAD_REQUEST:
        assert response.headers["content-type"] == ["application/problem+json"]
        assert list(PROBLEM.faults(response.json(), "")) == []


@schemathesis.check
def no_answer_shows_the_code(ctx: CheckContext, response: Response, case: Case[Any]) -> None:  # noqa: ARG001 - see above
    """No trace, no path of a file."""
    assert not [word for word in ("Traceback", ".py", "site-packages") if word in response.text], response.text
