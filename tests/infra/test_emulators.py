"""The emulators stand still when told to, and go when whoever started them goes, however that happens."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from infra import resources
from tests.emulators import ministack_process

TETHER = Path(__file__).parent.parent / "tether.py"

EMULATOR = """if True:
    import signal, subprocess, sys
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    function = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("ready", flush=True)
    function.wait()
"""
"""It ends when it is told to, and forgets the function that it runs."""

TESTS = """if True:
    import subprocess, sys
    subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=subprocess.PIPE).wait()
"""


def test_nothing_is_left_running_when_the_tests_are_killed() -> None:
    tethered = [str(TETHER), sys.executable, "-c", EMULATOR]
    with subprocess.Popen([sys.executable, "-c", TESTS, *tethered], stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == b"ready\n"

        tests.kill()

        # All of them hold this pipe: it ends with the last one.
        assert tests.stdout.read() == b""


@pytest.mark.emulator
def test_one_that_stands_still_answers_nobody_and_forgets_nothing() -> None:
    with ministack_process() as emulator:
        made = resources.make_queues(emulator.url)
        with emulator.standing_still(), pytest.raises(TimeoutError):
            urllib.request.urlopen(emulator.url, timeout=0.5)
        assert resources.make_queues(emulator.url) == made
