"""AWS without AWS: emulators as child processes, on free loopback ports, gone when the test is over or killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.environments import python_with

HERE = Path(__file__).resolve().parent
TETHER = HERE / "tether.py"
READY_WITHIN = 60
"""Seconds an emulator may take until it answers; a loaded computer needs about ten."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """One that is ready, at the other end of a tether."""

    url: str
    tether: subprocess.Popen[bytes]

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It answers nobody while the block runs, and forgets nothing: an outage."""
        self.tether.send_signal(signal.SIGUSR1)
        try:
            yield
        finally:
            self.tether.send_signal(signal.SIGUSR2)


@contextmanager
def ministack(**env: str) -> Iterator[str]:
    """MiniStack's endpoint, ready; see `ministack_process`."""
    with ministack_process(**env) as emulator:
        yield emulator.url


@contextmanager
def ministack_process(**env: str) -> Iterator[Emulator]:
    """MiniStack, ready. `env` sets its own variables, such as `AUTH="true"`.

    It serves DynamoDB, SQS, S3, IAM, CloudFormation, API Gateway, and runs Lambda functions in subprocesses.
    """
    python, port = python_with(HERE / "requirements-ministack.txt"), _free_port()
    variables = {
        "BIND_HOST": "127.0.0.1",  # it listens on every address without this
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",  # of what its functions call
        **env,
    }
    command = [str(python), "-m", "ministack"]
    with _served(command, variables, f"http://127.0.0.1:{port}", "/_ministack/ready") as emulator:
        yield emulator


@contextmanager
def localstack() -> Iterator[str]:
    """LocalStack's endpoint, for SQS only: DynamoDB and Lambda need Docker.

    It is the one that the variable `ENDPOINT` names, when set; else one of our own, in host mode.
    """
    given = os.environ.get("ENDPOINT")
    if given:
        yield given
        return
    python, port = python_with(HERE / "requirements-localstack.txt"), _free_port()
    with tempfile.TemporaryDirectory(prefix="localstack-") as files:
        variables = {
            "GATEWAY_LISTEN": f"[::ffff:127.0.0.1]:{port}",  # a plain IPv4 address is ignored, for 0.0.0.0
            "LOCALSTACK_HOST": f"127.0.0.1:{port}",
            "OVERRIDE_IN_DOCKER": "0",
            "FILESYSTEM_ROOT": files,
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "SQS_ENDPOINT_STRATEGY": "path",
            "SERVICES": "sqs",
        }
        command = [str(python), "-m", "localstack.runtime.main"]
        with _served(command, variables, f"http://127.0.0.1:{port}", "/_localstack/health") as emulator:
            yield emulator.url


@contextmanager
def _served(command: Sequence[str], variables: Mapping[str, str], url: str, health: str) -> Iterator[Emulator]:
    with tempfile.TemporaryDirectory(prefix="emulator-") as home:
        log = Path(home) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(TETHER), *command],
                cwd=home,
                env={**_environment(home), **variables},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        with process:  # its end closes stdin, and that ends all of it
            _wait_until_ready(process, url + health, log)
            yield Emulator(url, process)


def _environment(home: str) -> dict[str, str]:
    """Ours without what would steer the emulator or the functions it runs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KKBIDA_", "PYTHON"))}
    return ours | {"TMPDIR": home, "HOME": home}


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not get ready; it said:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
