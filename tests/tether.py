"""`python tether.py COMMAND ...` runs a command for as long as its own stdin stays open, and ends all of it then.

Whoever holds the other end may be killed at any moment: nothing is left running. SIGUSR1 makes the command stand
still, SIGUSR2 lets it go on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Thread

STOPPED_WITHIN = 10
"""Seconds the command has for a clean end."""


def _end_with_stdin(child: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    child.terminate()
    child.send_signal(signal.SIGCONT)
    try:
        child.wait(STOPPED_WITHIN)
    finally:
        _end_all()


def _end_all() -> None:
    """End this process and every one that it or its command has started."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    os.setsid()  # a group of our own, and a Ctrl-C is not ours
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGUSR1, lambda *_: command.send_signal(signal.SIGSTOP))
    signal.signal(signal.SIGUSR2, lambda *_: command.send_signal(signal.SIGCONT))
    Thread(target=_end_with_stdin, args=[command], daemon=True).start()
    command.wait()
    _end_all()
