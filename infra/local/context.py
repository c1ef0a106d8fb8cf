"""What a handler sees of Lambda: the context beside the event."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

REGION = "us-east-1"
ACCOUNT = "000000000000"
"""The account that emulators have, too."""

Event = dict[str, Any]
Invoke = Callable[[Event], Any]
"""A handler that waits for its event only."""


def _request_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Context:
    """The part of Lambda's context that handlers and Powertools read. `seconds`: how long the run may take."""

    function_name: str
    seconds: float
    aws_request_id: str = field(default_factory=_request_id)
    memory_limit_in_mb: int = 1024
    function_version: str = "$LATEST"
    began_at: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """The function's name in full."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the run. Here nobody does; handlers plan by it all the same."""
        return max(0, round((self.began_at + self.seconds - time.monotonic()) * 1000))


def function(name: str, handler: Callable[[Event, Any], Any], seconds: float) -> Invoke:
    """The handler as Lambda runs it: each time with a context of its own."""
    return lambda event: handler(event, Context(name, seconds))
