"""Both clients against a real local run: they do the same, each in its own way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest

import kkbida
from kkbida import (
    AsyncClient,
    Changes,
    Client,
    Expect,
    Filter,
    Forbidden,
    IdempotencyConflict,
    InvalidRequest,
    NotFinalYet,
    NotFound,
    Patience,
    Retry,
    Status,
    Task,
    Unauthorized,
    Unreachable,
    WrongStatus,
)
from kkbida.operations import show
from kkbida.tasks import new_key
from tests.local.conftest import Run
from tests.sdk.conftest import Said, Scripted, shown_task

ONCE = Retry(max_attempts=1)


class Waited:
    """An AsyncClient that looks like a Client: each call is run to its end."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._make(*given, **more))

    async def _make(self, *given: Any, **more: Any) -> AsyncClient:
        return AsyncClient(*given, **more)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def run(*given: Any, **more: Any) -> Any:
            return self._runner.run(finished(getattr(self._client, name)(*given, **more)))

        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._runner.close()


async def finished(it: Awaitable[Any] | AsyncIterator[Any]) -> Any:
    return await it if isinstance(it, Awaitable) else [each async for each in it]


Kind = Callable[..., Any]


@pytest.fixture(params=[Client, Waited], ids=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Kind:
    made: Kind = request.param
    return made


@pytest.fixture
def client(kind: Kind, run: Run, key: tuple[str, str]) -> Iterator[Any]:
    with kind(run.access["api"], *key) as client:
        yield client


def to(run: Run, path: str, **members: Any) -> Task:
    return Task(run.access["receiver"] + path, **members)


def test_a_task_is_handed_over_and_arrives(client: Any, run: Run) -> None:
    task = to(
        run,
        "/fail/1",
        body={"order": 42, "city": "上海"},
        headers={"X-Order": "42"},
        expect=Expect(status=["2xx"], contains="success"),
        retry=Retry(schedule=[0.2]),
        labels={"order": "42"},
    )
    task_id = client.call(task)
    found = client.wait(task_id, timeout=30)
    assert (found.status, found.labels, found.source_app) == (Status.DELIVERED, {"order": "42"}, "orders")
    assert [(it.number, it.status_code, it.verdict) for it in found.attempts] == [
        (1, 503, "failed"),
        (2, 200, "delivered"),
    ]
    assert found.created_at.tzinfo is not None
    [*_, last] = run.partner("GET", f"/received?webhook_id={task_id}").json["received"]
    assert "上海" in last["body"]


def test_the_same_task_handed_over_twice_is_one(client: Any, run: Run) -> None:
    task = to(run, "/ok")
    assert client.call(task) == client.call(task)
    with pytest.raises(IdempotencyConflict):
        client.call(to(run, "/ok", body="else", idempotency_key=task.idempotency_key))


def test_every_fault_comes_back(client: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.call(Task("ftp://partner.example", timeout=-1))
    assert {fault.pointer for fault in raised.value.faults} == {"/url", "/timeout"}


def test_a_batch_says_of_each_what_became_of_it(client: Any, run: Run) -> None:
    tasks = [to(run, "/ok"), Task("nowhere"), to(run, "/ok")]
    good, bad, other = client.batch(tasks)
    assert client.wait(good.task_id).status == client.wait(other.task_id).status == "delivered"
    assert [fault.pointer for fault in bad.problem.faults] == ["/url"]


def test_a_list_goes_over_all_pages_newest_first(client: Any, run: Run) -> None:
    mark = f"list={new_key()}"
    ids = [it.task_id for it in client.batch([to(run, f"/ok?{mark}") for _ in range(5)])]
    listed = list(client.list(Filter(q=mark, since=datetime.now(UTC) - timedelta(hours=1)), page_size=2))
    assert sorted(it.task_id for it in listed) == sorted(ids)
    assert [it.created_at for it in listed] == sorted((it.created_at for it in listed), reverse=True)
    assert list(client.list(Filter(q=mark, status=Status.EXHAUSTED))) == []


def test_an_exhausted_task_is_resent_with_changes(client: Any, run: Run) -> None:
    task_id = client.call(to(run, "/status/500", retry=ONCE))
    assert client.wait(task_id).status == Status.EXHAUSTED
    assert client.resend(task_id, Changes(url=run.access["receiver"] + "/ok", retry=ONCE)).round == 2
    found = client.wait(task_id)
    assert (found.status, [it.round for it in found.attempts]) == (Status.DELIVERED, [1, 2])
    assert found.audit[-1].action


def test_a_scheduled_task_can_be_delivered_now_or_called_off(client: Any, run: Run) -> None:
    soon, never = client.call(to(run, "/ok", delay=3600)), client.call(to(run, "/ok", delay=3600))
    assert client.get(soon).scheduled
    client.deliver_now(soon)
    assert client.wait(soon).status == Status.DELIVERED
    assert client.cancel(never).status == Status.CANCELLED
    with pytest.raises(WrongStatus):
        client.cancel(never)


def test_wait_gives_up_in_time(client: Any, run: Run) -> None:
    with pytest.raises(NotFinalYet):
        client.wait(client.call(to(run, "/ok", delay=3600)), timeout=0.2)


@pytest.mark.parametrize("wrong", ["key_unknown", "secret"])
def test_who_signs_with_a_wrong_key_is_refused(kind: Kind, run: Run, key: tuple[str, str], wrong: str) -> None:
    key_id, secret = key
    given = (wrong, secret) if wrong == "key_unknown" else (key_id, secret + "x")
    with kind(run.access["api"], *given) as client, pytest.raises(Unauthorized) as raised:
        client.call(to(run, "/ok"))
    assert raised.value.code == "signature_wrong"


def test_what_is_not_within_a_callers_rights_is_forbidden(client: Any, run: Run) -> None:
    with pytest.raises(Forbidden):
        client.call(to(run, "/ok", source_app="billing"))
    with pytest.raises(Forbidden):
        client.do(show("/v1/channels"))


def test_an_unknown_task_is_not_found(client: Any) -> None:
    with pytest.raises(NotFound):
        client.get("no such/task")


# ── what the network does ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_where_nobody_listens_is_unreachable_and_certainly_nothing_was_sent(kind: Kind, free_port: int) -> None:
    with kind(f"http://127.0.0.1:{free_port}", patience=Patience(total=0)) as client:
        with pytest.raises(Unreachable) as raised:
            client.cancel("id-1")
        assert raised.value.never_sent


def test_a_reply_that_got_lost_leaves_a_doubt(kind: Kind, scripted: Scripted) -> None:
    scripted.will_say(Said(0))
    with kind(scripted.url, patience=Patience(total=0)) as client:
        with pytest.raises(Unreachable) as raised:
            client.call(Task("https://partner.example"))
        assert not raised.value.never_sent


def test_a_connection_that_breaks_is_made_again(kind: Kind, scripted: Scripted) -> None:
    scripted.will_say(Said(0), Said(503, b"busy"), Said(202, shown_task()))
    with kind(scripted.url, patience=Patience(first=0.001)) as client:
        assert client.call(Task("https://partner.example")) == shown_task()["task_id"]
    assert len(scripted.came) == 3


def test_a_redirect_is_not_followed_and_a_cookie_is_not_kept(kind: Kind, scripted: Scripted) -> None:
    leave = Said(302, None, {"Location": "/elsewhere", "Set-Cookie": "kkbida_session=theirs"})
    scripted.will_say(leave, Said(202, shown_task()))
    with kind(scripted.url) as client:
        with pytest.raises(kkbida.Unintelligible):
            client.call(Task("https://partner.example"))
        client.call(Task("https://partner.example"))
    assert [(it.target, it.headers.get("cookie")) for it in scripted.came] == [("/v1/tasks", None)] * 2


def test_no_password_of_a_netrc_file_goes_along(
    kind: Kind, scripted: Scripted, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password theirs\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    scripted.will_say(Said(202, shown_task()))
    with kind(scripted.url) as client:
        client.call(Task("https://partner.example"))
    assert "authorization" not in scripted.came[0].headers


def test_threads_may_share_one(run: Run, key: tuple[str, str]) -> None:
    tasks = [to(run, "/ok") for _ in range(20)]
    ready = threading.Barrier(4)

    def hand_over(mine: list[Task]) -> list[str]:
        ready.wait()
        return [shared.call(task) for task in mine]

    with Client(run.access["api"], *key) as shared, ThreadPoolExecutor(4) as pool:
        ids = [it for some in pool.map(hand_over, [tasks[first::4] for first in range(4)]) for it in some]
    assert len(set(ids)) == 20


@pytest.mark.parametrize(
    "url", ["", "kkbida.example", "ftp://kkbida.example", "https://", "https://kkbida.example/?a=1"]
)
def test_what_is_no_url_is_refused_at_once(kind: Kind, url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of an API"):
        kind(url)


def test_half_a_key_is_refused_at_once(kind: Kind) -> None:
    with pytest.raises(ValueError, match="both key_id and secret"):
        kind("https://kkbida.example", "key_7")


@pytest.mark.parametrize("url", ["{0}", "{0}/", "{0}/prod", "{0}/prod/"])
def test_a_slash_at_the_end_of_the_url_makes_no_difference(kind: Kind, scripted: Scripted, url: str) -> None:
    scripted.will_say(Said(202, shown_task()))
    with kind(url.format(scripted.url)) as client:
        client.call(Task("https://partner.example"))
    assert scripted.came[0].target == ("/prod" if "prod" in url else "") + "/v1/tasks"
