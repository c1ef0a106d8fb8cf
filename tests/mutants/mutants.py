"""The list: what somebody could get wrong, as a text in a file and what stands there instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault. `old` stands exactly once in `file`, and becomes `new`.

    `test`: the test that detects it, as pytest names it; it alone is run. Without one, the simulation is run first
    and then the other tests, until one of them fails.
    """

    name: str
    file: str
    old: str
    new: str
    test: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the fault in it. Raises ValueError when the code has changed, and the list has not."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: this stands {text.count(self.old)} times in {self.file}:\n{self.old}")
        return text.replace(self.old, self.new)


LIFE = "chalicelib/life.py"
LEDGER = "chalicelib/ledger.py"
DELIVER = "chalicelib/delivery/deliver.py"
RESEND = "chalicelib/delivery/resend.py"
NOTIFY = "chalicelib/notify/notify.py"
GATHER = "chalicelib/notify/gather.py"
EMBEDDED = "chalicelib/embedded.py"
DYNAMO = "chalicelib/store.py"
TARGET = "chalicelib/delivery/target.py"

SIMULATED = (
    # ── one attempt at a time ──
    Mutant(
        "drop the lease check",
        LIFE,
        "    if task.lease_until > now:\n        return NotYet(min(task.lease_until, now + LOOK_AGAIN))\n",
        "",
    ),
    Mutant(
        "a lease that is shorter than an attempt",
        "chalicelib/settings.py",
        "return self.max_timeout + LEASE_MARGIN",
        "return 5",
    ),
    Mutant(
        "send on a lease that is nearly over",
        DELIVER,
        "    if _lease_is_nearly_over(world, task):\n"
        "        return ComeBack(task.lease_until - world.clock.now()), None\n",
        "",
    ),
    Mutant(
        "a cancel ends the lease",
        LIFE,
        "        last=unrecorded(task) or task.last,\n        wake_at=None,\n",
        "        last=unrecorded(task) or task.last,\n        lease_until=0,\n        wake_at=None,\n",
    ),
    Mutant(
        "finish without the fencing number",
        LIFE,
        "    if task.fence != fence or task.status in FINAL or recorded:",
        "    if task.status in FINAL:",
    ),
    Mutant(
        "write without looking at the version",
        EMBEDDED,
        'WHERE task_id = ? AND version = ?""",\n        (\n            *(new.version',
        'WHERE task_id = ? AND ? >= 0""",\n        (\n            *(new.version',
    ),
    Mutant("claim before it is due", LIFE, "return NotYet(task.due_at) if task.due_at > now else None", "return None"),
    # ── attempts are counted ──
    Mutant(
        "count after the attempt instead of before",
        LIFE,
        "        number=task.number + 1,\n        fence=task.fence + 1,\n        lease_until=now + lease,",
        "        number=task.number + (task.last is not None and task.last.fence == task.fence) + (task.fence == 0),\n"
        "        fence=task.fence + 1,\n        lease_until=now + lease,",
    ),
    Mutant(
        "one attempt more than allowed",
        LIFE,
        "task.number >= task.request.retry.max_attempts or",
        "task.number > task.request.retry.max_attempts or",
    ),
    Mutant(
        "an interrupted attempt leaves no trace",
        LIFE,
        "    for fence in range(task.fence, 0, -1):\n        attempt = known.get(fence) or",
        "    for fence in sorted(known, reverse=True):\n        attempt = known.get(fence) or",
    ),
    Mutant(
        "a resend goes on counting",
        LIFE,
        "        round_started_at=begins,\n        number=0,\n",
        "        round_started_at=begins,\n",
    ),
    # ── nothing is lost ──
    Mutant(
        "enqueue before storing",
        "chalicelib/accept.py",
        "    known = world.store.add(task, _audit(task, by))\n",
        "    enqueue(world, task)\n    known = world.store.add(task, _audit(task, by))\n"
        "    if known is None:\n        return task\n",
    ),
    Mutant(
        "say yes though it was not stored",
        "chalicelib/accept.py",
        "    known = world.store.add(task, _audit(task, by))\n",
        "    try:\n        known = world.store.add(task, _audit(task, by))\n"
        "    except Unavailable:\n        return task\n",
    ),
    Mutant(
        "forget wake_at on retry",
        LIFE,
        "wake_at=max(now, due_at - LOOKAHEAD) if parked else _net(due_at, grace, until=task.deadline_at),",
        "wake_at=max(now, due_at - LOOKAHEAD) if parked else None,",
    ),
    Mutant(
        "a parked wait is forgotten",
        LIFE,
        "wake_at=max(now, due_at - LOOKAHEAD) if parked else",
        "wake_at=None if parked else",
    ),
    Mutant(
        "nobody looks after the notices",
        LIFE,
        "        ticket=task.ticket + 1,\n        wake_at=now + grace,\n",
        "        ticket=task.ticket + 1,\n        wake_at=None,\n",
    ),
    Mutant(
        "the reconciler looks once only",
        LIFE,
        "        wake_at=ready_at(task, now) + _patience(task, grace),\n",
        "        wake_at=None,\n",
    ),
    Mutant(
        "the reconciler enqueues with the old ticket",
        "chalicelib/delivery/reconcile.py",
        "    if enqueue(world, woken, delay",
        "    if enqueue(world, task, delay",
    ),
    Mutant(
        "a message is finished though its task waits",
        "chalicelib/consume.py",
        "    return isinstance(outcome, ComeBack)\n",
        "    return False\n",
    ),
    Mutant(
        "a message that is not understood by the store is finished",
        "chalicelib/consume.py",
        "        return ComeBack(WAIT_FOR_A_PORT)",
        "        return Finished()",
        "tests/unit/test_consume.py",
    ),
    Mutant(
        "a restart forgets what is owed",
        EMBEDDED,
        "        _write_task(tx, task, evolve(task, lease_until=0))\n    leased =",
        "        _write_task(tx, task, evolve(task, wake_at=None))\n    leased =",
    ),
    # ── told ──
    Mutant(
        "told before the channel took it",
        NOTIFY,
        "    return ComeBack(min(waiting)) if waiting else Finished()",
        "    return Finished()",
    ),
    Mutant(
        "who was too late for a notice is not told",
        NOTIFY,
        "    if notice and world.store.names(notice, mention):",
        "    if notice:",
    ),
    Mutant(
        "who was too late for a notice is named by two",
        EMBEDDED,
        'ON CONFLICT (notice_id) DO NOTHING""",',
        'ON CONFLICT (notice_id) DO UPDATE SET notice = excluded.notice""",',
        "tests/contract/test_store.py",
    ),
    Mutant(
        "a notice goes on gathering after it was settled",
        GATHER,
        "    return 0 if world.store.save_desk(new) else SOON",
        "    return 0",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a digest counts those that it lists",
        GATHER,
        "        tasks=len(tasks),",
        "        tasks=min(len(tasks), 2),",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a robot is told as fast as it goes",
        "chalicelib/notify/pace.py",
        "    return max(room_at - now, robot.rests_until - now, 0)",
        "    return max(robot.rests_until - now, 0 * room_at)",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a refused notice counts as delivered",
        NOTIFY,
        "    reason = channels.refusal(channel, reply)\n    if reason is None:",
        "    reason = channels.refusal(channel, reply)\n    if reason is None or reply.status == 200:",
    ),
    Mutant(
        "a notice that failed to leave counts as sent",
        NOTIFY,
        "        return Sent(_refused(channel, failure.detail), failure.detail)",
        "        return Sent(Ending.TAKEN)",
    ),
    # ── final is final ──
    Mutant(
        "a late reply delivers a cancelled task",
        LIFE,
        "    if task.fence != fence or task.status in FINAL or recorded:",
        "    if task.fence != fence:",
    ),
    Mutant(
        "exhaust whatever stands there by now",
        DELIVER,
        "        return _exhaust(world, task, None, because, still_spent)",
        "        return _exhaust(world, task, None, because)",
    ),
    # ── many resent at once ──
    Mutant(
        "a bulk resend does not know what it has resent",
        RESEND,
        '        audit.detail.get("resend_id") == resend.resend_id for',
        "        False for",
    ),
    Mutant(
        "a bulk resend takes tasks that have changed since it began",
        RESEND,
        "it.round == round_ and it.is_final",
        "it.is_final",
    ),
    Mutant(
        "a bulk resend is saved over what another has saved",
        EMBEDDED,
        "resend = ? WHERE resend_id = ? AND version = ?",
        "resend = ? WHERE resend_id = ? AND ? > 0",
    ),
    # ── signed ──
    Mutant(
        "only the newest secret signs",
        "chalicelib/delivery/compose.py",
        "sign(keys, task.task_id,",
        "sign(keys[:1], task.task_id,",
        "tests/api/test_signing_secrets.py",
    ),
    Mutant(
        "a secret that was removed signs for ever",
        "chalicelib/keyring.py",
        "if not found or not self._at <= now < self._at + FRESH:",
        "if not found:",
        "tests/api/test_signing_secrets.py",
    ),
    # ── what the predecessor left ──
    Mutant(
        "what was brought over counts as accepted when it ended",
        EMBEDDED,
        "    tx.count(task.created_at, life.tally(None, task))\n",
        "    tx.count(task.updated_at, life.tally(None, task))\n",
        "tests/contract/test_import.py",
    ),
    Mutant(
        "a finished task that was brought over is looked after",
        LIFE,
        "        due_at=at,\n        wake_at=None,\n",
        "        due_at=at,\n",
        "tests/api/test_import.py",
    ),
    Mutant(
        "a password once right is right for every user",
        "chalicelib/auth.py",
        'f"{kept} {given}".encode("utf-8", "surrogatepass")',
        'given.encode("utf-8", "surrogatepass")',
        "tests/api/test_predecessor.py",
    ),
    # ── the same request twice ──
    Mutant(
        "the key does not make the id",
        "chalicelib/accept.py",
        "    if key is None:\n        return str",
        "    if key is not None:\n        return str",
    ),
    Mutant(
        "other content is the same task",
        "chalicelib/accept.py",
        "    if not is_content_of(known, content):",
        "    if False:",
    ),
    # ── judged by what was answered ──
    Mutant(
        "a broken connection is a delivery",
        DELIVER,
        "        return _ended(world, task, started, no_reply(failure), failure.phases), None",
        "        return evolve(_ended(world, task, started, no_reply(failure), ()), verdict=Verdict.DELIVERED), None",
    ),
    # ── the sums ──
    Mutant(
        "a task that leaves a status stays counted there",
        LIFE,
        '            counts[f"in_{old.status}"] = -1\n',
        '            counts[f"in_{old.status}"] = 0\n',
    ),
    Mutant(
        "an action is audited though it did not happen",
        EMBEDDED,
        "    if not _write_task(tx, old, new):\n        return _standing(tx, old.task_id)\n",
        "    if not _write_task(tx, old, new):\n        if audit is not None:\n            _write_audit(tx, audit)\n"
        "        return _standing(tx, old.task_id)\n",
    ),
    # ── targets ──
    Mutant(
        "a pause holds nobody",
        TARGET,
        "    if target.paused_at is not None:\n        return Keep(Held.PAUSED)\n",
        "",
        "tests/api/test_targets.py",
    ),
    Mutant(
        "a target takes one attempt more at a time than it may",
        TARGET,
        "len(others) >= target.max_concurrency",
        "len(others) > target.max_concurrency",
        "tests/unit/test_target.py",
    ),
    Mutant(
        "everybody may try while the breaker is half-open",
        TARGET,
        "now < gate.open_until or (gate.probe != who and gate.probe_until > now)",
        "now < gate.open_until",
        "tests/unit/test_target.py",
    ),
    Mutant(
        "nobody calls held tasks whose call was lost",
        TARGET,
        "        if world.store.held(name, 1):\n            ring(world, name)",
        "        if world.store.held(name, 1):\n            pass",
        "tests/api/test_targets.py",
    ),
    Mutant(
        "the time for which a task is held counts against its deadline",
        LIFE,
        "min(task.round_started_at + max(now - (task.held_at or now), 0), now)",
        "min(task.round_started_at, now)",
        "tests/api/test_targets.py",
    ),
    Mutant(
        "a message from before it was held wakes a held task",
        LIFE,
        "        ticket=task.ticket + 1,\n        held=why,",
        "        held=why,",
        "tests/contract/test_targets.py",
    ),
    Mutant(
        "DynamoDB: what belongs to a held task expires",
        DYNAMO,
        "    return bool(task.held) or life.is_owed(task)\n",
        "    return life.is_owed(task)\n",
        "tests/contract/test_targets.py",
    ),
    # ── the ledger ──
    Mutant(
        "the ledger always adds up",
        LEDGER,
        "        return self.gap == 0\n",
        "        return True\n",
        "tests/unit/test_check.py",
    ),
    Mutant(
        "the ledger misses tasks that have left",
        LEDGER,
        " // DAY + 1) * DAY",
        " // DAY) * DAY",
        "tests/unit/test_ledger.py",
    ),
    Mutant(
        "the ledger goes by a retention that was just raised",
        LEDGER,
        "raised = last is not None and",
        "raised = False and last and",
        "tests/unit/test_ledger.py",
    ),
    Mutant(
        "the ledger reads its two sides one after the other",
        EMBEDDED,
        '        connection.execute("BEGIN")\n        yield connection\n        connection.execute("COMMIT")\n',
        "        yield connection\n",
        "tests/unit/test_embedded.py",
    ),
    Mutant(
        "DynamoDB: the ledger does not know today's hours",
        DYNAMO,
        'spans = [*self.series("day", since, today), *self.series("hour", max(since, today), until)]',
        'spans = self.series("day", since, today)',
        "tests/contract/test_ledger.py",
    ),
    # ── later, and in order ──
    Mutant(
        "a first try that is parked is not woken before it is due",
        "chalicelib/accept.py",
        "        parked=due_at - now > MOST_DELAY,\n",
        "        parked=False,\n",
    ),
    Mutant(
        "whoever waits in line may be tried",
        LIFE,
        "or task.ticket != ticket or task.behind:",
        "or task.ticket != ticket:",
        "tests/contract/test_lines.py",
    ),
    Mutant("nobody is called up", EMBEDDED, "    if not task.behind:\n        _first(tx, task.line, now, grace)\n", ""),
    Mutant(
        "a cancelled task stays in its line",
        LIFE,
        "        place=None,\n        behind=False,\n",
        "        behind=False,\n",
    ),
    Mutant(
        "an exhausted task never holds its line",
        LIFE,
        "        place=task.place if task.request.on_exhausted == HOLD else None,\n",
        "        place=None,\n",
        "tests/api/test_order.py",
    ),
    Mutant(
        "DynamoDB: whoever waits in line may be tried",
        DYNAMO,
        "            & Row.behind.does_not_exist()\n",
        "",
        "tests/contract/test_lines.py",
    ),
    Mutant(
        "DynamoDB: two get the same place",
        DYNAMO,
        "same = Record.version == line.version if",
        "same = Record.owner.exists() if",
        "tests/contract/test_lines.py",
    ),
    # ── the same rules once more, as a condition of DynamoDB ──
    Mutant(
        "DynamoDB: drop the lease check",
        DYNAMO,
        "            & (Row.lease_until <= now)\n",
        "",
        "tests/contract/test_store.py",
    ),
    Mutant(
        "DynamoDB: drop the ticket check",
        DYNAMO,
        "            & (Row.ticket == ticket)\n",
        "",
        "tests/contract/test_store.py",
    ),
    Mutant(
        "DynamoDB: drop the count of attempts",
        DYNAMO,
        "            & (Row.number < Row.max_attempts)\n",
        "",
        "tests/contract/test_store.py",
    ),
    Mutant(
        "DynamoDB: add without a condition",
        DYNAMO,
        "self._table.put(row, Row.task_id.does_not_exist())",
        "self._table.put(row)",
        "tests/contract/test_store.py",
    ),
    Mutant(
        "DynamoDB: write without looking at the version",
        DYNAMO,
        "_difference(before, after), Row.version == old.version",
        "_difference(before, after), Row.version >= 0",
        "tests/contract/test_store.py",
    ),
    Mutant(
        "DynamoDB: the index of what must be looked after is empty",
        DYNAMO,
        "_held_by(task.request.target, shard) if task.held else str(shard),",
        "None,",
        "tests/unit/test_store_layout.py",
    ),
    Mutant(
        "the retention of an exhausted task is over when it is told",
        LIFE,
        "wake_at=None, expires_at=int(now + retention))",
        "wake_at=None, expires_at=int(now))",
    ),
    Mutant(
        "a resent task still expires",
        LIFE,
        "        because=None,\n        expires_at=None,\n",
        "        because=None,\n",
    ),
    Mutant(
        "a delivered task never expires",
        LIFE,
        "        wake_at=None,\n        expires_at=int(now + retention),\n"
        "        place=None,\n    )\n\n\ndef retry_later",
        "        wake_at=None,\n        place=None,\n    )\n\n\ndef retry_later",
    ),
)
