"""What a million tasks cost on AWS: counted calls and units at an emulator, times list prices.

    python -m benchmarks.cost

Counted, on the AWS adapters: DynamoDB write and read units with indexes, calls of SQS, bytes of logs. Measured here:
the milliseconds that a function works. Assumed: `PARTNER_MS`, full batches of ten, list prices (aws-prices.json).
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from chalicelib import log
from tests.emulators import ministack
from tests.house import reply
from tests.meter import BUSY, GOOD, PARTNER, SAMPLE, Metered, metered

PRICES = json.loads((Path(__file__).parent / "aws-prices.json").read_text())
PARTNER_MS = 100
"""Milliseconds that a partner takes to answer, and Lambda waits; a batch waits for ten at the same time."""

API_GB, DELIVER_GB = 0.5, 1.0
"""Memory of the functions, as in infra/template.yaml."""

BATCH = 10
"""Messages of one receive, one delete, one run."""


@dataclass
class Spent:
    """What one task asks of each service. `lambda_gb_ms`: gigabytes times milliseconds."""

    requests: float = 0
    invocations: float = 0
    lambda_gb_ms: float = 0
    write_units: float = 0
    read_units: float = 0
    sqs: float = 0
    log_bytes: float = 0

    def dollars(self) -> dict[str, float]:
        """Of a million such tasks, by service."""
        return {
            "API Gateway": self.requests * PRICES["apigateway_rest_request"] * 1e6,
            "Lambda": (
                self.invocations * PRICES["lambda_request"] + self.lambda_gb_ms / 1000 * PRICES["lambda_gb_second_x86"]
            )
            * 1e6,
            "DynamoDB": (
                self.write_units * PRICES["dynamodb_write_request_unit"]
                + self.read_units * PRICES["dynamodb_read_request_unit"]
            )
            * 1e6,
            "SQS": self.sqs * PRICES["sqs_standard_request"] * 1e6,
            "Logs": self.log_bytes / 1e9 * PRICES["cloudwatch_logs_gb"] * 1e6,
        }


@contextmanager
def _logged(spent: Spent, tasks: int) -> Iterator[None]:
    """Count what is written to the log meanwhile."""
    lines = io.StringIO()
    handler = log.logger().registered_handler
    with mock.patch.object(handler, "stream", lines):
        yield
    spent.log_bytes += len(lines.getvalue().encode()) / tasks


def _cpu_ms(work: Callable[[], Any]) -> float:
    """Milliseconds for which this process works, waiting left aside."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def alone(place: Metered, *, attempts: int) -> Spent:
    """A task submitted by itself, delivered with the last of so many attempts."""
    spent = Spent(requests=1, invocations=1)
    place.house.outside.answers[PARTNER] = lambda _: GOOD
    _submit(place)  # the first calls build clients
    place.deliver_next()
    place.house.outside.answers[PARTNER] = _in_turn(attempts)
    before = place.meter.units
    with _logged(spent, 1):
        spent.lambda_gb_ms += _cpu_ms(lambda: _submit(place)) * API_GB
        for _ in range(attempts):
            spent.lambda_gb_ms += _cpu_ms(place.deliver_next) * DELIVER_GB
    return _with_deliveries(spent, place.meter.units - before, attempts, sends=1)


def in_batch(place: Metered, tasks: int = 100) -> Spent:
    """A task among a hundred that are submitted together, delivered at once."""
    spent = Spent(requests=1 / tasks, invocations=1 / tasks)
    place.house.outside.answers[PARTNER] = lambda _: GOOD
    before = place.meter.units
    with _logged(spent, tasks):
        body = {"tasks": [{"url": PARTNER, **SAMPLE} for _ in range(tasks)]}
        spent.lambda_gb_ms += _cpu_ms(lambda: place.house.call("submit_batch", body)) / tasks * API_GB
        spent.lambda_gb_ms += _cpu_ms(lambda: _deliver_all(place)) / tasks * DELIVER_GB
    return _with_deliveries(spent, (place.meter.units - before) / tasks, 1, sends=1 / BATCH)


def _with_deliveries(spent: Spent, units: float, attempts: int, *, sends: float) -> Spent:
    """What the runs of the delivering function add: each has ten messages, and waits for partners once."""
    spent.write_units = units
    spent.invocations += attempts / BATCH
    spent.lambda_gb_ms += attempts * PARTNER_MS / BATCH * DELIVER_GB
    spent.sqs = sends + attempts / BATCH + max(0, attempts - 1) / BATCH + 1 / BATCH  # receives, hides, the delete
    return spent


def _submit(place: Metered) -> None:
    place.house.submit(PARTNER, **SAMPLE)


def _deliver_all(place: Metered) -> None:
    totals = len(place.house.outside.sent) + 100
    while len(place.house.outside.sent) < totals:
        place.deliver_next()


def _in_turn(attempts: int) -> Any:
    left = [BUSY] * (attempts - 1) + [GOOD]
    return lambda _: left.pop(0) if len(left) > 1 else reply(200, "success")


def main() -> None:
    """Count, and print a table for each kind of task."""
    aside = Spent()
    with ministack() as endpoint, _logged(aside, 1):
        place = metered(endpoint)
        kinds = {
            "first-try success, alone": alone(place, attempts=1),
            "three attempts, alone": alone(place, attempts=3),
            "first-try success, in a batch of 100": in_batch(place),
        }
        reads = len(place.meter.reads)
    for name, spent in kinds.items():
        dollars = spent.dollars()
        print(f"{name}: ${sum(dollars.values()):.2f} a million")
        print(f"  {spent.write_units:.1f} write units, {spent.sqs:.2f} SQS calls, {spent.invocations:.2f} invocations")
        print(f"  {spent.lambda_gb_ms:.1f} GB-ms of Lambda, {spent.log_bytes:.0f} bytes of logs")
        print("  " + ", ".join(f"{service} ${it:.2f}" for service, it in dollars.items()))
    print(f"reads in all of this: {reads}")


if __name__ == "__main__":
    main()
