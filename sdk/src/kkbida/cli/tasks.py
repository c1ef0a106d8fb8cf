"""Commands about tasks: submit, show, list, watch, resend, cancel, deliver-now, export."""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from rich.live import Live
from rich.text import Text

from kkbida import operations, rawjson
from kkbida.cli import say
from kkbida.cli.base import YES, Command, Here, Number, Pair, When, confirmed, options, pass_here
from kkbida.cli.ending import Exit, Failure
from kkbida.cli.given import TaskLines, body_of
from kkbida.cli.words import MOST_OF_REPLY, ON_ITS_WAY, clean, counted, expectation, local, sentence, timeline, until
from kkbida.client import Client
from kkbida.errors import NotFinalYet
from kkbida.operations import MOST_IN_BATCH
from kkbida.tasks import Changes, Expect, Filter, ListedTask, Retry, Status, Task, WholeTask
from kkbida.wire import Json

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_PAUSE = 86_400
"""Seconds between two looks."""

STATUSES = [*(str(it) for it in Status), "scheduled"]

_filtered = options(
    click.option("--status", type=click.Choice(STATUSES), help="Where they stand."),
    click.option("--source-app", metavar="APP", help="The app that they come from."),
    click.option("--target-app", metavar="APP", help="The app that they go to."),
    click.option("--target", metavar="TARGET", help="Scheme, host and port, such as https://partner.example:443."),
    click.option("--since", type=When(), metavar="WHEN", help="Accepted then or later: a time, or how long ago (2h)."),
    click.option("--until", type=When(), metavar="WHEN", help="Accepted before."),
    click.option("-q", "--containing", "q", metavar="TEXT", help="Part of the URL."),
)


def filter_of(given: dict[str, Any]) -> Filter:
    """The filter in a command's options, which are taken out."""
    return Filter(**{name: given.pop(name) for name in Filter.__dataclass_fields__})


def now() -> datetime:
    """This moment."""
    return datetime.now(timezone.utc)


# ── submit ───────────────────────────────────────────────────────────────────────────────────────


