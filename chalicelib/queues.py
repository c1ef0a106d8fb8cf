"""The queues on SQS, and the limits of SQS as far as a call can break them.

`ports.py` states what a message may be hidden and delayed; what else SQS allows stands here.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from chalicelib import aws
from chalicelib.errors import Unavailable
from chalicelib.ports import MOST_DELAY, MOST_VISIBILITY, Message, News, Parcel, Queue, Received, encode
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Entries of one batch call, and messages of one receive, at most."""

MOST_WAIT = 20
"""Seconds: the longest that a receive waits for a first message (long polling)."""

COUNT_FRESH = 30
"""Seconds for which a queue's count of messages in flight is good enough: SQS's own is about a minute old."""

GROUP = re.compile(r"[!-~]{1,128}")
"""What SQS takes as MessageGroupId: 1..128 letters, digits and punctuation of ASCII."""

STALE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"})
"""Error codes that say: this receipt is not valid any more, the message is somebody else's or gone."""

STALE_TOO = "for parameter ReceiptHandle"
"""What the message of an `InvalidParameterValue` says then; the code alone also stands for 12 hours that are over."""

Entry = dict[str, Any]


class SqsQueues:
    """The port `Queues` on two standard queues of SQS. Raises ValueError for what SQS does not allow.

    `clock` gives seconds that only grow; it ages the count of messages in flight.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = settings.endpoint
        self._urls = {Queue.TASKS: settings.task_queue_url, Queue.EXHAUSTED: settings.exhausted_queue_url}
        self._clock = clock
        self._counts: dict[Queue, tuple[float, int]] = {}

    @cached_property
    def _sqs(self) -> SQSClient:
        return _client(self._endpoint, aws.READ_TIMEOUT)

    @cached_property
    def _receiver(self) -> SQSClient:
        """A client of its own: its calls are silent for as long as they wait for a message."""
        return _client(self._endpoint, MOST_WAIT + aws.READ_TIMEOUT)

    def send(self, queue: Queue, message: Message | News, *, group: str, delay: float = 0) -> None:
        """See `Queues.send`. A `delay` is rounded up to whole seconds."""
        _check("delay", delay, MOST_DELAY)
        _check("length of a group", len(group), math.inf, least=1)
        with aws.answering():
            self._sqs.send_message(
                QueueUrl=self._urls[queue],
                MessageBody=encode(message),
                MessageGroupId=_group(group),
                DelaySeconds=math.ceil(delay),
            )

    def send_all(self, queue: Queue, parcels: Sequence[Parcel]) -> None:
        """See `Queues.send_all`."""
        for parcel in parcels:
            _check("delay", parcel.delay, MOST_DELAY)
            _check("length of a group", len(parcel.group), math.inf, least=1)
        entries = [
            {
                "MessageBody": encode(parcel.message),
                "MessageGroupId": _group(parcel.group),
                "DelaySeconds": math.ceil(parcel.delay),
            }
            for parcel in parcels
        ]
        self._in_batches(self._sqs.send_message_batch, queue, entries)

    def hide(self, queue: Queue, waits: Mapping[str, float]) -> None:
        """See `Queues.hide`. Waits are rounded up to whole seconds."""
        for wait in waits.values():
            _check("wait", wait, MOST_VISIBILITY)
        entries = [{"ReceiptHandle": receipt, "VisibilityTimeout": math.ceil(wait)} for receipt, wait in waits.items()]
        self._in_batches(self._sqs.change_message_visibility_batch, queue, entries)

    def receive(self, queue: Queue, *, limit: int = BATCH, wait: float = 0) -> list[Received]:
        """See `Queues.receive`. A `wait` is rounded up to whole seconds."""
        _check("limit", limit, BATCH, least=1)
        _check("wait", wait, MOST_WAIT)
        with aws.answering():
            reply = self._receiver.receive_message(
                QueueUrl=self._urls[queue],
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=math.ceil(wait),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Received(
                message["MessageId"],
                message["ReceiptHandle"],
                message["Body"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in reply.get("Messages", [])
        ]

    def delete(self, queue: Queue, receipts: Sequence[str]) -> None:
        """See `Queues.delete`."""
        self._in_batches(self._sqs.delete_message_batch, queue, [{"ReceiptHandle": receipt} for receipt in receipts])

    def in_flight(self, queue: Queue) -> int:
        """See `Queues.in_flight`. It is asked for once in `COUNT_FRESH` seconds."""
        asked, count = self._counts.get(queue, (-math.inf, 0))
        if self._clock() - asked > COUNT_FRESH:
            count = self._count(queue)
            self._counts[queue] = self._clock(), count
        return count

    def _count(self, queue: Queue) -> int:
        with aws.answering():
            reply = self._sqs.get_queue_attributes(
                QueueUrl=self._urls[queue], AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
            )
        return int(reply["Attributes"]["ApproximateNumberOfMessagesNotVisible"])

    def _in_batches(self, call: Callable[..., Any], queue: Queue, entries: Sequence[Entry]) -> None:
        """Call with ten entries at a time; entries whose receipt is stale are passed over."""
        for batch in _batches(entries):
            numbered = [{"Id": str(number), **entry} for number, entry in enumerate(batch)]
            with aws.answering():
                reply = call(QueueUrl=self._urls[queue], Entries=numbered)
            _raise_what_failed(reply.get("Failed", []))


def _raise_what_failed(failed: Iterable[Mapping[str, Any]]) -> None:
    """Raise ValueError for what SQS does not allow, Unavailable for what it cannot do just now."""
    for failure in failed:
        code, message = failure["Code"], failure.get("Message", "")
        if code in STALE or STALE_TOO in message:
            continue
        if failure["SenderFault"] or code.startswith("Invalid"):
            raise ValueError(f"SQS refuses an entry: {code} {message}")
        raise Unavailable(f"SQS cannot serve this just now ({code}).")


def _client(endpoint: str, read_timeout: float) -> SQSClient:
    client: SQSClient = aws.client("sqs", endpoint, read_timeout)
    return client


def _group(group: str) -> str:
    """`group` when SQS takes it as it is, else its digest: equal groups stay equal."""
    return group if GROUP.fullmatch(group) else hashlib.sha256(group.encode()).hexdigest()


def _check(what: str, value: float, most: float, *, least: float = 0) -> None:
    if not least <= value <= most:
        raise ValueError(f"{what} must be from {least} to {most}, not {value}")


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    left = iter(entries)
    return iter(lambda: list(islice(left, BATCH)), [])
