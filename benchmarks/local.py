"""Start the local run in a process of its own, as a user would, and find out where it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

STARTS_WITHIN = 30
"""Seconds until it must serve."""


class LocalRun:
    """The local run on free ports, its data in `folder`. It can be killed and started again on the same data."""

    def __init__(self, folder: Path, *, port: int = 0, receiver_port: int = 0, receiver: str | None = None) -> None:
        self.folder = folder
        self._ports = {"PORT": str(port), "RECEIVER_PORT": str(receiver_port), "DATA": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None
        self.api = ""
        self.receiver = receiver or ""

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it serves: the seconds that took."""
        began = time.perf_counter()
        access = self.folder / "access.json"
        access.unlink(missing_ok=True)
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local"], env={**os.environ, **self._ports}, stdout=output, stderr=output
            )
        while time.perf_counter() - began < STARTS_WITHIN:
            if access.exists() and self._serves(access):
                return time.perf_counter() - began
            time.sleep(0.02)  # another process starts: there is no event to wait for
        raise TimeoutError((self.folder / "output.txt").read_text())

    def _serves(self, access: Path) -> bool:
        found = json.loads(access.read_text())
        self.api, self.receiver = found["api"], found["receiver"]
        self._ports |= {"PORT": self.api.rpartition(":")[2], "RECEIVER_PORT": self.receiver.rpartition(":")[2]}
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

    def peak_memory(self) -> int:
        """Bytes of memory that the process had at most (VmHWM)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        return 0
