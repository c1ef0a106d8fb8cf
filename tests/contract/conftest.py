"""Every contract test runs once for each backend, on one with nothing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from chalicelib.ports import Queues, Store
from tests.contract.backends import MARKS, QUEUES, STORES, QueuesBackend, StoreBackend


def _named(names: Iterable[str]) -> list[object]:
    return [pytest.param(name, marks=MARKS.get(name, ())) for name in names]


@pytest.fixture(params=_named(STORES))
def store_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreBackend]:
    with STORES[request.param](tmp_path) as backend:
        yield backend


@pytest.fixture
def embedded_backend() -> Iterator[StoreBackend]:
    """For what only the store on SQLite does."""
    with STORES["memory"](Path()) as backend:
        yield backend


@pytest.fixture
def store(store_backend: StoreBackend) -> Store:
    return store_backend.store


@pytest.fixture(params=_named(QUEUES))
def queues_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QueuesBackend]:
    with QUEUES[request.param](tmp_path) as backend:
        yield backend


@pytest.fixture
def queues(queues_backend: QueuesBackend) -> Queues:
    return queues_backend.queues
