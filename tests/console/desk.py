"""A person at the console: a page of the browser over a local run, and short words for what one does there."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, Route

from tests.console.browser import PATIENCE, Watch
from tests.local.conftest import Run


@dataclass
class Held:
    """Requests that wait until they are let go. `most`: how many; those after them go on."""

    page: Page
    most: int
    routes: list[Route] = field(default_factory=list)

    def take(self, route: Route) -> None:
        if len(self.routes) < self.most:
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Until the first is held. Raises AssertionError when none comes."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.routes:
            assert time.monotonic() < deadline, "nothing was asked for"
            self.page.wait_for_timeout(10)

    def release(self, **answer: Any) -> None:
        """Answer all like this; unless said, as the server does."""
        for route in self.routes:
            if answer:
                route.fulfill(**answer)
            else:
                route.continue_()


@dataclass(frozen=True)
class Desk:
    """`app`: the source app of everything that this test submits, so that its lists hold nothing else."""

    page: Page
    run: Run
    app: str
    watch: Watch

    @property
    def receiver(self) -> str:
        """The flaky partner."""
        return self.run.access["receiver"]

    def open(self, path: str = "", **query: str) -> None:
        """Show a page of the console, as from a link, and wait until it is there."""
        self.page.goto(f"{self.run.access['console']}#/{path}{'?' + urlencode(query) if query else ''}")
        self.page.locator("h1").wait_for()

    def open_list(self, **query: str) -> None:
        """The list of this test's tasks."""
        self.open("tasks", source_app=self.app, **query)

    def settle(self) -> None:
        """Wait until the page has all that it asked for."""
        quiet = 0
        while quiet < 3:
            self.page.wait_for_timeout(30)
            quiet = 0 if self.watch.under_way else quiet + 1

    def hold(self, pattern: str, most: int = 99) -> Held:
        """Keep the answers to what is asked for by such a URL from the page."""
        held = Held(self.page, most)
        self.page.route(pattern, held.take)
        return held

    def drawn(self) -> None:
        """Wait until the page has been drawn twice, so that what follows a drawing has been done."""
        self.page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
        )

    def time_passes(self, seconds: float = 31) -> None:
        """Let the page's clock jump, so that whatever it looks at now and then is looked at now."""
        self.page.clock.fast_forward(round(seconds * 1000))

    @property
    def query(self) -> str:
        """The part of the URL that is the state."""
        return self.page.url.partition("#")[2]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the API answers."""
        sent = None if body is None else json.dumps(body).encode()
        reply = self.run.api(method, path, sent, {"Content-Type": "application/json"})
        assert reply.status < 400, (method, path, reply.body)
        return reply.json if reply.body else None

    def submit(self, path: str = "/ok", **members: Any) -> str:
        """A task of this test, for that path of the flaky partner: its id."""
        return self.run.submit({"url": f"{self.receiver}{path}", "source_app": self.app, **members})

    def exhausted(self, path: str = "/status/503", **members: Any) -> str:
        """A task that has no try left."""
        task_id = self.submit(path, **{"retry": {"max_attempts": 1}, **members})
        self.run.until(task_id, "exhausted")
        return task_id

    def delivered(self, **members: Any) -> str:
        """A task that has arrived."""
        task_id = self.submit(**members)
        self.run.until(task_id, "delivered")
        return task_id

    def retrying(self, wait: float = 3600, **members: Any) -> str:
        """A task whose next try is in `wait` seconds."""
        task_id = self.submit("/status/503", retry={"backoff": "fixed", "initial": wait, "max_attempts": 3}, **members)
        self.run.until(task_id, "retrying")
        return task_id

    def look(self, task_id: str) -> Mapping[str, Any]:
        """The task as the API has it."""
        return dict(self.api("GET", f"/v1/tasks/{task_id}"))

    # ── what one sees and presses ──

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """The button of that very name."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def press(self, name: str, within: Locator | None = None) -> None:
        """Click a button."""
        self.button(name, within).click()

    def row(self, text: str) -> Locator:
        """The row of a table that has this text in it, or the id of a task."""
        shown = text[:8] if len(text) == 36 else text
        return self.page.get_by_role("row").filter(has_text=shown)

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.locator("dialog[open]")

    @property
    def said(self) -> Locator:
        """What was announced."""
        return self.page.locator(".announcements")