def _waits(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    try:
        waits = tuple(float(it) for it in value.split(",")) if value else ()
    except ValueError:
        waits = (math.nan,)
    if not all(map(math.isfinite, waits)):
        raise click.BadParameter("seconds with commas between, such as 15,15,30,180")
    return waits or None


RETRY = ("preset", "max_attempts", "schedule", "deadline")
EXPECT = ("contains", "equals", "regex")
PLAIN = (
    *("method", "timeout", "delay", "deliver_at", "content_type"),
    *("source_app", "target_app", "ordering_key", "idempotency_key"),
)


@click.command(
    cls=Command,
    examples="""
    kkbida submit https://partner.example/callback -d '{"order": 42}'
    kkbida submit https://partner.example/callback -d @order.json --contains success --wait
    kkbida submit https://partner.example/ping -X GET --preset wechatpay --label order=42
    kkbida submit --from tasks.jsonl
    """,
)
@click.argument("url", required=False)
@click.option("-d", "--data", metavar="BODY", help="The body: JSON if it is JSON, else text; @FILE or - reads it.")
@click.option("-X", "--method", metavar="METHOD", help="POST unless said.")
@click.option("-H", "--header", "headers", multiple=True, type=Pair(":", "Name: value"), help="A header; repeat it.")
@click.option("--param", "params", multiple=True, type=Pair("=", "name=value"), help="A parameter of the query.")
@click.option("--content-type", metavar="TYPE", help="Of the body.")
@click.option("--expect-status", "status", multiple=True, metavar="SET", help="Statuses that count: 2xx, !204.")
@click.option("--contains", metavar="TEXT", help="Text that the reply must contain.")
@click.option("--equals", metavar="TEXT", help="Text that the reply must be.")
@click.option("--regex", metavar="PATTERN", help="Pattern that must be found in the reply.")
@click.option("--preset", metavar="NAME", help="A well-known platform's waits, such as wechatpay.")
@click.option("--max-attempts", type=int, metavar="NUMBER", help="Tries in all.")
@click.option("--schedule", callback=_waits, metavar="SECONDS,...", help="The waits between the tries.")
@click.option("--deadline", type=Number(), metavar="SECONDS", help="After which no try begins.")
@click.option("--timeout", type=Number(), metavar="SECONDS", help="That one try may last.")
@click.option("--delay", type=Number(), metavar="SECONDS", help="Until the first try.")
@click.option("--at", "deliver_at", type=When(ahead=True), metavar="WHEN", help="Of the first try: a time, or 2h.")
@click.option("--source-app", metavar="APP", help="The app that it comes from.")
@click.option("--target-app", metavar="APP", help="The app that it goes to.")
@click.option("--label", "labels", multiple=True, type=Pair("=", "name=value"), help="A label; repeat it.")
@click.option("--ordering-key", metavar="KEY", help="Tasks with the same one go one after another.")
@click.option("--key", "idempotency_key", metavar="KEY", help="Submitting again with it is the same task.")
@click.option(
    "--from",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="Tasks from a file: a JSON line each; - reads.",
)
@click.option("--wait", is_flag=True, help="Wait until it is delivered, exhausted or cancelled.")
@click.option(
    "--wait-for", type=Number(), default=300, show_default=True, metavar="SECONDS", help="How long, with --wait."
)
@pass_here
def submit(here: Here, /, url: str | None, file: IO[bytes] | None, wait: bool, wait_for: float, **given: Any) -> None:
    """Submit a task, or many from a file: it will arrive, or somebody is told."""
    if (url is None) == (file is None):
        raise click.UsageError("Say where the task goes: a URL, or --from FILE.")
    client = here.client(first="caller")
    if file is not None:
        _submit_file(here, client, TaskLines.of(file))
        return
    task = client.do(operations.submit(_task(str(url), given)))
    if wait:
        say.note(f"{task.task_id} is accepted.")
        _await(here, client, task.task_id, wait_for)
        return
    here.voice.one(task.shown, task.task_id)


def _task(url: str, given: Mapping[str, Any]) -> Task:
    """The task that a command line describes."""
    told = {name: given[name] for name in PLAIN if given[name] is not None}
    for name in ("headers", "params", "labels"):
        told |= {name: dict(given[name])} if given[name] else {}
    if given["data"] is not None:
        told["body"] = body_of(given["data"])
    return Task(url, expect=_rules(Expect, given, EXPECT), retry=_rules(Retry, given, RETRY), **told)


def _rules(kind: Callable[..., Any], given: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What is expected, or how to retry; None where nothing was said of it."""
    told = {name: given[name] for name in names if given[name] is not None}
    if kind is Expect and given["status"]:
        told["status"] = given["status"]
    return kind(**told) if told else None


def _submit_file(here: Here, client: Client, lines: TaskLines) -> None:
    """Submit each line of a file, a hundred at a time, once all are known to be tasks.

    Ends with a failure when some were not taken. Whatever ends it before its time, it says how far it came.
    """
    total = lines.checked()
    refused = done = last = 0
    try:
        with say.progress() as bar:
            job = bar.add_task("submitted", total=total)
            for some in _hundreds(lines.tasks()):
                results = client.batch([task for _, task in some])
                done, last = done + len(some), some[-1][0]
                refused += sum(it.problem is not None for it in results)
                for (number, _), result in zip(some, results, strict=True):
                    _say_result(here, number, result.accepted, str(result.problem))
                bar.advance(job, len(some))
    except BaseException:
        with suppress(OSError):
            say.note(_how_far(done, refused, last, total))
        raise
    if refused:
        raise Failure(f"{refused} of {counted(total, 'task')} were not taken.", Exit.FAILED)


def _how_far(done: int, refused: int, last: int, total: int) -> str:
    """How far a file has come when its submission ends before its time."""
    taken = f"{done - refused} of {counted(total, 'task')} were submitted"
    upto = f", up to line {last}" if last else ""
    some = ". Of the lines after that, up to a hundred may have been" if done < total else ""
    return f"{taken}{upto}{some}."


def _hundreds(tasks: Iterable[tuple[int, Task]]) -> Iterator[list[tuple[int, Task]]]:
    left = iter(tasks)
    while some := list(islice(left, MOST_IN_BATCH)):
        yield some


def _say_result(here: Here, number: int, accepted: ListedTask | None, problem: str) -> None:
    if accepted is None:
        say.note(f"line {number}: {problem}")
    if here.as_json:
        say.json_line({"line": number, **({"task": accepted.shown} if accepted else {"problem": problem})})
    elif accepted is not None:
        say.line(accepted.task_id)


def _await(here: Here, client: Client, task_id: str, seconds: float) -> None:
    """Wait for the end of a task, show it, and end as it ended."""
    try:
        task = client.wait(task_id, seconds)
    except NotFinalYet as not_yet:
        raise Failure(str(not_yet), Exit.FAILED) from not_yet
    if here.as_json:
        say.document(task.shown)
    else:
        say.line(f"{task.task_id}  {sentence(task, now())}")
    end_as(task)


def end_as(task: ListedTask) -> None:
    """End the command as a final task ended."""
    if task.status != Status.DELIVERED:
        raise click.exceptions.Exit(Exit.FAILED)


# ── show ─────────────────────────────────────────────────────────────────────────────────────────


@click.command(
    cls=Command,
    examples="""
    kkbida show 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad
    kkbida show 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad --json
    """,
)
@click.argument("task_id")
@pass_here
def show(here: Here, task_id: str) -> None:
    """Where a task stands, in a sentence, and its life: every attempt, what came back, what is waited for."""
    task = whole(here.client(), task_id)
    if here.as_json:
        say.document(task.shown)
        return
    say.line(sentence(task, now()), "bold")
    say.line("")
    say.facts(_facts(task))
    say.line("")
    say.out().print(Text("\n").join(_moments(task)), soft_wrap=True)


def whole(client: Client, task_id: str) -> WholeTask:
    """A task with all of its attempts, also where they do not fit into one answer."""
    task = client.get(task_id)
    if task.attempts_cursor is None:
        return task
    attempts, shown = list(task.attempts), list(task.shown["attempts"])
    cursor: str | None = task.attempts_cursor
    while cursor is not None:
        page = client.do(operations.attempts(task_id, cursor=cursor))
        attempts[:0], shown[:0] = page.attempts[::-1], page.shown[::-1]
        cursor = page.cursor
    all_shown = {**task.shown, "attempts": shown, "attempts_cursor": None}
    return replace(task, attempts=tuple(attempts), attempts_cursor=None, shown=all_shown)


def _facts(task: WholeTask) -> say.Row:
    return {
        "task": task.task_id,
        "request": f"{task.method} {task.url}",
        "from": task.source_app,
        "to": task.target_app,
        "labels": ", ".join(f"{name}={value}" for name, value in task.labels.items()),
        "ordering key": task.shown.get("ordering_key"),
        "expects": expectation(task.shown.get("expect", {})),
        "body": rawjson.shown(body)[:MOST_OF_REPLY] if (body := task.shown.get("body")) else "",
    }


def _moments(task: WholeTask) -> Iterator[Text]:
    for it in timeline(task):
        yield Text.assemble((local(it.at), "dim"), "  ", (clean(it.what), say.MOODS[it.mood]))
        for more in it.more:
            yield Text(" " * 23 + clean(more), "dim")


# ── list, watch, export ──────────────────────────────────────────────────────────────────────────


@click.command(
    "list",
    cls=Command,
    examples="""
    kkbida list --status exhausted --since 2h
    kkbida list --source-app orders --target https://partner.example:443 --all
    kkbida list -q /callback --json
    """,
)
@_filtered
@click.option(
    "--limit", type=click.IntRange(1), metavar="NUMBER", default=50, show_default=True, help="Tasks to show, at most."
)
@click.option("--all", "all_of_them", is_flag=True, help="Show all, however many.")
@pass_here
def list_tasks(here: Here, /, limit: int, all_of_them: bool, **given: Any) -> None:
    """Tasks, newest first."""
    found = here.client().list(filter_of(given), page_size=100 if all_of_them else min(limit, 100))
    tasks = list(found if all_of_them else islice(found, limit))
    here.voice.many([it.shown for it in tasks], [row(it) for it in tasks], empty="There are no such tasks.")


def row(task: ListedTask) -> say.Row:
    """A task in a table."""
    return {
        "task id": task.task_id,
        "status": "scheduled" if task.scheduled else task.status,
        "accepted": local(task.created_at),
        "tries": f"{task.attempts_made}/{task.max_attempts}",
        "next": until(task.next_try_at, now()) if task.next_try_at else (f"held: {task.held}" if task.held else ""),
        "request": f"{task.method} {task.url}",
        "why": task.because or task.last_reason or "",
    }


LINES = 20
"""Tasks that `watch` shows at a time."""


@click.command(
    cls=Command,
    examples="""
    kkbida watch 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad
    kkbida watch --status retrying --target https://partner.example:443
    kkbida watch --source-app orders --json
    """,
)
@click.argument("task_id", required=False)
@_filtered
@click.option(
    "--every", type=Number(0.1, MAX_PAUSE), metavar="SECONDS", default=1, show_default=True, help="Between two looks."
)
@pass_here
def watch(here: Here, /, task_id: str | None, every: float, **given: Any) -> None:
    """Look on: a task's life until its end, or the newest tasks as they change, until Ctrl-C."""
    client = here.client()
    if task_id is not None:
        end_as(_watch_one(here, client, task_id, every))
        return
    look = _watch_many if say.out().is_interactive and not here.as_json else _tell_changes
    with suppress(KeyboardInterrupt):
        look(here, client, filter_of(given), every)


def _watch_one(here: Here, client: Client, task_id: str, every: float) -> WholeTask:
    """Tell each thing that happens to a task, once; the task at its end."""
    told: set[object] = set()
    with say.waiting() as wait_for:
        while True:
            task = client.get(task_id)
            wait_for(sentence(task, now()))
            for what, text in _news(here, task):
                if what not in told:
                    told.add(what)
                    text()
            if task.is_final:
                return task
            time.sleep(every)


def _news(here: Here, task: WholeTask) -> Iterator[tuple[object, Callable[[], None]]]:
    """What there is to tell of a task, each with what it is known by."""
    if here.as_json:
        yield task.updated_at, partial(say.json_line, task.shown)
        return
    for it in timeline(task):
        if not it.what.endswith(ON_ITS_WAY):
            yield it.what, partial(say.line, f"{local(it.at)}  {'; '.join([it.what, *it.more])}")
    if task.is_final:
        yield task.status, partial(say.line, sentence(task, now()))


def _tell_changes(here: Here, client: Client, of: Filter, every: float) -> None:
    """A line for each task, and one more whenever it has changed."""
    known: dict[str, datetime] = {}
    while True:
        newest = list(islice(client.list(of), 100))
        for task in reversed(newest):
            if known.get(task.task_id) != task.updated_at:
                _tell_change(here, task)
        known = {task.task_id: task.updated_at for task in newest}
        time.sleep(every)


def _tell_change(here: Here, task: ListedTask) -> None:
    if here.as_json:
        say.json_line(task.shown)
    else:
        say.line("  ".join(str(it) for it in row(task).values() if it))


def _watch_many(_: Here, client: Client, of: Filter, every: float) -> None:
    with Live(console=say.out(), refresh_per_second=4, screen=True) as live:
        while True:
            live.update(say.table([row(it) for it in islice(client.list(of, page_size=LINES), LINES)]))
            time.sleep(every)


COLUMNS = (
    *("task_id", "status", "method", "url", "source_app", "target_app", "target", "labels", "created_at", "updated_at"),
    *("round", "attempts_made", "max_attempts", "held", "next_try_at", "because", "last_reason"),
)
"""Of an exported task, in a table."""


@click.command(
    cls=Command,
    examples="""
    kkbida export --status exhausted --since 7d -o failed.csv
    kkbida export --source-app orders --format jsonl > orders.jsonl
    """,
)
@_filtered
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), help="Unless said: by the file's name, or jsonl."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="The file; unless said, standard output."
)
@pass_here
def export(here: Here, /, form: str | None, output: Path | None, **given: Any) -> None:
    """Write all tasks of a filter to a file, as JSON lines or CSV."""
    tasks = here.client().list(filter_of(given))
    write = _as_csv if (form or (output and output.suffix[1:])) == "csv" else _as_lines
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        bar.advance(job)

    try:
        with _opened(output) as file, say.progress() as bar:
            job = bar.add_task("exported", total=None)
            write(file, _counted(tasks, count))
    except BaseException:
        with suppress(OSError):
            say.note(f"{counted(done, 'task')} were exported before. The output is not complete.")
        raise


