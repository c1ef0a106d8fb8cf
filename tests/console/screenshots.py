"""The pictures of docs/console: `python -m tests.console.screenshots`, or `make screenshots`."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import APIRequestContext, Browser, Page, StorageState

from tests.console import scene
from tests.console.browser import browsing
from tests.local.conftest import ROOT, running

FOLDER = ROOT / "docs" / "console"
COLOURS = 240
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}


def stay(_: Page) -> None:
    """The page as it comes."""


def open_newest_failure(page: Page) -> None:
    """The newest task that is out of tries at the ERP."""
    page.locator("tr[data-row] a.open").first.click()
    page.locator(".timeline").wait_for()


def open_retrying(page: Page) -> None:
    """A task that waits for its next try."""
    open_newest_failure(page)


def tick_all(page: Page) -> None:
    """All that match, counted."""
    page.locator("th.tick input").check()
    page.get_by_role("button", name="Resend all that match …").click()
    page.get_by_text("will be sent again").wait_for()


def write_template(page: Page) -> None:
    """A new channel, with a template of its own."""
    page.get_by_role("button", name="Add a channel").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Address").fill("https://hooks.slack.com/services/T0/B0/x")
    dialog.get_by_text("Words of its own").click()
    dialog.get_by_label("Template of the whole body").fill(
        '{"text": "Not delivered: ${taskId}, ${url}, after ${callCount} tries"}'
    )
    dialog.get_by_text("测试").first.wait_for()
    dialog.get_by_text("测试").first.scroll_into_view_if_needed()


@dataclass(frozen=True)
class Shot:
    """A picture: `do` brings the page, opened at `at`, to what it shows."""

    name: str
    at: str
    do: Callable[[Page], None] = stay
    theme: str = "light"
    locale: str = "en-GB"
    size: dict[str, int] = field(default_factory=lambda: DESKTOP)


OUT_OF_TRIES = "tasks?status=exhausted&target=https%3A%2F%2Ferp.customer.example%3A443"

SHOTS = (
    Shot("overview", ""),
    Shot("overview-dark", "", theme="dark"),
    Shot("overview-zh", "", locale="zh-CN"),
    Shot("tasks", "tasks"),
    Shot("task", OUT_OF_TRIES, open_newest_failure),
    Shot("task-zh", OUT_OF_TRIES, open_newest_failure, locale="zh-CN"),
    Shot("task-dark", "tasks?status=retrying", open_retrying, theme="dark"),
    Shot("resend", OUT_OF_TRIES, tick_all),
    Shot("failures", "failures"),
    Shot("failures-dark", "failures", theme="dark"),
    Shot("waiting-zh", "waiting?show=retrying", locale="zh-CN"),
    Shot("targets", "targets"),
    Shot("channels", "channels", write_template),
    Shot("audit", "audit"),
    Shot("phone", "tasks", size=PHONE),
)


def main(names: list[str]) -> None:
    """Take them all, or those of these names."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scene.live(Path(folder) / "kkbida.db")
        with running(Path(folder), KKBIDA_OPEN_API="0", KKBIDA_PORTS="1") as run, browsing() as browser:
            session = _prepared(browser, run.access)
            for shot in (it for it in SHOTS if not names or it.name in names):
                options: dict[str, Any] = {"color_scheme": shot.theme, "locale": shot.locale, "viewport": shot.size}
                context = browser.new_context(storage_state=session, **options)
                _write(FOLDER / f"{shot.name}.png", _take(context.new_page(), shot, run.access))
                context.close()


def _take(page: Page, shot: Shot, access: Mapping[str, str]) -> bytes:
    page.goto(f"{access['console']}#/{shot.at}")
    page.locator("h1").wait_for()
    page.wait_for_load_state("networkidle")
    shot.do(page)
    page.wait_for_timeout(700)
    return page.screenshot()


def _prepared(browser: Browser, access: Mapping[str, str]) -> StorageState:
    """The session of an operator, after two of them have done a few things."""
    context = browser.new_context(base_url=access["api"])
    _done_by(context.request, access["operator"], access["password"], scene.BY_ADMIN)
    _done_by(context.request, scene.OPERATOR["name"], scene.OPERATOR["password"], scene.BY_OPERATOR)
    _done_by(context.request, access["operator"], access["password"], ())
    state = context.storage_state()
    context.close()
    return state


def _done_by(client: APIRequestContext, name: str, password: str, actions: Iterable[scene.Action]) -> None:
    token = client.post("/v1/login", data={"name": name, "password": password}).json()["csrf_token"]
    for method, path, body in actions:
        reply = client.fetch(path, method=method, data=body, headers={"X-CSRF-Token": token})
        assert reply.ok, (path, reply.text())


def _write(path: Path, picture: bytes) -> None:
    """With a palette: a third of the bytes, and no difference that an eye would find."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
