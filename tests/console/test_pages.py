"""Every page, in both themes, both languages, on a phone, without a mouse, and for who cannot see it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Office, sitting
from tests.console.desk import Desk
from tests.local.conftest import ROOT, Run

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
ZH = json.loads((ROOT / "console" / "locales" / "zh.json").read_text())
EN = json.loads((ROOT / "console" / "locales" / "en.json").read_text())

PAGES = (
    "overview",
    "tasks",
    "task",
    "failures",
    "waiting",
    "resends",
    "submit",
    "targets",
    "channels",
    "callers",
    "settings",
)


def path_of(page: str, task_id: str) -> str:
    return {"overview": "", "task": f"tasks/{task_id}"}.get(page, page)


def show(desk: Desk, page: str, task_id: str) -> None:
    desk.open(path_of(page, task_id))
    desk.settle()


def found_by_axe(page: Page, **options: Any) -> list[str]:
    """The serious and critical findings. Its code comes by the debugger, so the page's policy stays as it is."""
    page.evaluate(AXE)
    result: dict[str, Any] = page.evaluate(
        "options => axe.run(document, options)", {"resultTypes": ["violations"], **options}
    )
    return [
        f"{it['id']}: {node['target']} {node['failureSummary']}"
        for it in result["violations"]
        if it["impact"] in ("serious", "critical")
        for node in it["nodes"][:3]
    ]


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious_in_either_theme(desk: Desk, lived_in: str, page: str) -> None:
    show(desk, page, lived_in)
    assert found_by_axe(desk.page) == []
    desk.press("Dark")
    expect(desk.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert found_by_axe(desk.page, runOnly=["color-contrast"]) == []  # the other rules know no colours


DIALOGS = [
    ("channels", "Add a channel"),
    ("callers", "Make a caller"),
    ("targets", "Limit or pause a target"),
    ("task", "Edit and resend …"),
    ("failures", "Resend 1 exhausted"),
]


@pytest.mark.parametrize(("page", "button"), DIALOGS)
def test_axe_finds_nothing_serious_in_a_dialog(desk: Desk, lived_in: str, page: str, button: str) -> None:
    desk.open(path_of(page, lived_in), **({"source_app": "lived-in"} if page == "failures" else {}))
    desk.button(button).first.click()
    desk.dialog.wait_for()
    assert found_by_axe(desk.page) == []
    desk.page.keyboard.press("Escape")
    expect(desk.dialog).to_have_count(0)
    expect(desk.button(button).first).to_be_focused()


@pytest.mark.parametrize("page", PAGES)
def test_each_page_speaks_chinese_and_in_both_languages_fits_a_phone(phone: Desk, lived_in: str, page: str) -> None:
    show(phone, page, lived_in)
    expect(phone.page.get_by_role("heading", level=1)).to_have_text(EN[f"{page}.title"])
    assert overhang(phone) <= 0
    phone.press("中文")
    expect(phone.page.get_by_role("heading", level=1)).to_have_text(ZH[f"{page}.title"])
    expect(phone.page).to_have_title(f"{ZH[f'{page}.title']} · kkbida")
    assert phone.page.evaluate("document.documentElement.lang") == "zh-CN"
    assert overhang(phone) <= 0
    shown = phone.page.locator("body").inner_text().split()
    assert [key for key in EN if "." in key and key in shown] == []


def overhang(desk: Desk) -> int:
    """Pixels by which the page is wider than the window."""
    return int(desk.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def test_a_browser_that_asks_for_chinese_gets_it(office: Office, run: Run) -> None:
    with sitting(office, run, "zh", locale="zh-CN") as desk:
        desk.open("tasks")
        expect(desk.page.get_by_role("heading", level=1)).to_have_text("所有任务")


def test_on_a_phone_one_gets_about_by_the_menu(phone: Desk) -> None:
    phone.open()
    phone.press("Menu")
    phone.page.get_by_role("link", name="Settings").click()
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Settings")
    expect(phone.page.get_by_role("link", name="Settings")).not_to_be_visible()


def test_on_a_phone_rows_are_ticked(phone: Desk) -> None:
    task_id = phone.exhausted()
    phone.open_list()
    phone.row(task_id).get_by_role("checkbox").check()
    expect(phone.button("Resend 1 task")).to_be_visible()
    assert overhang(phone) <= 0


def test_language_and_theme_are_chosen_and_remembered_and_nothing_else_is(desk: Desk) -> None:
    desk.open("tasks")
    desk.press("中文")
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("所有任务")
    desk.press("深色")
    desk.page.reload()
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("所有任务")
    assert desk.page.evaluate("document.documentElement.dataset.theme") == "dark"
    desk.press("English")
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Tasks")
    assert desk.page.evaluate("Object.keys(localStorage).sort()") == ["language", "theme"]
    assert desk.page.context.cookies() == []


def test_a_link_that_leads_nowhere_says_so(desk: Desk) -> None:
    for path in ("nowhere", "settings/x", "tasks/a/b", "toString", "%E0%A4%A"):
        desk.open(path)
        expect(desk.page.get_by_role("heading", level=1)).to_have_text("No such page")


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


def test_the_overview_says_what_needs_a_human_and_that_the_ledger_adds_up(desk: Desk, lived_in: str) -> None:
    desk.open()
    needs = desk.page.locator(".needs")
    expect(needs).to_contain_text(re.compile(r"is paused|are paused"))
    expect(needs).to_contain_text("https://partner.example:443")
    needs.get_by_role("link", name=re.compile("exhausted")).click()
    desk.page.wait_for_url("**/#/failures?period=month")  # else older ones would not be seen
    desk.page.go_back()
    expect(desk.page.locator(".ledger")).to_contain_text("Every accepted task still stands somewhere.")
    assert lived_in


def test_each_bar_and_each_total_is_a_link_to_its_tasks(desk: Desk, lived_in: str) -> None:
    desk.open()
    desk.page.locator(".bars a").last.click()
    desk.page.wait_for_url("**/#/tasks?since=*until=*")
    desk.row(lived_in).wait_for()
    desk.page.go_back()
    desk.page.locator(".totals a").filter(has_text="Exhausted").click()
    desk.page.wait_for_url("**/#/tasks?status=exhausted")


def test_the_chart_is_by_hour_or_by_day_as_the_url_says_and_a_table_too(desk: Desk, lived_in: str) -> None:
    desk.open()
    desk.page.get_by_role("link", name="By day").click()
    desk.page.wait_for_url("**unit=day")
    expect(desk.page.locator(".bars a")).to_have_count(7)
    desk.page.get_by_text("As a table").click()
    expect(desk.page.locator(".figures tbody tr")).to_have_count(7)
    assert lived_in


def test_failures_are_gathered_and_every_number_leads_to_its_tasks(desk: Desk) -> None:
    first, second = desk.exhausted(), desk.exhausted()
    other = desk.exhausted("/wrong-body", expect={"contains": "success"})
    desk.open("failures", source_app=desk.app)
    by_status, by_body = desk.row("status 503 not in 2xx"), desk.row('body does not contain "success"')
    expect(by_status.get_by_role("link", name="2", exact=True)).to_be_visible()
    expect(desk.button("Resend 2 exhausted", by_status)).to_be_visible()
    by_body.get_by_role("link", name="1", exact=True).click()
    expect(desk.row(other)).to_be_visible()
    expect(desk.page.locator("tr[data-row]")).to_have_count(1)
    desk.page.go_back()
    by_status.get_by_role("link", name=first[:8]).click()
    desk.page.wait_for_url(f"**/tasks/{first}")
    assert second


def test_exhausted_and_retrying_are_counted_apart_and_only_the_former_are_resent(desk: Desk) -> None:
    exhausted, retrying = desk.exhausted(), [desk.retrying(), desk.retrying()]
    desk.open("failures", source_app=desk.app)
    row = desk.row("status 503 not in 2xx")
    parts = row.locator(".bars a")
    expect(parts).to_have_count(2)
    for status, ids in (("exhausted", [exhausted]), ("retrying", retrying)):
        for link in (row.get_by_role("link", name=str(len(ids)), exact=True), parts.locator(f".{status}")):
            link.click()
            desk.page.wait_for_url(f"**/#/tasks?status={status}*")
            expect(desk.page.locator("tr[data-row]")).to_have_count(len(ids))
            desk.page.go_back()
    desk.press("Resend 1 exhausted", row)
    expect(desk.dialog).to_contain_text("1 task will be sent again")
    desk.press("Back", desk.dialog)
    desk.api("POST", f"/v1/tasks/{exhausted}/resend", {"url": f"{desk.receiver}/ok"})
    desk.run.until(exhausted, "delivered")
    desk.time_passes()
    expect(row.get_by_role("button")).to_have_count(0)


def test_without_an_app_filter_a_group_of_failures_is_resent_too(desk: Desk) -> None:
    task_id = desk.exhausted("/wrong-body", expect={"contains": "of no app"})
    desk.open("failures")
    desk.press("Resend 1 exhausted", desk.row('body does not contain "of no app"'))
    expect(desk.dialog).to_contain_text("1 task will be sent again")
    desk.press("Resend them", desk.dialog)
    expect(desk.dialog).to_contain_text("Done")
    assert desk.look(task_id)["round"] == 2


def test_failures_of_a_period_without_any_say_that_all_is_well(desk: Desk) -> None:
    desk.open("failures", source_app="nobody")
    expect(desk.page.get_by_text("All is well: nothing fails.")).to_be_visible()


def test_what_waits_counts_down_and_is_delivered_now(desk: Desk) -> None:
    task_id = desk.submit(delay=3600)
    desk.open("waiting")
    row = desk.row(task_id)
    expect(row.locator(".countdown")).to_contain_text(re.compile("59 min|1 hr"))
    before = row.locator(".countdown").inner_text()
    desk.time_passes(70)
    expect(row.locator(".countdown")).not_to_have_text(before)
    desk.press("Deliver now", row)
    expect(desk.said).to_contain_text("The next attempt is due now")
    desk.run.until(task_id, "delivered")


def test_settings_are_shown_with_their_meaning_and_which_were_set(desk: Desk) -> None:
    desk.open("settings")
    row = desk.row("KKBIDA_RETENTION_DAYS")
    expect(row).to_contain_text("Days for which a finished task is kept.")
    expect(desk.row("KKBIDA_OPEN_API")).to_have_class("changed")
    expect(row).not_to_have_class("changed")


# ── submitting by hand ───────────────────────────────────────────────────────────────────────────


def test_a_task_is_submitted_by_hand_with_its_body_digit_by_digit(desk: Desk) -> None:
    desk.open("submit")
    desk.page.get_by_label("URL (required)").fill(f"{desk.receiver}/ok")
    desk.page.get_by_label("Body").fill('{"id": 12345678901234567890, "paid": true}')
    desk.page.get_by_label("The reply contains").fill("success")
    desk.page.get_by_label("Source app").fill(desk.app)
    expect(desk.page.get_by_role("region", name="curl")).to_contain_text(
        '"body": {"id": 12345678901234567890, "paid": true}'
    )
    python = desk.page.get_by_role("region", name="Python")
    expect(python).to_contain_text('body={"id": 12345678901234567890, "paid": True}')
    expect(python).to_contain_text('expect=Expect(contains="success")')
    desk.press("Submit")
    desk.page.wait_for_url("**/#/tasks/*")
    task_id = desk.page.url.rsplit("/", 1)[1]
    desk.run.until(task_id, "delivered")
    [sent] = desk.run.partner("GET", f"/received?webhook_id={task_id}").json["received"]
    assert sent["body"] == '{"id": 12345678901234567890, "paid": true}'


def test_the_commands_that_are_shown_do_the_same(desk: Desk) -> None:
    caller = desk.api("POST", "/v1/callers", {"source_app": desk.app})
    desk.open("submit")
    desk.page.get_by_label("URL (required)").fill(f"{desk.receiver}/ok")
    desk.page.get_by_label("Body").fill("""{"it's": [true, null, "true", "null"]}""")
    desk.page.get_by_label("Status").fill("2xx, !204")
    desk.page.get_by_label("Tries at most").fill("3")
    desk.page.get_by_label("Source app").fill(desk.app)
    curl, python = (desk.page.get_by_role("region", name=it).inner_text() for it in ("curl", "Python"))
    by_curl = json.loads(subprocess.run(["sh", "-c", curl], capture_output=True, check=True).stdout)
    names = {"KEY_ID": caller["key_id"], "SECRET": caller["secret"]}
    exec(python, names)  # noqa: S102 - it is our own page
    tasks = [desk.run.until(it, "delivered") for it in (by_curl["task_id"], names["task_id"])]
    for member in ("url", "body", "expect", "retry", "source_app"):
        assert tasks[0][member] == tasks[1][member]
    assert (tasks[0]["body"], tasks[0]["max_attempts"]) == ({"it's": [True, None, "true", "null"]}, 3)


def test_a_fault_in_a_submission_is_shown_at_its_field(desk: Desk) -> None:
    desk.open("submit")
    desk.page.get_by_label("URL (required)").fill("not a url")
    desk.press("Submit")
    expect(desk.page.get_by_label("URL (required)")).to_have_attribute("aria-invalid", "true")
    expect(desk.page.get_by_role("alert").filter(has_text="/url")).to_be_visible()


# ── without a mouse ──────────────────────────────────────────────────────────────────────────────


def test_the_keyboard_alone_finds_opens_and_resends_a_task(desk: Desk) -> None:
    desk.exhausted()
    older = desk.exhausted()
    desk.open_list(status="exhausted")
    desk.row(older).wait_for()
    keys = desk.page.keyboard
    keys.press("j")
    keys.press("j")
    keys.press("k")
    keys.press("x")
    expect(desk.page.get_by_text("1 task ticked")).to_be_visible()
    keys.press("x")
    keys.press("Enter")
    desk.page.wait_for_url(f"**/tasks/{older}")
    expect(desk.page.get_by_role("heading", level=1)).to_be_focused()
    expect(desk.button("Resend")).to_be_visible()
    for _ in range(12):
        keys.press("Tab")
        if desk.page.evaluate("document.activeElement.textContent") == "Resend":
            break
    keys.press("Enter")
    expect(desk.said).to_contain_text("A new round has begun")


def test_the_first_tab_skips_to_the_page(desk: Desk) -> None:
    desk.open("settings")
    desk.page.keyboard.press("Tab")
    expect(desk.page.get_by_role("link", name="Skip to the page")).to_be_focused()
    desk.page.keyboard.press("Enter")
    expect(desk.page.get_by_role("heading", level=1)).to_be_focused()


def test_the_keys_are_listed_and_leave_alone_who_writes(desk: Desk) -> None:
    desk.open("settings")
    desk.page.keyboard.press("?")
    expect(desk.dialog).to_contain_text("search: a task id, or part of a URL")
    desk.page.keyboard.press("Escape")
    expect(desk.dialog).to_have_count(0)
    desk.page.keyboard.press("r")
    expect(desk.said).to_contain_text("Looked again.")
    desk.page.keyboard.press("/")
    desk.page.keyboard.type("r?/j")
    expect(desk.page.get_by_role("searchbox")).to_have_value("r?/j")
