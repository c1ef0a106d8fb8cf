"""Start the local run in a process of its own, as a user would, and find out where it serves; or a partner for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTS_WITHIN = 60
"""Seconds until it must serve."""

COMMAND = (sys.executable, "-m", "infra.local")


class LocalRun:
    """The local run on free ports, open to everybody, its data in `folder`.

    It can be killed and started again on the same data. `command` is what is run; `variables` are set for it.
    """

    def __init__(self, folder: Path, command: Sequence[str] = COMMAND, **variables: str) -> None:
        self.folder = folder
        self.api = ""
        self.receiver = ""
        self._command = command
        self._variables = {"PORT": "0", "RECEIVER_PORT": "0", "DATA": str(folder), "KKBIDA_OPEN_API": "1", **variables}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it serves: the seconds that took. Raises RuntimeError when it does not."""
        began = time.perf_counter()
        process = self.spawn()
        while not self._serves():
            if process.poll() is not None or time.perf_counter() - began > STARTS_WITHIN:
                raise RuntimeError((self.folder / "output.txt").read_text())
            time.sleep(0.02)  # another process starts: there is no event to wait for
        return time.perf_counter() - began

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it, and do not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "access.json").unlink(missing_ok=True)
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                self._command,
                env={**_environment(), **self._variables},
                stdout=output,
                stderr=output,
            )
        return self._process

    @property
    def files(self) -> Path:
        """Its folder, as this process sees it."""
        return self.folder

    def _serves(self) -> bool:
        """Whether it answers; where it does is remembered for the next start."""
        access = self.files / "access.json"
        if not access.exists():
            return False
        found = json.loads(access.read_text())
        self.api, self.receiver = found["api"], found["receiver"]
        self._variables |= {"PORT": self.api.rpartition(":")[2], "RECEIVER_PORT": self.receiver.rpartition(":")[2]}
        try:
            return bool(self.get("/v1/health")["status"] == "ok")
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        assert self._process is not None, "it was started"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, as a user's Ctrl-C."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def get(self, path: str) -> Any:
        """The JSON at a path of the API."""
        with urllib.request.urlopen(self.api + path, timeout=30) as reply:  # noqa: S310 - loopback
            return json.load(reply)

    def memory(self, figure: str = "VmHWM") -> int:
        """Bytes of memory that the process has had at most, or has now (VmRSS)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(figure):
                return int(line.split()[1]) * 1024
        return 0


@contextmanager
def receiving() -> Iterator[str]:
    """Where the flaky receiver serves, in a process of its own, while the block runs."""
    command = [sys.executable, "-m", "infra.local.receiver", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code
    assert process.stdout is not None, "it is a pipe"
    try:
        yield next(word for line in process.stdout for word in line.split() if word.startswith("http://")).rstrip("/")
    finally:
        process.terminate()
        process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what would set the product up otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KKBIDA_"))}
