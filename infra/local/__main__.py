"""`python -m infra.local`: API, console, consumers, reconciler and the flaky receiver, in one process."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import IO

from chalicelib import world
from chalicelib.embedded import IN_HAND, EmbeddedStore
from chalicelib.errors import KkbidaError, SettingsError
from chalicelib.folders import make_folder
from chalicelib.ports import Queue, World
from infra.local import entry, receiver, server, sources, start
from infra.local.context import function
from infra.local.start import Start

CONSOLE = Path(__file__).resolve().parents[2] / "console"

RECONCILE_EVERY = 5
"""Seconds. On AWS it is a minute; here a look costs nothing."""

RESEND_EVERY = 1
"""Seconds. On AWS it is a minute."""

CHECK_EVERY = 60
"""Seconds. On AWS it is five minutes; here a million tasks are counted in one or two tenths of a second."""

SWEEP_EVERY, SWEEP_MOST = 5, 500
"""Seconds, and expired tasks removed each time: DynamoDB does it by itself."""

COUNT_EVERY = 1
"""Seconds between two looks at the stream of an emulator's table."""

FUNCTION_SECONDS = 120
"""How long a handler may plan for."""

MOST_LOG = 64 * 1024 * 1024
"""Bytes of log above which the next start begins a new file, and keeps this one as `.1`."""

MAX_FILES = 8192
"""Open at once: 2,000 connections of clients, 520 of deliveries, and files."""

PRIVATE = 0o600
"""The mode of the log."""

STOPS = {signal.SIGINT, signal.SIGTERM}


SWITCH_AFTER = 0.001
"""Seconds after which a thread gives way to another. Python's 5 ms make the database's thread wait for its turn
between any two statements: with 1 ms, a quarter more tasks went through on two cores."""


def main() -> None:
    """Run until Ctrl-C or SIGTERM. Raises SystemExit with a sentence when it cannot start."""
    sys.setswitchinterval(SWITCH_AFTER)
    _raise_file_limit()
    logging.raiseExceptions = False  # a line that a full disk does not take is lost, and says nothing on the terminal
    try:
        run(start.read(os.environ))
    except SettingsError as error:
        raise SystemExit(str(error)) from error
    except (KkbidaError, OSError) as error:
        raise SystemExit(
            f"kkbida cannot start: {str(error).rstrip('.')}. Its data is kept in DATA={_data()}."
        ) from error


def _raise_file_limit() -> None:
    """Let the process open as many files as the system allows it: connections of clients and of deliveries count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _data() -> Path:
    return start.read({"DATA": os.environ.get("DATA", "")}).folder.absolute()


def run(asked: Start) -> None:
    """Take the ports, set up the world, serve until a signal comes. Raises SettingsError."""
    with _listen(asked.port, "PORT") as own, _listen_beside(asked) as partner:
        found = start.addresses(own.getsockname()[1], partner.getsockname()[1])
        make_folder(asked.folder)
        os.environ.update(start.settings(found, os.environ) | _place(asked))
        with _logging_to(asked.log), _product(own, partner):
            here = world.current()
            ways_in = entry.ensure(here, start.read_access(asked.access))
            start.write_access(asked, found, ways_in)
            welcome = start.welcome(asked, found, ways_in, is_open=here.settings.open_api)
            print(welcome, file=sys.__stdout__, flush=True)
            signal.sigwait(STOPS)
            print("  Stopping ...", file=sys.__stdout__, flush=True)
    os._exit(0)  # a delivery that outlives its grace must not keep the process; its lease runs out, as in a crash


def _listen(port: int, variable: str) -> socket.socket:
    try:
        return server.listen(port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        hint = f"Choose another one with {variable}=, such as make run {variable}=0 for any that is free."
        raise SettingsError(f"Port {port}: {os.strerror(error.errno)}. {hint}") from error


def _listen_beside(asked: Start) -> socket.socket:
    """The receiver's port; where nobody asked for that very one, any that is free will do."""
    try:
        return _listen(asked.receiver_port, "RECEIVER_PORT")
    except SettingsError:
        if asked.receiver_port_given:
            raise
        return server.listen(0)


