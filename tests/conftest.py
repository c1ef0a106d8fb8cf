"""Fixtures that every test may use."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib import log
from tests import cases

cases.load()
log.logger()  # made here: a test that captures output, and lets go of it, must not be the first to log

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged() -> Iterator[Lines]:
    """What has been logged since the test began, a dict a line."""
    stream = io.StringIO()
    handler = log.logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    handler.setStream(before)
