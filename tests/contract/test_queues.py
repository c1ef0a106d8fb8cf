"""What all queues keep of the promises in `ports.Queues`. `pass_time` moves a fake clock, or waits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf, nan
from threading import Thread

import pytest

from chalicelib.ports import Message, Parcel, Queue, Queues, Received, decode
from tests.contract.backends import QueuesBackend
from tests.contract.samples import at_once

TASKS, EXHAUSTED = Queue.TASKS, Queue.EXHAUSTED
GROUP = "https://partner.example:443"


def sent(queues: Queues, *task_ids: str, group: str = GROUP, queue: Queue = TASKS) -> None:
    for task_id in task_ids:
        queues.send(queue, Message(task_id, 1), group=group)


def received(backend: QueuesBackend, count: int = 1, *, queue: Queue = TASKS) -> list[Received]:
    """Exactly `count` messages, which are there now or, on a real backend, within its patience."""
    found: list[Received] = []
    while len(found) < count:
        batch = backend.queues.receive(queue, limit=min(10, count - len(found)), wait=backend.patience)
        assert batch, f"{len(found)} of {count} messages came"
        found += batch
    return found


def names(messages: Sequence[Received]) -> list[str]:
    return sorted(decode(message.body).task_id for message in messages)


def hidden(backend: QueuesBackend, message: Received, wait: float) -> None:
    backend.queues.hide(TASKS, {message.receipt: wait})


# ── send and receive ─────────────────────────────────────────────────────────────────────────────


def test_a_message_comes_with_its_task_and_its_ticket(queues_backend: QueuesBackend) -> None:
    queues_backend.queues.send(TASKS, Message("t-1", 7), group=GROUP)
    (message,) = received(queues_backend)
    assert decode(message.body) == Message("t-1", 7)
    assert message.count == 1
    assert message.message_id
    assert message.receipt


def test_many_are_sent_together_each_with_its_own_delay(queues_backend: QueuesBackend) -> None:
    parcels = [Parcel(Message(f"t-{n}", n), GROUP, delay=900 if n % 3 == 0 else 0) for n in range(1, 25)]
    queues_backend.queues.send_all(TASKS, parcels)
    found = [decode(message.body) for message in received(queues_backend, 16)]
    assert sorted(found, key=lambda it: it.ticket) == [Message(f"t-{n}", n) for n in range(1, 25) if n % 3]
    assert queues_backend.queues.receive(TASKS) == []


@pytest.mark.parametrize("wrong", [Parcel(Message("t", 1), GROUP, delay=901), Parcel(Message("t", 1), "")])
def test_of_many_that_hold_what_sqs_does_not_take_none_is_sent(queues_backend: QueuesBackend, wrong: Parcel) -> None:
    with pytest.raises(ValueError, match=r"delay|group"):
        queues_backend.queues.send_all(TASKS, [Parcel(Message("t-1", 1), GROUP), wrong])
    assert queues_backend.queues.receive(TASKS) == []


def test_a_group_may_be_any_text(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1", group=f"https://{'münchen' * 40}.example:443 ")
    assert names(received(queues_backend)) == ["t-1"]


def test_the_two_queues_are_apart(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1", queue=EXHAUSTED)
    assert queues_backend.queues.receive(TASKS) == []
    (message,) = received(queues_backend, queue=EXHAUSTED)
    queues_backend.queues.delete(TASKS, [message.receipt])
    queues_backend.queues.hide(EXHAUSTED, {message.receipt: 0})
    assert names(received(queues_backend, queue=EXHAUSTED)) == ["t-1"]


def test_a_message_in_hand_is_hidden_from_others(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    received(queues_backend)
    assert queues_backend.queues.receive(TASKS) == []


def test_a_batch_has_ten_messages_at_most(queues_backend: QueuesBackend) -> None:
    wanted = [f"t-{n:02}" for n in range(23)]
    sent(queues_backend.queues, *wanted)
    batches = [queues_backend.queues.receive(TASKS, limit=10, wait=queues_backend.patience) for _ in range(2)]
    assert all(len(batch) <= 10 for batch in batches)
    rest = received(queues_backend, 23 - sum(map(len, batches)))
    assert names([message for batch in (*batches, rest) for message in batch]) == wanted


def test_no_more_messages_come_than_asked_for(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1", "t-2", "t-3")
    assert len(queues_backend.queues.receive(TASKS, limit=1, wait=queues_backend.patience)) == 1


def test_a_limit_or_a_wait_beyond_those_of_sqs_is_refused(queues: Queues) -> None:
    for limit in (0, 11, -1):
        with pytest.raises(ValueError, match="limit"):
            queues.receive(TASKS, limit=limit)
    for wait in (-0.1, 20.1, nan):
        with pytest.raises(ValueError, match="wait"):
            queues.receive(TASKS, wait=wait)


# ── delay ────────────────────────────────────────────────────────────────────────────────────────


def test_a_delayed_message_comes_when_its_delay_is_over(queues_backend: QueuesBackend) -> None:
    queues_backend.queues.send(TASKS, Message("t-1", 1), group=GROUP, delay=2)
    assert queues_backend.queues.receive(TASKS) == []
    queues_backend.pass_time(2)
    (message,) = received(queues_backend)
    assert message.count == 1


def test_the_longest_delay_is_taken(queues_backend: QueuesBackend) -> None:
    queues_backend.queues.send(TASKS, Message("t-1", 1), group=GROUP, delay=900)
    assert queues_backend.queues.receive(TASKS) == []


def test_a_delay_beyond_those_of_sqs_is_refused_and_nothing_is_sent(queues: Queues) -> None:
    for delay in (-0.001, 900.001, nan, inf):
        with pytest.raises(ValueError, match="delay"):
            queues.send(TASKS, Message("t-1", 1), group=GROUP, delay=delay)
    assert queues.receive(TASKS) == []


def test_a_group_without_a_name_is_refused(queues: Queues) -> None:
    with pytest.raises(ValueError, match="group"):
        queues.send(TASKS, Message("t-1", 1), group="")


# ── visibility ───────────────────────────────────────────────────────────────────────────────────


def test_a_hidden_message_comes_back_when_its_wait_is_over_and_counts_its_receives(
    queues_backend: QueuesBackend,
) -> None:
    sent(queues_backend.queues, "t-1")
    (first,) = received(queues_backend)
    hidden(queues_backend, first, 2)
    assert queues_backend.queues.receive(TASKS) == []
    queues_backend.pass_time(2)
    (second,) = received(queues_backend)
    assert (second.message_id, second.body, second.count) == (first.message_id, first.body, 2)
    assert second.receipt != first.receipt


def test_a_message_let_go_comes_back_at_once(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    hidden(queues_backend, received(queues_backend)[0], 0)
    assert names(received(queues_backend)) == ["t-1"]


def test_a_wait_can_be_set_again(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    (message,) = received(queues_backend)
    hidden(queues_backend, message, 600)
    hidden(queues_backend, message, 0)
    assert names(received(queues_backend)) == ["t-1"]


def test_several_waits_are_set_in_one_call(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, *(f"t-{n:02}" for n in range(12)))
    messages = received(queues_backend, 12)
    waits = {message.receipt: 600.0 if decode(message.body).task_id < "t-06" else 0.0 for message in messages}
    queues_backend.queues.hide(TASKS, waits)
    assert names(received(queues_backend, 6)) == [f"t-{n:02}" for n in range(6, 12)]
    assert queues_backend.queues.receive(TASKS) == []


def test_nothing_to_hide_and_nothing_to_delete_is_no_error(queues: Queues) -> None:
    queues.hide(TASKS, {})
    queues.delete(TASKS, [])


def test_a_wait_beyond_those_of_sqs_is_refused_and_nothing_is_hidden(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1", "t-2")
    one, other = received(queues_backend, 2)
    for wait in (-0.001, 43_200.001, nan, inf):
        with pytest.raises(ValueError, match="wait"):
            queues_backend.queues.hide(TASKS, {one.receipt: 0, other.receipt: wait})
    assert queues_backend.queues.receive(TASKS) == []


def test_twelve_hours_are_the_most_in_all_counted_from_the_receive(queues_backend: QueuesBackend) -> None:
    if not queues_backend.twelve_hours:
        pytest.skip("this backend does not count the hours of a receipt")
    sent(queues_backend.queues, "t-1")
    (message,) = received(queues_backend)
    hidden(queues_backend, message, 600)
    queues_backend.pass_time(2)
    hidden(queues_backend, message, 43_200 - 10)
    with pytest.raises(ValueError, match="43200"):
        hidden(queues_backend, message, 43_200 - 1)
    hidden(queues_backend, message, 0)
    (again,) = received(queues_backend)
    hidden(queues_backend, again, 43_200 - 10)


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_message_is_gone(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1", "t-2")
    one, other = received(queues_backend, 2)
    queues_backend.queues.delete(TASKS, [one.receipt])
    hidden(queues_backend, other, 0)
    hidden(queues_backend, one, 0)
    assert names(received(queues_backend)) == names([other])
    assert queues_backend.queues.receive(TASKS) == []


def test_many_messages_are_finished_in_one_call(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, *(f"t-{n}" for n in range(12)))
    messages = received(queues_backend, 12)
    queues_backend.queues.delete(TASKS, [message.receipt for message in messages[:11]])
    queues_backend.queues.hide(TASKS, {message.receipt: 0 for message in messages})
    assert names(received(queues_backend)) == names(messages[11:])
    assert queues_backend.queues.receive(TASKS) == []


def test_finishing_twice_is_finishing_once(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    (message,) = received(queues_backend)
    queues_backend.queues.delete(TASKS, [message.receipt])
    queues_backend.queues.delete(TASKS, [message.receipt])
    assert queues_backend.queues.receive(TASKS) == []


def test_a_receipt_of_a_finished_message_names_no_later_one(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    (first,) = received(queues_backend)
    queues_backend.queues.delete(TASKS, [first.receipt])
    sent(queues_backend.queues, "t-2")
    (second,) = received(queues_backend)
    queues_backend.queues.delete(TASKS, [first.receipt])
    hidden(queues_backend, second, 0)
    assert names(received(queues_backend)) == ["t-2"]


def test_a_receipt_is_stale_once_the_message_is_received_again(queues_backend: QueuesBackend) -> None:
    if not queues_backend.stale_receipts:
        pytest.skip("this backend takes a stale receipt for a valid one")
    sent(queues_backend.queues, "t-1")
    (first,) = received(queues_backend)
    hidden(queues_backend, first, 0)
    (second,) = received(queues_backend)
    hidden(queues_backend, first, 0)
    assert queues_backend.queues.receive(TASKS) == [], "a stale receipt lets nothing go"
    queues_backend.queues.delete(TASKS, [first.receipt])
    hidden(queues_backend, second, 0)
    assert names(received(queues_backend)) == ["t-1"], "a stale receipt finishes nothing"


def test_an_unknown_receipt_is_no_error_and_changes_nothing(queues_backend: QueuesBackend) -> None:
    sent(queues_backend.queues, "t-1")
    queues_backend.queues.delete(TASKS, ["nonsense", "9:1"])
    queues_backend.queues.hide(TASKS, {"nonsense": 600, "9:1": 600})
    assert names(received(queues_backend)) == ["t-1"]
    queues_backend.queues.hide(TASKS, {"nonsense": 0, "9:1": 0})
    assert queues_backend.queues.receive(TASKS) == []


# ── waiting for a message ────────────────────────────────────────────────────────────────────────


def test_who_waits_gets_the_message_that_is_sent_meanwhile(queues_backend: QueuesBackend) -> None:
    if not queues_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    found: list[Received] = []
    waiter = Thread(target=lambda: found.extend(queues_backend.queues.receive(TASKS, wait=20)))
    waiter.start()
    sent(queues_backend.queues, "t-1")
    waiter.join(15)
    assert names(found) == ["t-1"]


def test_everybody_who_waits_is_served(queues_backend: QueuesBackend) -> None:
    if not queues_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    queues = queues_backend.queues

    def one_more(number: int) -> list[Received]:
        if number == 4:
            sent(queues, "t-0", "t-1", "t-2", "t-3")
            return []
        return queues.receive(TASKS, limit=1, wait=20)

    found = at_once(5, one_more)
    assert names([message for messages in found for message in messages]) == ["t-0", "t-1", "t-2", "t-3"]


def test_waiting_for_nothing_ends(queues: Queues) -> None:
    began = time.monotonic()
    assert queues.receive(TASKS, wait=1) == []
    assert time.monotonic() - began >= 0.9


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


def test_parallel_consumers_finish_everything_that_parallel_senders_send(queues_backend: QueuesBackend) -> None:
    if not queues_backend.parallel:
        pytest.skip("this backend bears one caller at a time")
    queues = queues_backend.queues

    def work(number: int) -> list[str]:
        if number < 4:
            sent(queues, *(f"t-{number}-{n:02}" for n in range(25)), group=f"g-{number % 2}")
            return []
        done: list[Received] = []
        while batch := queues.receive(TASKS, wait=max(1.0, queues_backend.patience)):
            queues.delete(TASKS, [message.receipt for message in batch])
            done += batch
        return names(done)

    handled = [task_id for done in at_once(8, work) for task_id in done]
    assert sorted(set(handled)) == [f"t-{number}-{n:02}" for number in range(4) for n in range(25)]
    assert len(handled) == 100 or queues_backend.may_double


def test_messages_in_flight_are_those_received_and_not_finished(queues_backend: QueuesBackend) -> None:
    def counted() -> int:
        queues_backend.settle()
        return queues_backend.queues.in_flight(TASKS)

    assert counted() == 0
    sent(queues_backend.queues, "t-1", "t-2", "t-3", "t-4")
    queues_backend.queues.send(TASKS, Message("later", 1), group=GROUP, delay=900)
    assert counted() == 0
    one, other, third = received(queues_backend, 3)
    assert counted() == 3
    hidden(queues_backend, one, 600)
    queues_backend.queues.delete(TASKS, [other.receipt])
    assert counted() == 2
    hidden(queues_backend, third, 0)
    assert counted() == 1


# ── fairness and redrive ─────────────────────────────────────────────────────────────────────────


def test_a_group_with_a_backlog_does_not_starve_the_others(queues_backend: QueuesBackend) -> None:
    if not queues_backend.fair:
        pytest.skip("this backend serves first who came first")
    sent(queues_backend.queues, *(f"slow-{n}" for n in range(60)), group="https://slow.example:443")
    received(queues_backend, 20)
    for n in range(3):
        sent(queues_backend.queues, f"quick-{n}", group=f"https://quick-{n}.example:443")
    assert {"quick-0", "quick-1", "quick-2"} <= set(names(received(queues_backend, 10)))


def test_a_group_with_many_in_hand_lets_the_others_go_first(queues_backend: QueuesBackend) -> None:
    if not queues_backend.fair:
        pytest.skip("this backend serves first who came first")
    sent(queues_backend.queues, *(f"slow-{n}" for n in range(60)), group="https://slow.example:443")
    received(queues_backend, 20)
    sent(queues_backend.queues, *(f"quick-{n}" for n in range(15)), group="https://quick.example:443")
    assert all(name.startswith("quick") for name in names(received(queues_backend, 10)))
    assert names(received(queues_backend, 10))[:5] == [f"quick-{n}" for n in range(10, 15)], "and then takes the rest"


def test_one_at_a_time_groups_have_their_turn(queues_backend: QueuesBackend) -> None:
    if not queues_backend.fair:
        pytest.skip("this backend serves first who came first")
    for group in ("a", "b", "c"):
        sent(queues_backend.queues, *(f"{group}-{n}" for n in range(4)), group=group)
    turns = [decode(received(queues_backend)[0].body).task_id[0] for _ in range(12)]
    assert [sorted(turns[n : n + 3]) for n in range(0, 12, 3)] == [["a", "b", "c"]] * 4


def test_a_message_that_nobody_can_handle_ends_in_the_exhausted_queue(queues_backend: QueuesBackend) -> None:
    most = queues_backend.most_receives
    if most is None:
        pytest.skip("it takes too long on this backend")
    sent(queues_backend.queues, "poison")
    for count in range(1, most + 1):
        (message,) = received(queues_backend)
        assert message.count == count
        hidden(queues_backend, message, 0)
    assert queues_backend.queues.receive(TASKS) == []
    (moved,) = received(queues_backend, queue=EXHAUSTED)
    assert moved.body == message.body
    hidden(queues_backend, message, 0)
    assert queues_backend.queues.receive(TASKS) == [], "its receipt is of no use any more"


def test_a_message_of_the_exhausted_queue_stays_there(queues_backend: QueuesBackend) -> None:
    most = queues_backend.most_receives
    if most is None:
        pytest.skip("it takes too long on this backend")
    sent(queues_backend.queues, "untold", queue=EXHAUSTED)
    for _ in range(most + 1):
        (message,) = received(queues_backend, queue=EXHAUSTED)
        queues_backend.queues.hide(EXHAUSTED, {message.receipt: 0})
    (message,) = received(queues_backend, queue=EXHAUSTED)
    assert message.count == most + 2
