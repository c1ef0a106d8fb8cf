"""What the AWS adapters send: which reads are consistent, what expires, and in which order two writes leave.

No emulator enforces these, and AWS does: a stale read or a missing `expires_at` shows up weeks later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import life
from chalicelib.ports import Acts, Message, Parcel, Queue
from chalicelib.queues import SqsQueues
from chalicelib.store import PART_OF_ROLL, DynamoStore, prolong
from chalicelib.task import Task, Tries, evolve
from tests.contract import aws
from tests.contract.samples import GRACE, LEASE, NOW, attempt, audit, mention, notice, request, resend, session, task

Call = tuple[str, dict[str, Any]]


@dataclass
class Wire:
    """A store on moto, and every call that it makes, in order."""

    store: DynamoStore
    calls: list[Call] = field(default_factory=list)

    def listen(self) -> None:
        events = self.store._table._connection.connection.client.meta.events
        events.register("before-parameter-build.dynamodb", self._note)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.name, params))

    def reads(self) -> list[Call]:
        """Reads of the table itself: an index is never consistent."""
        reads = {"GetItem", "BatchGetItem", "Query"}
        return [(name, params) for name, params in self.calls if name in reads and "IndexName" not in params]

    def written(self) -> list[dict[str, Any]]:
        """The items that were put, in the order of the calls."""
        puts = []
        for name, params in self.calls:
            if name == "PutItem":
                puts.append(params["Item"])
            elif name == "TransactWriteItems":
                puts += [it["Put"]["Item"] for it in params["TransactItems"] if "Put" in it]
        return puts


@pytest.fixture
def wire() -> Iterator[Wire]:
    with aws.moto() as endpoint:
        wire = Wire(DynamoStore(aws.table(endpoint)))
        wire.listen()
        yield wire


def retrying(store: DynamoStore, new: Task) -> Task:
    assert store.add(new) is None
    owned = store.claim(new.task_id, new.ticket, now=NOW + 1, lease=LEASE)
    assert isinstance(owned, Task)
    waiting = life.retry_later(owned, attempt(owned), now=NOW + 2, grace=GRACE, parked=False)
    assert store.replace(owned, waiting) is waiting
    return waiting


def is_consistent(params: dict[str, Any]) -> bool:
    if "RequestItems" in params:
        return all(asked.get("ConsistentRead") is True for asked in params["RequestItems"].values())
    return params.get("ConsistentRead") is True


def test_every_read_of_the_table_is_consistent(wire: Wire) -> None:
    """What is decided on a stale read is decided again, wrongly: a lost claim, a notification sent twice."""
    store = wire.store
    waiting = retrying(store, task(asked=request(body="x" * 5000, ordering_key="a")))
    assert store.mention(mention(waiting.task_id))
    settled = store.settle(notice(), store.gathered("n-1", 10))
    assert settled is not None
    assert store.names(settled, mention(waiting.task_id))
    store.get(waiting.task_id)
    store.attempts(waiting)
    store.keep(waiting.task_id, attempt(waiting))
    store.whose_turn(waiting.line, NOW)
    store.due(NOW + 10_000, 10)
    store.mentions(waiting.task_id)
    store.notice("n-1")
    store.desk("team")
    store.robot("r")
    store.audits(waiting.task_id)
    store.acts(Acts(), None, 10, now=NOW)
    store.channels()
    store.targets()
    store.gate("https://partner.example:443")
    store.resends()
    store.signing_secrets()
    store.callers()
    store.roster()
    store.operator("小王")
    store.session("hash", "小王")
    store.tries("小王")
    store.checked()
    assert len(wire.reads()) > 25
    assert [call for call in wire.reads() if not is_consistent(call[1])] == []


def test_everything_that_is_no_task_and_grows_without_end_expires(wire: Wire) -> None:
    store = wire.store
    store.use_once("nonce", NOW + 300)
    store.save_tries(Tries(of="小王", failed=1, last_at=NOW, expires_at=NOW + 3600, version=1))
    store.add_session(session(), audit("小王"))
    store.note(audit("team"))
    store.save_resend(resend(expires_at=int(NOW) + 10))
    many = [mention(f"t-{n}", expires_at=int(NOW) + 10) for n in range(PART_OF_ROLL + 1)]
    assert all(map(store.mention, many))
    store.settle(notice(expires_at=int(NOW) + 20), many)
    items = wire.written()
    assert len(items) > 2 * len(many)
    assert [(item["pk"]["S"], item["sk"]["S"]) for item in items if "expires_at" not in item] == []


def test_of_two_that_prolong_at_a_time_the_later_moment_holds(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has read when the records expire, and sleeps; meanwhile another keeps them for longer."""
    table, settings = wire.store._table, wire.store._settings
    first = task("t-1", asked=request(body="x" * 5000))
    assert wire.store.add(first) is None
    sooner, later = (evolve(first, wake_at=first.deadline_at + days * 86_400) for days in (5, 10))

    def kept_until() -> float:
        [moment] = [it["expires_at"]["N"] for it in table.query("t-1") if "expires_at" in it]
        return float(moment)

    before, query = kept_until(), table.query

    def slow_query(*given: Any, **more: Any) -> list[Any]:
        found = query(*given, **more)
        monkeypatch.undo()
        prolong(table, later, settings)
        return found

    monkeypatch.setattr(table, "query", slow_query)
    prolong(table, sooner, settings)
    assert kept_until() == before + 10 * 86_400


