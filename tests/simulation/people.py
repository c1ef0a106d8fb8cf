"""Who uses the API: clients that keep to its rules, and a clerk who does whatever the console allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from chalicelib import api
from chalicelib.call import Call
from chalicelib.task import Audit, Channel
from tests.simulation.fibers import Stopped
from tests.simulation.outside import ROBOT, TAKEN, TARGET, Manner
from tests.simulation.stage import Stage

MANY, MANY_IF_LARGE = 0.07, 0.4
"""The share of the clerk's ideas that are about many tasks."""

NO_ANSWER = 0
"""The status of a call that brought no answer."""

NOT_FOUND = 404

Json = Any


def call(stage: Stage, view: str, body: Json = None, **parts: Any) -> tuple[int, Json]:
    """Call the API as through API Gateway: status and JSON; `NO_ANSWER` when none came within its 29 seconds."""
    process = stage.running(f"api-{stage.random.randint(1, 2)}")
    raw = b"" if body is None else json.dumps(body).encode()
    work = partial(api.answer, stage.world(process), view, Call(body=raw, address="192.0.2.7", **parts))
    try:
        answer = stage.fibers.join(stage.fibers.spawn(process, work), within=29)
    except Stopped:
        return NO_ANSWER, None
    return answer.status, json.loads(answer.text()) if answer.text() else None


def again(status: int) -> bool:
    """Whether a client sends the same request once more: no answer, or our fault."""
    return status == NO_ANSWER or status >= 500


# ── clients ──────────────────────────────────────────────────────────────────────────────────────


def submit(stage: Stage, number: int, submission: Json) -> None:
    """Submit until it is accepted, and now and then once more; other content under the same key is refused."""
    key = f"key-{number}"
    headers = {"idempotency-key": key}
    stage.tell("client", f"submits {key}: {json.dumps(submission)}")
    while again((answer := call(stage, "submit", submission, headers=headers))[0]):
        stage.fibers.sleep(stage.random.uniform(0.1, 20))
    if answer[0] != 202:
        stage.witness.object(f"{key} was answered {answer}")
        return
    stage.witness.promise(key, answer[1]["task_id"])
    stage.tell("client", f"{key} is accepted: {answer[1]['task_id']}")
    if stage.random.random() < 0.2:
        _other_content(stage, {**submission, "labels": {"other": "content"}}, headers)


def submit_together(stage: Stage, numbered: Mapping[int, Json]) -> None:
    """Submit a batch, and what was not accepted of it again, until all of it is."""
    left = {f"key-{number}": submission for number, submission in numbered.items()}
    stage.tell("client", f"submits a batch: {json.dumps(left)}")
    while left:
        batch = [{**submission, "idempotency_key": key} for key, submission in left.items()]
        status, body = call(stage, "submit_batch", {"tasks": batch})
        results = dict(zip(tuple(left), body["results"] if status == 207 else (), strict=status == 207))
        for key, result in results.items():
            _note(stage, key, result)
        left = {key: it for key, it in left.items() if again(results.get(key, {"status": status})["status"])}
        stage.fibers.sleep(stage.random.uniform(0.1, 20))


def _note(stage: Stage, key: str, result: Json) -> None:
    """What the API has said of one task of a batch."""
    if result["status"] == 202:
        stage.witness.promise(key, result["task"]["task_id"])
        stage.tell("client", f"{key} is accepted: {result['task']['task_id']}")
    elif not again(result["status"]):
        stage.witness.object(f"{key} was answered {result}")


def _other_content(stage: Stage, submission: Json, headers: Mapping[str, str]) -> None:
    status, _ = call(stage, "submit", submission, headers=headers)
    if not again(status) and status != 409:
        stage.witness.object(f"(7) other content under {headers} was answered {status}")


def submissions(stage: Stage) -> list[Json]:
    """The tasks of a story, each for a partner of its own."""
    return [_submission(stage, number) for number in range(stage.scale.tasks)]


def _submission(stage: Stage, number: int) -> Json:
    random = stage.random
    url = f"https://{random.choice(stage.scale.hosts)}/{number}"
    tries = random.choice((0, 0, 1, 2, 3, 6, 12))
    failing = [manner for manner in Manner if manner not in TAKEN] + [Manner.CUTS]
    stage.outside.manners[url] = [
        *random.choices(failing, k=tries),
        random.choice((Manner.TAKES, Manner.TAKES, Manner.TAKES_SLOWLY, Manner.FAILS)),
    ]
    return {
        "url": url,
        "body": {"order": number},
        "expect": {"equals": "success"},
        "retry": _policy(stage),
        "timeout": random.choice((1, 10, 60)),
        "source_app": random.choice(("orders", "parcels")),
        **random.choice(({}, {}, {}, {"delay": random.choice((20, 899, 1000, 5000))})),
        **random.choice(({}, {}, {}, _in_line(stage))),
    }


def _in_line(stage: Stage) -> Json:
    key = {"ordering_key": stage.random.choice(("first line", "second line"))}
    return {**key, **stage.random.choice(({}, {"on_exhausted": "hold"}))}


def _policy(stage: Stage) -> Json:
    random = stage.random
    most = random.choice((1, 2, 3, 5, 8))
    policy: Json = random.choice(
        (
            {"backoff": "fixed", "initial": random.choice((0, 1, 30, 600))},
            {"backoff": "exponential", "initial": 5, "factor": 3, "cap": 7200, "jitter": 0.2},
            {"schedule": random.choices((0, 5, 60, 1000, 20_000, 50_000, 100_000), k=3)},
        )
    )
    more: Json = random.choice(({}, {}, {"give_up_on": ["4xx"]}, {"deadline": random.choice((60, 900, 86_400))}))
    return {**policy, **more, "max_attempts": most}


