"""Chromium, as Debian packages it, and what the tests watch while it shows the console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright

QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Flags with which Chromium talks to nobody but the page's own host."""

PATIENCE = 10_000
"""Milliseconds until something that should appear is missed."""


def chromium() -> str:
    """Where Chromium is. Raises AssertionError with how to get it."""
    found = shutil.which("chromium")
    assert found, "The tests of the console drive Chromium, and there is none. Install it: apt install chromium"
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser while the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """What must never happen on a page, as far as it has happened."""

    page: Page
    faults: list[str] = field(default_factory=list)
    under_way: set[Request] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._heard)
        self.page.on("dialog", self._asked)
        self.page.on("request", self._sent)
        self.page.on("requestfinished", self._over)
        self.page.on("requestfailed", self._over)

    def _heard(self, message: ConsoleMessage) -> None:
        """A refused request is no fault; anything else that the browser complains of is, as a broken CSP."""
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"a script opened a dialog: {dialog.message}")
        dialog.dismiss()

    def _over(self, request: Request) -> None:
        self.under_way.discard(request)

    def _sent(self, request: Request) -> None:
        self.under_way.add(request)
        url = urlsplit(request.url)
        host = url.hostname
        if empty := [name for name, value in parse_qsl(url.query, keep_blank_values=True) if not value]:
            self.faults.append(f"an empty value for any: {empty} in {request.url}")
        if host not in ("127.0.0.1", None):
            self.faults.append(f"a request to {request.url}")