def test_a_mention_that_is_refused_leaves_no_copy_in_the_notification_it_wanted_to_join(wire: Wire) -> None:
    store = wire.store
    assert store.mention(mention("t-1", "first"))
    assert not store.mention(mention("t-1", "second"))
    assert store.gathered("second", 10) == []
    assert [it.subject for it in store.gathered("first", 10)] == ["t-1"]


def test_the_parts_of_a_roll_are_written_before_the_notification_that_names_them(wire: Wire) -> None:
    """Settled without them, it would name none of those whose part is missing when the process dies in between."""
    many = [mention(f"t-{n}") for n in range(3 * PART_OF_ROLL)]
    wire.store.settle(notice(), many)
    names = [item["sk"]["S"].partition("#")[0] for item in wire.written()]
    assert names == ["roll"] * (len(names) - 1) + ["notice"]
    assert len(names) > 3


def test_what_lies_beside_a_row_is_written_before_the_row(wire: Wire) -> None:
    wire.store.add(task("t-1", asked=request(body="x" * 5000)))
    assert [item["sk"]["S"].partition("#")[0] for item in wire.written()] == ["request", "task"]
    owned = wire.store.claim("t-1", 1, now=NOW + 1, lease=LEASE)
    assert isinstance(owned, Task)
    wire.calls.clear()
    failed = attempt(owned, reply="y" * 5000, reply_bytes=5000)
    wire.store.replace(owned, life.retry_later(owned, failed, now=NOW + 2, grace=GRACE, parked=False))
    assert [name for name, _ in wire.calls if name in ("PutItem", "UpdateItem")] == ["PutItem", "UpdateItem"]


def test_the_version_of_the_roster_is_read_before_the_users(wire: Wire) -> None:
    """Read after them, it would cover a change that the list does not show, and the next write would undo it."""
    wire.store.roster()
    assert [name for name, _ in wire.calls] == ["GetItem", "Query"]


# ── SQS ──────────────────────────────────────────────────────────────────────────────────────────


def test_waits_and_delays_are_rounded_up_to_whole_seconds() -> None:
    """SQS takes whole seconds. Rounded down, a message comes before its task is due and is received twice."""
    with aws.moto() as endpoint:
        queues, sent = SqsQueues(aws.queues(endpoint)), list[int]()

        def note(params: dict[str, Any], **_: Any) -> None:
            entries = [params, *params.get("Entries", [])]
            sent.extend(
                entry[name] for entry in entries for name in ("DelaySeconds", "VisibilityTimeout") if name in entry
            )

        queues._sqs.meta.events.register("before-parameter-build.sqs", note)
        message = Message("t-1", 1, "https://partner.example:443", None)
        queues.send(Queue.TASKS, message, group="g", delay=0.2)
        queues.send_all(Queue.TASKS, [Parcel(message, group="g", delay=1.2)])
        queues.send(Queue.TASKS, message, group="g")
        [received] = queues.receive(Queue.TASKS)
        queues.hide(Queue.TASKS, {received.receipt: 2.2})
        assert sent == [1, 2, 0, 3]
