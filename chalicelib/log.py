"""One JSON line an event; its metrics ride in the same line (CloudWatch's embedded metric format)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

NAMESPACE = "kkbida"
"""Of the metrics; the alarms in infra/template.yaml name it too."""


def logger() -> Logger:
    """The one logger of the process. Its level is `POWERTOOLS_LOG_LEVEL` or Lambda's own.

    Messages of a batch are handled at the same time, and two that made it together would write each line twice.
    """
    with _ONE_AT_A_TIME:
        return _made()


_ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=1)
def _made() -> Logger:
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - costs a cold start, and pure code never logs

    return Logger(service="kkbida", use_rfc3339=True, utc=True, location=None, stream=sys.stdout)


def event(name: str, *, metrics: Mapping[str, float] | None = None, **facts: Any) -> None:
    """Log that something happened. `name` is `noun.verb`; `metrics`: name -> value, counted in CloudWatch.

    `facts` must hold no secret and no body: ids, targets, numbers, verdicts.
    """
    logger().info(name, extra={**facts, **(_metrics(metrics) if metrics else {})})


def failure(name: str, **facts: Any) -> None:
    """Log an exception that is being handled, with its trace, and count it."""
    logger().exception(name, extra={**facts, **_metrics({"Failures": 1})})


def _metrics(values: Mapping[str, float]) -> dict[str, Any]:
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415 - as above

    metrics = EphemeralMetrics(namespace=NAMESPACE)
    for name, value in values.items():
        unit = MetricUnit.Milliseconds if name.endswith("Ms") else MetricUnit.Count
        metrics.add_metric(name=name, unit=unit, value=value)
    return dict(metrics.serialize_metric_set())