# ── the clerk ────────────────────────────────────────────────────────────────────────────────────


def clerk(stage: Stage) -> None:
    """Cancel, resend and deliver now, whatever comes to mind, as long as there is a storm."""
    pause = stage.random.choice((60, 300, 1200))
    many = MANY_IF_LARGE if stage.scale.is_large else MANY
    while not stage.faults.calm:
        stage.fibers.sleep(stage.random.expovariate(1 / pause))
        known = list(stage.witness.promised.values())
        if known and stage.random.random() < many:
            _resend_many(stage)
        elif known:
            _act(stage, stage.random.choice(("cancel", "resend", "deliver_now")), stage.random.choice(known))


def _act(stage: Stage, view: str, task_id: str) -> None:
    body = {"retry": _policy(stage)} if view == "resend" and stage.random.random() < 0.5 else None
    status, answer = call(stage, view, body, path={"task_id": task_id})
    stage.tell("clerk", f"{view} {task_id}: {status}")
    if status in (200, 202):
        stage.witness.clerk_did(view.replace("_", "-"), task_id)
    elif status == NOT_FOUND and task_id in stage.witness.gone:
        return
    elif not again(status) and status != 409:
        stage.witness.object(f"{view} of {task_id} was answered {status} {answer}")


def _resend_many(stage: Stage) -> None:
    """Resend all tasks of a filter, and now and then stop some such action."""
    chosen = {"status": stage.random.choice(("exhausted", "exhausted", "cancelled", "delivered"))}
    if stage.random.random() < 0.5:
        chosen["source_app"] = stage.random.choice(("orders", "parcels"))
    rate = stage.random.choice((0.02, 1, 1000))
    status, answer = call(stage, "start_resend", {"filter": chosen, "rate": rate})
    stage.tell("clerk", f"resend all that are {chosen}, {rate} a second: {status}")
    if status != 202 and not again(status):
        stage.witness.object(f"a bulk resend was answered {status} {answer}")
    begun = [it.resend_id for it in stage.store.resends()]
    if begun and stage.random.random() < 0.3:
        stage.fibers.sleep(stage.random.uniform(0, 120))
        status, _ = call(stage, "stop_resend", path={"resend_id": stage.random.choice(begun)})
        stage.tell("clerk", f"stops a bulk resend: {status}")


# ── the warden ───────────────────────────────────────────────────────────────────────────────────


LAST_WORD = 1000
"""Seconds after which no process that slept changes anything any more that nobody waits for."""


def warden(stage: Stage) -> None:
    """Pause, resume and limit the partners' targets as long as there is a storm; in the end none is paused."""
    if stage.random.random() < 0.5:
        return
    pause = stage.random.choice((60, 300, 1200))
    while not stage.faults.calm:
        stage.fibers.sleep(stage.random.expovariate(1 / pause))
        _rule(stage, stage.random.choice(stage.targets), _changes(stage))
    stage.fibers.sleep(LAST_WORD)
    for target in stage.targets:
        while not _rule(stage, target, {"paused": False}):
            stage.fibers.sleep(stage.random.uniform(0.1, 20))


def _changes(stage: Stage) -> Json:
    random = stage.random
    share, window = random.choice((0.1, 0.5, 1)), random.choice((10, 60, 600))
    breaker = {"failure_share": share, "window": window, "least_attempts": random.choice((1, 2, 5)), "open_seconds": 30}
    changes: Json = random.choice(
        (
            {"paused": True},
            {"paused": True},
            {"paused": False},
            {"max_concurrency": random.choice((None, 1, 1, 2))},
            {"rate_per_second": random.choice((None, 0.02, 0.1, 3))},
            {"breaker": random.choice((None, breaker, breaker))},
        )
    )
    return changes


def _rule(stage: Stage, target: str, changes: Json) -> bool:
    """Change a target. Whether the API has said that it is done. Of `TARGET`, the witness knows what is set."""
    watched = changes if target == TARGET else {}
    stage.witness.warden_begins(watched)
    status, answer = call(stage, "change_target", changes, query={"target": [target]})
    stage.tell("warden", f"{target} {json.dumps(changes)}: {status}")
    if status == NO_ANSWER:
        stage.witness.warden_doubts(watched)
    elif status == 200:
        stage.witness.warden_did(watched)
    elif not again(status):
        stage.witness.object(f"{changes} was answered {status} {answer}")
    return status == 200


PACES = {"wecom": (20, 60.0), "slack": (1, 1.0)}
"""What a robot takes: so many messages in so many seconds."""


def open_channels(stage: Stage) -> None:
    """Up to three robots, before anything happens; one may be deaf."""
    now = stage.fibers.now
    for number in range(stage.random.randint(0, 3)):
        name = f"robot-{number}"
        apps = ("orders",) if number == 1 else ()
        channel = Channel(
            channel_id=name,
            kind=stage.random.choice(tuple(PACES)),
            url=ROBOT + name,
            source_apps=apps,
            gather=stage.random.choice((0, 10, 60, 600)),
            version=1,
            created_at=now,
            updated_at=now,
        )
        audit = Audit(at=now, actor="story", action="create-channel", subject=name, address="")
        assert stage.store.save_channel(channel, audit)
        stage.witness.paces[name] = PACES[channel.kind]
        if stage.random.random() < 0.2:
            stage.outside.deaf.add(name)
