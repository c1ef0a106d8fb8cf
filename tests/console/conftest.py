from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.console.browser import PATIENCE, Watch, browsing
from tests.console.desk import Desk
from tests.local.conftest import Run, running


@dataclass
class Office:
    """The browser, and in it a context for each way to sit at it: one that is used again knows the files already."""

    browser: Browser
    contexts: dict[str, BrowserContext] = field(default_factory=dict)

    def context(self, **options: Any) -> BrowserContext:
        """A context with these options, in which nothing is remembered. Its clock can be moved."""
        wanted = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options}
        key = json.dumps(wanted, sort_keys=True)
        if key not in self.contexts:
            self.contexts[key] = self.browser.new_context(**wanted)
            self.contexts[key].set_default_timeout(PATIENCE)
            self.contexts[key].clock.install()
        return self.contexts[key]


@pytest.fixture(scope="package")  # and no longer: Playwright keeps an event loop in this thread
def office() -> Iterator[Office]:
    expect.set_options(timeout=PATIENCE)
    with browsing() as browser:
        yield Office(browser)


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(tmp_path_factory.mktemp("run")) as run:
        yield run


@contextmanager
def sitting(office: Office, run: Run, app: str, **options: Any) -> Iterator[Desk]:
    """A desk of its own. At its end nothing must have happened that never may."""
    page = office.context(**options).new_page()
    watch = Watch(page)
    try:
        yield Desk(page, run, app, watch)
        assert watch.faults == []
    finally:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()


@pytest.fixture
def desk(office: Office, run: Run, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with sitting(office, run, _app(request)) as desk:
        yield desk


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


@pytest.fixture
def phone(office: Office, run: Run, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with sitting(office, run, _app(request), **PHONE) as desk:
        yield desk


@pytest.fixture
def fresh_run(tmp_path: Path) -> Iterator[Run]:
    """A local run in which nothing has happened yet."""
    with running(tmp_path) as run:
        yield run


def _app(request: pytest.FixtureRequest) -> str:
    """A name for the source app that no other test has."""
    return str(request.node.name)[-100:]


@pytest.fixture(scope="package")
def lived_in(run: Run, office: Office) -> str:
    """A run in which there is something on every page: the id of a task with all that a task may have."""
    with sitting(office, run, "lived-in") as desk:
        desk.api(
            "POST",
            "/v1/channels",
            {"kind": "dingtalk", "url": f"{desk.receiver}/dingtalk", "source_apps": ["lived-in"]},
        )
        desk.api("POST", "/v1/callers", {"source_app": "lived-in", "networks": ["10.0.0.0/8"]})
        desk.api("POST", "/v1/signing-secrets", {"source_app": "lived-in"})
        desk.api(
            "PATCH", "/v1/targets?target=https://partner.example", {"paused": True, "breaker": {}, "rate_per_second": 5}
        )
        task_id = desk.exhausted(
            body={"order": 42}, headers={"X-Order": "42"}, labels={"order": "42"}, retry={"schedule": [0.1]}
        )
        desk.api("POST", f"/v1/tasks/{task_id}/resend", {})
        desk.run.until(task_id, "exhausted")
        desk.submit(delay=3600)
        desk.retrying()
        desk.api("POST", "/v1/resends", {"filter": {"source_app": "lived-in", "status": "cancelled"}})
    return task_id