def _opened(output: Path | None) -> Any:
    """The file that is written to; standard output stays open."""
    if output is None or str(output) == "-":
        return nullcontext(sys.stdout)
    return output.open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _counted(tasks: Iterable[ListedTask], count: Callable[[], None]) -> Iterator[ListedTask]:
    for task in tasks:
        yield task
        count()


def _as_lines(file: IO[str], tasks: Iterable[ListedTask]) -> None:
    for task in tasks:
        file.write(say.json_text(task.shown, file) + "\n")


def _as_csv(file: IO[str], tasks: Iterable[ListedTask]) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for task in tasks:
        writer.writerow(_csv_cell(task.shown.get(name)) for name in COLUMNS)


def _csv_cell(value: Json) -> Json:
    """A cell. A text that a spreadsheet would run as a formula is put behind an apostrophe."""
    text = rawjson.shown(value) if isinstance(value, (dict, list)) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


# ── what can be done to tasks ────────────────────────────────────────────────────────────────────


@click.command(
    cls=Command,
    examples="""
    kkbida resend 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad
    kkbida resend 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad --to-url https://partner.example/v2/callback
    kkbida resend --target https://partner.example:443 --since 2h --dry-run
    kkbida resend --target https://partner.example:443 --since 2h --rate 50
    """,
)
@click.argument("task_id", required=False)
@click.option("--to-url", metavar="URL", help="Another URL, for the one task.")
@click.option("-d", "--data", metavar="BODY", help="Another body, for the one task: as submit takes it.")
@_filtered
@click.option("--dry-run", is_flag=True, help="Only count the tasks of the filter.")
@click.option("--rate", type=Number(), metavar="NUMBER", help="Tasks a second, at most; 10 unless said.")
@click.option("--no-wait", is_flag=True, help="Do not look on until all are resent.")
@YES
@pass_here
def resend(here: Here, /, task_id: str | None, to_url: str | None, data: str | None, yes: bool, **given: Any) -> None:
    """Open a new round of a task, or of all that match a filter: exhausted ones, unless --status says otherwise."""
    of = filter_of(given)
    if task_id is not None:
        changes = Changes(url=to_url, body=None if data is None else body_of(data))
        task = here.client().resend(task_id, changes)
        here.voice.one(task.shown, f"Round {task.round} of {task.task_id} has begun.")
        return
    if of == Filter():
        raise click.UsageError("Say which: a task's id, or a filter such as --status exhausted.")
    _resend_many(here, of, yes=yes, **given)


