"""How large a story is, and how long it keeps what has ended.

One story in twenty has dozens of tasks for many targets. In it, the product's pages are so short that dozens fill them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from unittest import mock

from chalicelib.delivery import reconcile, resend, target
from chalicelib.notify import gather
from chalicelib.settings import Settings

LARGE = 0.05
"""The share of large stories."""

EXPIRING = 0.2
"""The share of stories in which tasks expire."""

LONG_RETENTION = 365 * 86_400
"""Seconds: longer than any story."""

SHORT_RETENTIONS = (7200, 21_600, 86_400)
"""Seconds. None is shorter than the time in which a client repeats a request."""

PAGE, AT_ONCE = 6, 3
"""The product's pages in a large story, and what it does at the same time."""

SHORTENED = (
    (reconcile, "PAGE", PAGE),
    (reconcile, "AT_ONCE", AT_ONCE),
    (reconcile, "LATEST", PAGE),
    (resend, "PAGE", PAGE),
    (resend, "AT_ONCE", AT_ONCE),
    (target, "PAGE", PAGE),
    (target, "AT_ONCE", AT_ONCE),
    (gather, "MOST", PAGE),
)


@dataclass(frozen=True)
class Scale:
    """`tasks`: how many clients submit. `hosts`: of partners. `retention`: in seconds."""

    is_large: bool
    tasks: int
    hosts: tuple[str, ...]
    retention: int

    @property
    def is_expiring(self) -> bool:
        """Whether tasks expire while the story lasts."""
        return self.retention < LONG_RETENTION

    @contextmanager
    def set(self) -> Iterator[None]:
        """Set the product's retention while the block runs, and shorten its pages if the story is large."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(Settings, "retention", self.retention))
            for module, name, value in SHORTENED if self.is_large else ():
                stack.enter_context(mock.patch.object(module, name, value))
            yield


def draw(random: Random) -> Scale:
    """The scale of a story."""
    is_large = random.random() < LARGE
    return Scale(
        is_large=is_large,
        tasks=random.randint(24, 40) if is_large else random.randint(1, 12),
        hosts=("partner.example", *(f"partner-{number}.example" for number in range(1, 10 if is_large else 1))),
        retention=random.choice(SHORT_RETENTIONS) if random.random() < EXPIRING else LONG_RETENTION,
    )
