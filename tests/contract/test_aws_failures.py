"""What the AWS adapters make of an AWS that cannot serve: `Unavailable`, soon, and never a secret in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.errors import Unavailable
from chalicelib.ports import Message, Parcel, Query, Queue
from chalicelib.queues import SqsQueues
from chalicelib.settings import Settings, load
from chalicelib.store import DynamoStore
from chalicelib.task import evolve
from tests.contract.samples import NOW, VAULT, audit, channel, task
from tests.wire import THROTTLED, Answer, Call, Fate, Rule, refusal, wire

SECRET = "wJalrXUtnFEMI"


@contextmanager
def broken_aws(rule: Rule) -> Iterator[tuple[Settings, list[str]]]:
    """Settings that lead to an AWS that answers so, and the operations it is asked for."""
    with wire(rule) as broken:
        yield settings(broken.url), broken.asked


def settings(url: str) -> Settings:
    queue_urls = {"KKBIDA_TASK_QUEUE_URL": f"{url}/0/tasks", "KKBIDA_EXHAUSTED_QUEUE_URL": f"{url}/0/exhausted"}
    return load({"KKBIDA_ENDPOINT": url, **queue_urls})


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


STORE_CALLS: Mapping[str, Callable[[DynamoStore], object]] = {
    "PutItem": lambda store: store.add(task()),
    "UpdateItem": lambda store: store.claim("t", 1, now=NOW, lease=75),
    "GetItem": lambda store: store.get("t"),
    "Query": lambda store: store.page(Query(source_app="orders"), None, 10),
    "BatchGetItem": lambda store: store.totals(),
    "TransactWriteItems": lambda store: store.save_channel(channel(), audit("team")),
}

QUEUE_CALLS: Mapping[str, Callable[[SqsQueues], object]] = {
    "SendMessageBatch": lambda queues: queues.send_all(Queue.TASKS, [Parcel(Message("t", 1), "g")]),
    "SendMessage": lambda queues: queues.send(Queue.TASKS, Message("t", 1), group="g"),
    "ReceiveMessage": lambda queues: queues.receive(Queue.TASKS),
    "ChangeMessageVisibilityBatch": lambda queues: queues.hide(Queue.TASKS, {"receipt": 1}),
    "DeleteMessageBatch": lambda queues: queues.delete(Queue.TASKS, ["receipt"]),
    "GetQueueAttributes": lambda queues: queues.in_flight(Queue.TASKS),
}


def nothing_secret_in(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    return not any(word in str(raised.value) for word in (SECRET, "AKIDEXAMPLE", "127.0.0.1"))


@pytest.mark.parametrize("operation", STORE_CALLS)
def test_a_table_that_is_throttled_is_unavailable_after_a_few_tries(operation: str) -> None:
    with broken_aws(lambda _: THROTTLED) as (reachable, asked):
        with pytest.raises(Unavailable) as raised:
            STORE_CALLS[operation](DynamoStore(evolve(reachable, shards=1), VAULT))
        assert asked == [operation] * aws.TRIES
        assert nothing_secret_in(raised)


@pytest.mark.parametrize("operation", QUEUE_CALLS)
def test_a_queue_that_fails_is_unavailable_after_a_few_tries(operation: str) -> None:
    with broken_aws(lambda _: refusal(500, "InternalFailure")) as (reachable, asked):
        with pytest.raises(Unavailable) as raised:
            QUEUE_CALLS[operation](SqsQueues(reachable))
        assert asked == [operation] * aws.TRIES
        assert nothing_secret_in(raised)


def test_a_connection_that_breaks_is_unavailable() -> None:
    with broken_aws(lambda _: Fate.REQUEST_LOST) as (reachable, _), pytest.raises(Unavailable) as raised:
        DynamoStore(reachable).ping()
    assert nothing_secret_in(raised)


def test_an_address_where_nobody_listens_is_unavailable() -> None:
    with broken_aws(lambda _: Fate.REQUEST_LOST) as (unreachable, _):
        pass
    with pytest.raises(Unavailable) as raised:
        SqsQueues(unreachable).in_flight(Queue.TASKS)
    assert nothing_secret_in(raised)


def test_a_fault_of_our_own_is_not_taken_for_a_passing_one() -> None:
    with broken_aws(lambda _: refusal(400, "AccessDeniedException")) as (reachable, asked):
        with pytest.raises(ClientError):
            DynamoStore(reachable).ping()
        assert asked == ["GetItem"], "it is not tried again"


def test_a_table_that_leaves_every_key_unread_is_unavailable() -> None:
    unread = {"Responses": {}, "UnprocessedKeys": {"kkbida": {"Keys": [{"pk": {"S": "a"}, "sk": {"S": "b"}}]}}}
    with broken_aws(lambda _: (200, unread)) as (reachable, _), pytest.raises(Unavailable):
        DynamoStore(evolve(reachable, shards=1), VAULT).totals()


def test_keys_that_are_left_unread_are_asked_for_again() -> None:
    def one_at_a_time(_: Call) -> Answer:
        left.pop()
        unprocessed = {"kkbida": {"Keys": left}} if left else {}
        item = {"pk": {"S": "counters"}, "sk": {"S": "total"}, "accepted": {"N": "1"}}
        return 200, {"Responses": {"kkbida": [item]}, "UnprocessedKeys": unprocessed}

    left = [{"pk": {"S": f"counters#{n}"}, "sk": {"S": "total"}} for n in range(3)]
    with broken_aws(one_at_a_time) as (reachable, asked):
        assert DynamoStore(evolve(reachable, shards=3)).totals() == {"accepted": 3}
        assert asked == ["BatchGetItem"] * 3


@pytest.mark.parametrize(
    ("reason", "expected", "tries"),
    [
        ("TransactionConflict", Unavailable, aws.TRIES),
        ("ThrottlingError", Unavailable, aws.TRIES),
        ("ValidationError", ClientError, 1),
    ],
)
def test_a_transaction_that_met_another_is_tried_again(reason: str, expected: type[Exception], tries: int) -> None:
    cancelled = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": [{"Code": "None"}, {"Code": reason}],
    }
    with broken_aws(lambda _: (400, cancelled)) as (reachable, asked):
        with pytest.raises(expected):
            DynamoStore(reachable, VAULT).save_channel(channel(), audit("team"))
        assert asked == ["TransactWriteItems"] * tries


@pytest.mark.parametrize(
    ("code", "sender_fault", "expected"),
    [("InternalError", False, Unavailable), ("InvalidParameterValue", True, ValueError)],
)
def test_an_entry_that_fails_in_a_batch_that_does_not(code: str, sender_fault: bool, expected: type[Exception]) -> None:
    failed = [{"Id": "0", "Code": code, "SenderFault": sender_fault, "Message": "VisibilityTimeout"}]
    with broken_aws(lambda _: (200, {"Successful": [], "Failed": failed})) as (reachable, _), pytest.raises(expected):
        SqsQueues(reachable).hide(Queue.TASKS, {"receipt": 1})


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"])
def test_a_stale_receipt_is_passed_over_whatever_it_is_called(code: str) -> None:
    message = "Value r for parameter ReceiptHandle is invalid. Reason: Message does not exist."
    failed = [{"Id": "0", "Code": code, "SenderFault": True, "Message": message}]
    with broken_aws(lambda _: (200, {"Successful": [], "Failed": failed})) as (reachable, asked):
        SqsQueues(reachable).hide(Queue.TASKS, {"receipt": 1})
        assert asked == ["ChangeMessageVisibilityBatch"]