def _resend_many(here: Here, of: Filter, *, yes: bool, dry_run: bool, rate: float | None, no_wait: bool) -> None:
    client = here.client()
    size = client.do(operations.start_resend(of, dry_run=True))
    about = f"{counted(size['count'], 'task')}{'' if size['exact'] else ' or more'}"
    if dry_run:
        here.voice.one(size, f"{about} would be resent.")
        return
    confirmed(f"Resend {about}?", yes=yes)
    begun = client.do(operations.start_resend(of, rate=rate))
    say.note(f"It goes on whatever happens here. To stop it: kkbida resends stop {begun['resend_id']}")
    ended = begun if no_wait else follow(client, begun, size["count"])
    here.voice.one(ended, resend_sentence(ended))


OVER = ("done", "stopped")
LOOK_EVERY = 0.5
"""Seconds between two looks at a bulk resend."""


def follow(client: Client, resend: Mapping[str, Json], expected: int) -> Mapping[str, Json]:
    """Show how a bulk resend goes on, until it is over."""
    with say.progress() as bar:
        job = bar.add_task("resent", total=expected)
        while resend["status"] not in OVER:
            time.sleep(LOOK_EVERY)
            resend = client.do(operations.resend_progress(str(resend["resend_id"])))
            bar.update(job, completed=resend["resent"], total=max(expected, resend["matched"]))
    return resend


def resend_sentence(resend: Mapping[str, Json]) -> str:
    """How a bulk resend stands."""
    counts = f"{resend['resent']} resent, {resend['passed_over']} passed over, {resend['failed']} failed"
    return f"{resend['resend_id']}  {resend['status']}: {counts}."


@click.command(cls=Command, examples="kkbida cancel 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad")
@click.argument("task_id")
@pass_here
def cancel(here: Here, task_id: str) -> None:
    """Cancel a live task."""
    task = here.client().cancel(task_id)
    here.voice.one(task.shown, f"{task.task_id} is cancelled.")


@click.command("deliver-now", cls=Command, examples="kkbida deliver-now 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad")
@click.argument("task_id")
@pass_here
def deliver_now(here: Here, task_id: str) -> None:
    """Make a task's next attempt at once, without waiting for its time."""
    task = here.client().deliver_now(task_id)
    here.voice.one(task.shown, f"The next attempt at {task.task_id} is due now.")
