"""Mutants for which the simulation is not run, since each names the test that detects it: boundaries, one adapter only,
the order of two effects, a field missing in one write, recovery after a restart, clocks.
"""

from __future__ import annotations

from tests.mutants.mutants import DELIVER, DYNAMO, EMBEDDED, LEDGER, LIFE, NOTIFY, TARGET, Mutant

DATABASE_FILE = "chalicelib/database_file.py"
PACE = "chalicelib/notify/pace.py"
RETRY = "chalicelib/delivery/retry.py"
SQS = "chalicelib/queues.py"

WIRE = "tests/contract/test_aws_wire.py"
EMULATED = "tests/contract/test_dynamo.py"

BY_TEST = (
    # ── boundaries ──
    Mutant(
        "a message with a turn is delayed for longer than SQS can",
        RETRY,
        "    if spent and wait <= MOST_DELAY:\n",
        "    if spent:\n",
        "tests/unit/test_retry.py",
    ),
    Mutant(
        "a message with a turn and the longest delay keeps its turn",
        RETRY,
        "    if spent and wait <= MOST_DELAY:\n",
        "    if spent and wait < MOST_DELAY:\n",
        "tests/unit/test_retry.py",
    ),
    # ── clocks ──
    Mutant(
        "a Retry-After date without a zone is local time",
        RETRY,
        "(at if at.tzinfo else at.replace(tzinfo=UTC))",
        "at",
        "tests/unit/test_retry.py",
    ),
    # ── what one reply says to all ──
    Mutant(
        "Retry-After is honoured on 429 only",
        DELIVER,
        "if reply else None,",
        "if reply and reply.status == 429 else None,",
        "tests/api/test_retries.py",
    ),
    Mutant(
        "a throttled robot is not left alone by the other notices",
        PACE,
        "    world.store.save_robot(resting(sane(_robot(world, channel), _pace(channel), now), now + seconds))",
        "    resting(sane(_robot(world, channel), _pace(channel), now), now + seconds)",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a rest of a robot is written over what others wrote",
        PACE,
        "evolve(robot, version=robot.version + 1, rests_until=",
        "evolve(robot, rests_until=",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a throttled notification uses up a try",
        NOTIFY,
        "        return evolve(ended, tries=notice.tries - 1, throttled=",
        "        return evolve(ended, throttled=",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "a notification of an earlier round settles what the next round owes",
        NOTIFY,
        "if it.status is not Status.EXHAUSTED or it.round != task.round:",
        "if it.status is not Status.EXHAUSTED:",
        "tests/api/test_channels.py",
    ),
    Mutant(
        "deliver now starts the deadline anew",
        LIFE,
        "    begun_at = min(task.round_started_at, now)\n",
        "    begun_at = now\n",
        "tests/unit/test_life.py",
    ),
    Mutant(
        "the breaker counts a part too many of its window",
        TARGET,
        "part - PARTS < int(key) <= part",
        "part - PARTS <= int(key) <= part",
        "tests/unit/test_target.py",
    ),
    # ── recovery after a restart, and of the disk ──
    Mutant(
        "SQLite: a commit is acknowledged before it is on the disk",
        DATABASE_FILE,
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        "tests/unit/test_embedded.py",
    ),
    Mutant(
        "SQLite: a restart leaves the slots of targets taken",
        EMBEDDED,
        'evolve(gate, inside={}, probe="", probe_until=0)',
        "gate",
        "tests/unit/test_embedded.py",
    ),
    # ── one adapter only: what DynamoDB is asked ──
    Mutant(
        "DynamoDB: an item is read as it was a moment ago",
        DYNAMO,
        "self._connection.get_item(*key, consistent_read=True)",
        "self._connection.get_item(*key)",
        WIRE,
    ),
    Mutant(
        "DynamoDB: many items are read as they were a moment ago",
        DYNAMO,
        "self._connection.batch_get_item(left[:READ_BATCH], consistent_read=True)",
        "self._connection.batch_get_item(left[:READ_BATCH])",
        WIRE,
    ),
    Mutant(
        "DynamoDB: what a notification has gathered is read as it was a moment ago",
        DYNAMO,
        'self._table.walk(f"notice#{notice_id}", within, consistent_read=True)',
        'self._table.walk(f"notice#{notice_id}", within)',
        WIRE,
    ),
    Mutant(
        "DynamoDB: records are read as they were a moment ago",
        DYNAMO,
        "self._table.query(owner, within, consistent_read=True)",
        "self._table.query(owner, within)",
        WIRE,
    ),
    # ── a field missing in one write ──
    Mutant(
        "DynamoDB: used nonces are kept for ever",
        DYNAMO,
        'Record(f"used#{name}", "used", expires_at=math.ceil(until))',
        'Record(f"used#{name}", "used")',
        WIRE,
    ),
    Mutant(
        "DynamoDB: failed logins are kept for ever",
        DYNAMO,
        'Record(f"tries#{tries.of}", "tries", text=to_json(tries), expires_at=expires_at)',
        'Record(f"tries#{tries.of}", "tries", text=to_json(tries))',
        WIRE,
    ),
    Mutant(
        "DynamoDB: bulk resends are kept for ever",
        DYNAMO,
        "text=to_json(resend), expires_at=resend.expires_at)",
        "text=to_json(resend))",
        WIRE,
    ),
    Mutant(
        "DynamoDB: the copies of mentions are kept for ever",
        DYNAMO,
        'Record(f"notice#{mention.notice_id}", copy, text=text, expires_at=copy_until)',
        'Record(f"notice#{mention.notice_id}", copy, text=text)',
        WIRE,
    ),
    # ── what is owed, and what lies beside a task ──
    Mutant(
        "an exhausted task expires though its notification is owed",
        "chalicelib/life.py",
        "        wakes=0,\n        expires_at=None,\n        place=task.place if",
        "        wakes=0,\n        expires_at=int(now + retention),\n        place=task.place if",
        "tests/unit/test_life.py",
    ),
    Mutant(
        "SQLite: the sweep takes a task of an older release whose notification is owed",
        EMBEDDED,
        "WHERE expires_at <= ? AND wake_at IS NULL LIMIT ?",
        "WHERE expires_at <= ? LIMIT ?",
        "tests/unit/test_embedded.py",
    ),
    Mutant(
        "DynamoDB: what belongs to a task that is called up expires",
        DYNAMO,
        "        if _outlives(task, called, self._settings):\n",
        "        if False:\n",
        "tests/contract/test_expiry.py",
    ),
    # ── one bad row, page or target ──
    Mutant(
        "the reconciler reads one page only",
        "chalicelib/delivery/reconcile.py",
        "place, more = page.place, page.place is not None",
        "place, more = page.place, False",
        "tests/unit/test_reconcile.py",
    ),
    Mutant(
        "the targets always have their turns in the same order",
        "chalicelib/delivery/target.py",
        "first = world.random.randrange(len(names)) if names else 0",
        "first = 0",
        "tests/unit/test_reconcile.py",
    ),
    # ── a clock that was ahead ──
    Mutant(
        "a ledger check by a clock that was ahead counts",
        "chalicelib/ledger.py",
        "last.raised_since if is_of_the_future(last, now) else last.since",
        "last.since",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a lease by a clock that was ahead stands",
        "chalicelib/life.py",
        "until = now + lease if is_ahead(task.lease_until, now, lease) else task.lease_until",
        "until = task.lease_until",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a list that lags is walked once",
        "chalicelib/delivery/resend.py",
        "WALKS, MAX_WALKS = 3, 20",
        "WALKS, MAX_WALKS = 1, 1",
        "tests/api/test_resends.py",
    ),
    # ── the order of two effects ──
    Mutant(
        "DynamoDB: the copy of a mention is written before the record that decides",
        DYNAMO,
        '        name = f"mention#{mention.round}#{mention.channel_id}"\n',
        '        copy = Record(f"notice#{mention.notice_id}", f"mention#{_mark(mention)}", text=text)\n'
        "        self._table.put(copy)\n"
        '        name = f"mention#{mention.round}#{mention.channel_id}"\n',
        WIRE,
    ),
    Mutant(
        "DynamoDB: the version of the roster is read after the users",
        DYNAMO,
        '        item = self._table.get(("roster", "roster"))\n'
        '        operators = tuple(from_json(Operator, record.text) for record in self._records("operators"))\n',
        '        operators = tuple(from_json(Operator, record.text) for record in self._records("operators"))\n'
        '        item = self._table.get(("roster", "roster"))\n',
        WIRE,
    ),
    Mutant(
        "DynamoDB: a row is changed before what lies beside it is written",
        DYNAMO,
        "            self._put_aside(old, new, fresh)\n"
        "            if old.place is not None and new.place is None:\n"
        "                self._lines.leave(old, new, self._table.updating(key, actions, condition), puts)\n"
        "            elif audit:\n"
        "                self._table.transact(updates=[self._table.updating(key, actions, condition)], puts=puts)\n"
        "            else:\n"
        "                self._table.update(key, actions, condition)\n"
        "        except Stands as other:\n"
        "            return self._instead(other.item, new, audit)\n"
        "        return new\n"
        "\n",
        "            if old.place is not None and new.place is None:\n"
        "                self._lines.leave(old, new, self._table.updating(key, actions, condition), puts)\n"
        "            elif audit:\n"
        "                self._table.transact(updates=[self._table.updating(key, actions, condition)], puts=puts)\n"
        "            else:\n"
        "                self._table.update(key, actions, condition)\n"
        "        except Stands as other:\n"
        "            return self._instead(other.item, new, audit)\n"
        "        self._put_aside(old, new, fresh)\n"
        "        return new\n"
        "\n",
        WIRE,
    ),
    # ── SQS: whole seconds ──
    Mutant(
        "SQS: a delay is rounded down",
        SQS,
        "                DelaySeconds=math.ceil(delay),",
        "                DelaySeconds=int(delay),",
        WIRE,
    ),
    Mutant(
        "SQS: the delays of many messages are rounded down",
        SQS,
        '"DelaySeconds": math.ceil(parcel.delay)',
        '"DelaySeconds": int(parcel.delay)',
        WIRE,
    ),
    Mutant(
        "SQS: a visibility timeout is rounded down",
        SQS,
        '"VisibilityTimeout": math.ceil(wait)',
        '"VisibilityTimeout": int(wait)',
        WIRE,
    ),
    # ── what only an emulator shows: several records of one task ──
    Mutant(
        "DynamoDB: the body of a refused submission stays",
        DYNAMO,
        "            self._take_back(beside, known.item)\n",
        "",
        EMULATED,
    ),
    Mutant(
        "DynamoDB: a refused submission removes the body that another has put there",
        DYNAMO,
        "self._table.delete((record.owner, record.name), Record.version == record.version)",
        "self._table.delete((record.owner, record.name), Record.owner.exists())",
        EMULATED,
    ),
    Mutant(
        "DynamoDB: an audited change of another in the same words is taken for one's own",
        DYNAMO,
        "return new if stands == new and audit is None else stands",
        "return new if stands == new else stands",
        EMULATED,
    ),
    Mutant(
        "DynamoDB: a request that is no longer whole is sent",
        DYNAMO,
        "        return _sendable(self._task(item))\n",
        "        return self._task(item)\n",
        EMULATED,
    ),
    Mutant(
        "DynamoDB: rows that cannot be read hide what is due behind them",
        DYNAMO,
        'if item["pk"]["S"] not in known), limit + PASSED_OVER)',
        'if item["pk"]["S"] not in known), limit)',
        EMULATED,
    ),
    # ── the reconciler, bulk resends, clocks ──
    Mutant(
        "a wait doubles without end",
        LIFE,
        "2 ** min(task.wakes, MAX_DOUBLINGS)",
        "2 ** task.wakes",
        "tests/unit/test_life.py",
    ),
    Mutant(
        "a call-up ignores the grace",
        LIFE,
        "    grace = min(grace, CALL_GRACE)\n",
        "    grace = CALL_GRACE\n",
        "tests/unit/test_life.py",
    ),
    Mutant(
        "a recount rests as long as any clock said",
        LEDGER,
        "recount.rests_until > now and not is_ahead(recount.rests_until, now, DAY)",
        "recount.rests_until > now",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a task that cannot be woken stays in front",
        "chalicelib/delivery/reconcile.py",
        "        _set_aside(world, task)\n        return False",
        "        return False",
        "tests/unit/test_reconcile.py",
    ),
    Mutant(
        "a round of a bulk resend by a clock that was ahead stays where it was put",
        LIFE,
        "    if task.is_scheduled and task.round == 1 and not task.request.delay:",
        "    if task.is_scheduled and not task.request.delay:",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a delay by a clock that was ahead stays where it was put",
        LIFE,
        "    if task.is_scheduled and task.round == 1 and not task.request.delay:",
        "    if task.is_scheduled and task.round == 1:",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a task put off by a clock that was ahead keeps its message",
        LIFE,
        "evolve(rebased, ticket=task.ticket + 1, wake_at=task.due_at - LOOKAHEAD) if parks",
        "evolve(rebased, wake_at=task.due_at - LOOKAHEAD) if parks",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a task in line that was put off by a clock that was ahead is parked",
        LIFE,
        "not (task.number or task.behind or task.held)",
        "not (task.number or task.held)",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a wake by a clock that was ahead stands",
        LIFE,
        "    return woken_ahead or is_ahead(task.updated_at, now)",
        "    return is_ahead(task.updated_at, now)",
        "tests/unit/test_clocks.py",
    ),
    Mutant(
        "a stopped bulk resend forgets what it has in hand",
        "chalicelib/delivery/resend.py",
        "    if resend.hand:\n        return resend  #",
        "    if resend.hand and resend.status is not ResendStatus.STOPPING:\n        return resend  #",
        "tests/api/test_resends.py",
    ),
    Mutant(
        "DynamoDB: two who prolong at a time shorten it",
        DYNAMO,
        "Record.owner.exists() if sooner is None else Record.owner.exists() & sooner",
        "Record.owner.exists()",
        WIRE,
    ),
    # ── others than the one that is looked at ──
    Mutant(
        "a task that is called up by a look at another one of its line gets no message",
        "chalicelib/delivery/reconcile.py",
        "    if first is not None and first.updated_at == now:",
        "    if first is not None and first.task_id == task.task_id:",
        "tests/api/test_order.py",
    ),
    Mutant(
        "each look at a task of a line sends a message of the first",
        "chalicelib/delivery/reconcile.py",
        "    if first is not None and first.updated_at == now:",
        "    if first is not None:",
        "tests/api/test_order.py",
    ),
    Mutant(
        "an attempt counts by the breaker that was set when it began",
        TARGET,
        "        target = remembered(world).get(name, admitted_by)\n",
        "        target = admitted_by\n",
        "tests/api/test_targets.py",
    ),
)