def _place(asked: Start) -> dict[str, str]:
    """The settings that say where tasks are kept. At an emulator, table and queues are made if need be."""
    if not asked.endpoint:
        return {"KKBIDA_EMBEDDED": str(asked.database)}
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow, and of no use without endpoint

    from infra import resources  # noqa: PLC0415 - as above

    try:
        return {"KKBIDA_EMBEDDED": "", "KKBIDA_ENDPOINT": asked.endpoint, **resources.make(asked.endpoint)}
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"ENDPOINT={asked.endpoint} cannot be used. {error}") from error


@contextmanager
def _product(own: socket.socket, partner: socket.socket) -> Iterator[None]:
    """Everything at work while the block runs. The server stops first, so that nothing new comes in."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # in every thread to come: only `sigwait` shall get them
    import app  # noqa: PLC0415 - Chalice takes hold of standard output, which is the log by now

    here = world.current()
    with ExitStack() as stack:
        if isinstance(here.store, EmbeddedStore):
            stack.callback(here.store.close)
        stack.enter_context(receiver.receiving(partner))
        stack.enter_context(sources.running(_sources(here)))
        stack.enter_context(server.serving(server.application(app.app, CONSOLE), own))
        yield


def _sources(here: World) -> list[sources.Loop]:
    """What feeds each handler: on AWS these are event source mappings and schedules."""
    import app  # noqa: PLC0415 - as above

    loops = [_upkeep(here)]
    for name, scheduled, pause in (
        ("reconcile", app.reconcile, RECONCILE_EVERY),
        ("resend-many", app.resend_many, RESEND_EVERY),
        ("check-ledger", app.check_ledger, CHECK_EVERY),
    ):
        loops.append(sources.schedule(function(name, scheduled, FUNCTION_SECONDS), pause=pause))
    for queue, handler in ((Queue.TASKS, app.deliver), (Queue.EXHAUSTED, app.tell)):
        invoke = function(queue, handler, FUNCTION_SECONDS)
        loops += sources.pollers(here.queues, queue, invoke, runs=_runs(here, queue))
    return loops


def _runs(here: World, queue: Queue) -> int:
    """As many as there may be messages in hand; where nobody counts those, as many as ten at a time come to."""
    return IN_HAND[queue] if isinstance(here.store, EmbeddedStore) else IN_HAND[queue] // sources.BATCH


def _upkeep(here: World) -> sources.Loop:
    """Let expired tasks go, which DynamoDB does by itself; or, at an emulator, count what its table's stream says."""
    if isinstance(here.store, EmbeddedStore):
        sweep = here.store.sweep
        return sources.steady(lambda _stop: sweep(here.clock.now(), SWEEP_MOST), pause=SWEEP_EVERY)
    import app  # noqa: PLC0415 - as above
    from infra.stream import Stream  # noqa: PLC0415 - slow, and of no use without endpoint

    stream = Stream(here.settings.endpoint, here.settings.table)
    count = function("count", app.count, FUNCTION_SECONDS)
    return sources.steady(lambda _stop: stream.drain(lambda records: count({"Records": records})), pause=COUNT_EVERY)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send standard output to the log while the block runs, as Lambda does, and what libraries complain of."""
    _rotate(path)
    log = _private_log(path)
    try:
        with redirect_stdout(log):
            handler = logging.StreamHandler(log)
            handler.setFormatter(_JsonLine())
            logging.basicConfig(handlers=[handler])
            logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request in line is no complaint
            yield
    finally:
        with suppress(OSError):  # what a full disk did not take is lost
            log.close()


def _rotate(path: Path) -> None:
    """Keep a log that is long as `.1`, for its owner only, and begin a new one. Raises OSError."""
    if path.exists() and path.stat().st_size > MOST_LOG:
        older = path.with_suffix(".log.1")
        path.replace(older)
        older.chmod(PRIVATE)


def _private_log(path: Path) -> IO[str]:
    """The log, for its owner only: it names tasks, URLs and people. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
    os.fchmod(descriptor, PRIVATE)
    return os.fdopen(descriptor, "a", buffering=1, encoding="utf-8")


class _JsonLine(logging.Formatter):
    """A library's complaint, as one line like our own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        return json.dumps({"level": record.levelname, "library": record.name, "message": super().format(record)})


if __name__ == "__main__":
    main()
