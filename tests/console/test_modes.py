"""The console as people set their systems: large text, narrow windows, wide spacing, few colours, no motion."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Office, sitting
from tests.console.desk import Desk
from tests.console.test_pages import PAGES, overhang, path_of, show
from tests.local.conftest import ROOT, Run

ZH = json.loads((ROOT / "console" / "locales" / "zh.json").read_text())
AT_400_PERCENT = {"viewport": {"width": 320, "height": 256}}
DIALOGS = (
    ("channels", "Add a channel"),
    ("callers", "Make a caller"),
    ("callers", "Make a signing secret"),
    ("targets", "Limit or pause a target"),
    ("task", "Edit and resend …"),
)

SPACED = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`
        * {line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important}
        p {margin-bottom: 2em !important}`);
    document.adoptedStyleSheets = [sheet];
}"""
"""WCAG 1.4.12."""

CUT = """() => [...document.querySelectorAll("main *, .side *")].filter((it) => {
    const style = getComputedStyle(it);
    const isHidden = it.closest(".hidden, svg, thead") || it.matches(".reason");
    return !isHidden && ["hidden", "clip"].includes(style.overflowX) && it.scrollWidth > it.clientWidth + 1;
}).map((it) => it.outerHTML.slice(0, 120))"""
"""What has text that its box cuts off."""

LARGE = "document.documentElement.style.fontSize = '200%'"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_scrolls_sideways_at_400_percent(office: Office, run: Run, lived_in: str, page: str) -> None:
    with sitting(office, run, "zoomed", **AT_400_PERCENT) as desk:
        show(desk, page, lived_in)
        assert overhang(desk) <= 0
        desk.page.evaluate(SPACED)
        assert overhang(desk) <= 0
        desk.page.reload()
        desk.press("中文")
        expect(desk.page.get_by_role("heading", level=1)).to_have_text(ZH[f"{page}.title"])
        desk.settle()
        assert overhang(desk) <= 0


@pytest.mark.parametrize(("page", "button"), DIALOGS)
def test_no_dialog_scrolls_sideways_at_400_percent(
    office: Office, run: Run, lived_in: str, page: str, button: str
) -> None:
    with sitting(office, run, "zoomed", **AT_400_PERCENT) as desk:
        desk.open(path_of(page, lived_in))
        desk.button(button).first.click()
        desk.dialog.locator("form").wait_for()
        assert desk.dialog.evaluate("it => it.scrollWidth - it.clientWidth") <= 0
        desk.page.evaluate(SPACED)
        assert desk.dialog.evaluate("it => it.scrollWidth - it.clientWidth") <= 0
        assert overhang(desk) <= 0


@pytest.mark.parametrize("page", PAGES)
def test_text_is_enlarged_and_spaced_and_nothing_is_cut_off(desk: Desk, lived_in: str, page: str) -> None:
    show(desk, page, lived_in)
    size = "parseFloat(getComputedStyle(document.querySelector('main p, main td, main dd, main label')).fontSize)"
    before = desk.page.evaluate(size)
    desk.page.evaluate(LARGE)
    assert desk.page.evaluate(size) == 2 * before
    assert overhang(desk) <= 0
    assert desk.page.evaluate(CUT) == []
    desk.page.evaluate("document.documentElement.style.fontSize = ''")
    desk.page.evaluate(SPACED)
    assert overhang(desk) <= 0
    assert desk.page.evaluate(CUT) == []


def test_in_forced_colours_bars_and_what_is_chosen_are_seen(office: Office, run: Run, lived_in: str) -> None:
    with sitting(office, run, "forced", forced_colors="active") as desk:
        show(desk, "overview", lived_in)
        colour = "it => getComputedStyle(it).backgroundColor"
        swatches = desk.page.locator(".swatch").evaluate_all(f"them => them.map({colour})")
        ground = desk.page.locator("body").evaluate(colour)
        assert len({*swatches, ground}) == len(swatches) + 1
        show(desk, "tasks", lived_in)
        border = "it => getComputedStyle(it).borderBottomColor"
        chosen, other = (desk.page.locator(".tabs a").nth(it).evaluate(border) for it in (0, 1))
        assert chosen != other


def test_with_more_contrast_soft_text_is_as_dark_as_any(office: Office, run: Run, lived_in: str) -> None:
    with sitting(office, run, "contrast", contrast="more") as desk:
        show(desk, "tasks", lived_in)
        colour = "it => getComputedStyle(it).color"
        soft, text = (desk.page.locator(it).first.evaluate(colour) for it in ("thead th", "body"))
        assert soft == text


def test_with_reduced_motion_nothing_moves(office: Office, run: Run) -> None:
    with sitting(office, run, "still", reduced_motion="reduce") as desk:
        desk.open("settings")
        desk.page.keyboard.press("r")
        expect(desk.said).to_contain_text("Looked again.")
        assert desk.page.evaluate("document.getAnimations().length") == 0


def test_every_page_is_gone_through_by_the_keyboard_and_the_focus_is_seen(desk: Desk, lived_in: str) -> None:
    """Each thing that one can press is reached by Tab, and has an outline then."""
    for page in ("overview", "tasks", "task", "channels"):
        show(desk, page, lived_in)
        wanted = desk.page.locator("main :is(button, input, select, a[href]:not([tabindex='-1'])):visible").count()
        reached = set()
        for _ in range(wanted + 60):
            desk.page.keyboard.press("Tab")
            found = desk.page.evaluate(
                "(() => { const it = document.activeElement; if (!it.closest('main')) return null;"
                " const all = [...document.querySelectorAll('main *')];"
                " return [all.indexOf(it), getComputedStyle(it).outlineStyle]; })()"
            )
            if found:
                assert found[1] != "none", page
                reached.add(found[0])
            elif reached:
                break
        assert len(reached) >= wanted, (page, len(reached), wanted)
