"""What does not fit into one answer is fetched to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kkbida import Client
from kkbida.cli.tasks import whole
from tests.sdk.conftest import Said, Scripted, whole_task
from tests.sdk.test_client import Waited


def attempt(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "round": 1,
        "started_at": "2026-12-01T12:00:00.000Z",
        **dict.fromkeys(("duration_ms", "status_code", "verdict", "kind", "reason", "reply", "wait")),
        "reply_truncated": False,
    }


PAGES = (
    Said(200, {"attempts": [attempt(4), attempt(3)], "cursor": "3"}),
    Said(200, {"attempts": [attempt(2), attempt(1)], "cursor": None}),
)


@pytest.mark.parametrize("kind", [Client, Waited], ids=["threads", "asyncio"])
def test_all_attempts_of_a_task_are_fetched_newest_first(kind: Callable[..., Any], scripted: Scripted) -> None:
    scripted.will_say(*PAGES)
    with kind(scripted.url) as client:
        assert [it.number for it in client.attempts("t")] == [4, 3, 2, 1]
    assert [it.target for it in scripted.came] == [
        "/v1/tasks/t/attempts?limit=100",
        "/v1/tasks/t/attempts?cursor=3&limit=100",
    ]


def test_a_task_is_shown_with_its_older_attempts(scripted: Scripted) -> None:
    scripted.will_say(Said(200, whole_task(attempts=[attempt(5), attempt(6)], attempts_cursor="5")), *PAGES)
    with Client(scripted.url) as client:
        task = whole(client, "t")
    assert [it.number for it in task.attempts] == [it["number"] for it in task.shown["attempts"]] == [1, 2, 3, 4, 5, 6]
    assert task.shown["attempts_cursor"] is None
    assert "cursor=5" in scripted.came[1].target


def test_a_list_of_several_parts_is_fetched_to_its_end(scripted: Scripted) -> None:
    scripted.will_say(Said(200, {"channels": [{"memo": "a"}], "cursor": "1"}), Said(200, {"channels": [{"memo": "b"}]}))
    with Client(scripted.url) as client:
        assert [it["memo"] for it in client.rows("/v1/channels", "channels")] == ["a", "b"]
