"""The list of tasks: what it shows, where its state is, how it stays where it is, and what can be done from it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.desk import Desk

# ── what is shown, and the URL as its state ──────────────────────────────────────────────────────


def test_a_list_shows_each_task_with_its_status_as_a_word(desk: Desk) -> None:
    ids = {"Delivered": desk.delivered(), "Exhausted": desk.exhausted(), "Retrying": desk.retrying()}
    desk.open_list()
    for word, task_id in ids.items():
        expect(desk.row(task_id)).to_contain_text(word)
    expect(desk.row(ids["Retrying"]).locator(".countdown")).to_have_text(re.compile(r"59 min|1 hr"))


def test_the_filters_are_in_the_url_and_survive_a_reload_and_the_way_back(desk: Desk) -> None:
    delivered, exhausted = desk.delivered(target_app="billing"), desk.exhausted(target_app="billing")
    desk.open_list()
    desk.page.get_by_role("link", name="Exhausted", exact=True).click()
    desk.page.get_by_label("Target app").fill("billing")
    desk.press("Filter")
    expect(desk.row(exhausted)).to_be_visible()
    expect(desk.row(delivered)).to_have_count(0)
    assert {"status=exhausted", "target_app=billing"} <= set(desk.query.partition("?")[2].split("&"))
    desk.page.reload()
    expect(desk.row(exhausted)).to_be_visible()
    expect(desk.row(delivered)).to_have_count(0)
    desk.page.go_back()
    desk.page.go_back()
    expect(desk.row(delivered)).to_be_visible()
    assert "status=" not in desk.query


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [("Part of the URL", "/status", 1), ("Why it failed", "status 503 not in 2xx", 1), ("Target", "{receiver}", 2)],
)
def test_each_filter_narrows_the_list(desk: Desk, field: str, value: str, found: int) -> None:
    desk.delivered()
    desk.exhausted()
    desk.open_list()
    desk.page.get_by_label(field, exact=True).fill(value.format(receiver=desk.receiver))
    desk.press("Filter")
    desk.page.wait_for_url(re.compile("(q|error|target)="))
    expect(desk.page.locator("tr[data-row]")).to_have_count(found)


def test_a_period_begins_at_a_moment_that_a_reload_asks_for_again(desk: Desk) -> None:
    task_id = desk.delivered()
    desk.open_list()
    desk.page.get_by_role("link", name="Last hour").click()
    desk.page.wait_for_url(re.compile("since="))
    expect(desk.row(task_id)).to_be_visible()
    asked = desk.query
    desk.page.reload()
    expect(desk.row(task_id)).to_be_visible()
    assert desk.query == asked


def test_a_second_page_has_a_url_of_its_own(desk: Desk) -> None:
    ids = [desk.submit(delay=3600) for _ in range(3)]
    desk.open_list(limit="2")
    expect(desk.page.locator("tr[data-row]")).to_have_count(2)
    desk.page.get_by_role("link", name="Older").click()
    expect(desk.row(ids[0])).to_be_visible()
    expect(desk.page.locator("tr[data-row]")).to_have_count(1)
    desk.page.reload()
    expect(desk.row(ids[0])).to_be_visible()
    desk.page.get_by_role("link", name="Newest").click()
    expect(desk.row(ids[2])).to_be_visible()
    desk.page.go_back()
    expect(desk.row(ids[0])).to_be_visible()
    desk.page.get_by_role("link", name="Scheduled", exact=True).click()
    expect(desk.row(ids[2])).to_be_visible()  # another list begins at its beginning


# ── live, without moving ─────────────────────────────────────────────────────────────────────────


def test_new_tasks_wait_until_they_are_asked_for(desk: Desk) -> None:
    first = desk.delivered()
    desk.open_list()
    expect(desk.row(first)).to_be_visible()
    place = desk.row(first).bounding_box()
    second = desk.delivered()
    desk.time_passes()
    show = desk.page.get_by_role("button", name="1 new · show")
    expect(show).to_be_visible()
    expect(desk.row(second)).to_have_count(0)
    assert desk.row(first).bounding_box() != place  # the offer came above it, and nothing else
    show.click()
    expect(desk.row(second)).to_be_visible()


def test_a_row_changes_where_it_stands(desk: Desk) -> None:
    task_id = desk.retrying()
    desk.open_list()
    expect(desk.row(task_id)).to_contain_text("Retrying")
    desk.api("POST", f"/v1/tasks/{task_id}/cancel", {})
    desk.time_passes()
    expect(desk.row(task_id)).to_contain_text("Cancelled")


def test_a_row_that_left_the_list_greys_out_and_says_where_it_stands_now(desk: Desk) -> None:
    task_id = desk.exhausted()
    desk.open_list(status="exhausted")
    expect(desk.row(task_id)).to_contain_text("Exhausted")
    desk.api("POST", f"/v1/tasks/{task_id}/resend", {"url": f"{desk.receiver}/ok"})
    desk.run.until(task_id, "delivered")
    desk.time_passes()
    row = desk.row(task_id)
    expect(row).to_have_class("gone")
    expect(row).to_contain_text("changed meanwhile")
    expect(row).to_contain_text("Delivered")
    expect(desk.button("Resend", row)).to_have_count(0)


def hide(page: Page, *, hidden: bool = True) -> None:
    """As if the reader went to another tab, or came back: until then, nothing is looked at."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_an_action_on_a_task_that_changed_since_it_was_loaded_is_refused_with_the_reason(desk: Desk) -> None:
    task_id = desk.exhausted()
    desk.open_list(status="exhausted")
    expect(desk.row(task_id)).to_be_visible()
    hide(desk.page)
    desk.api("POST", f"/v1/tasks/{task_id}/resend", {"retry": {"backoff": "fixed", "initial": 3600, "max_attempts": 2}})
    desk.run.until(task_id, "retrying")
    desk.press("Resend", desk.row(task_id))
    expect(desk.page.get_by_role("alert").filter(has_text="does not allow this any more")).to_be_visible()
    expect(desk.row(task_id).first).to_contain_text("Retrying")


def test_a_hidden_tab_asks_nothing_and_one_that_is_seen_again_looks_at_once(desk: Desk) -> None:
    task_id = desk.retrying()
    desk.open_list()
    expect(desk.row(task_id)).to_contain_text("Retrying")
    hide(desk.page)
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.api("POST", f"/v1/tasks/{task_id}/cancel", {})
    desk.time_passes()
    assert asked == []
    hide(desk.page, hidden=False)
    expect(desk.row(task_id)).to_contain_text("Cancelled")


# ── acting on one, on some, on all ───────────────────────────────────────────────────────────────


def test_a_row_is_resent_from_the_list(desk: Desk) -> None:
    task_id = desk.exhausted()
    desk.open_list()
    desk.press("Resend", desk.row(task_id))
    expect(desk.said).to_contain_text("A new round has begun")
    expect(desk.row(task_id)).to_contain_text("round 2")


def test_ticked_rows_are_resent_by_one_call_that_is_followed_and_says_what_was_passed_over(desk: Desk) -> None:
    good, changed, other = (desk.exhausted() for _ in range(3))
    desk.open_list(status="exhausted")
    for task_id in (good, changed):
        desk.row(task_id).get_by_role("checkbox").check()
    expect(desk.page.get_by_text("2 tasks ticked")).to_be_visible()
    hide(desk.page)
    desk.api("POST", f"/v1/tasks/{changed}/resend", {"retry": {"backoff": "fixed", "initial": 3600, "max_attempts": 2}})
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    desk.run.until(changed, "retrying")
    desk.press("Resend 2 tasks")
    expect(desk.dialog).to_contain_text("1 task will be sent again")
    desk.press("Resend them", desk.dialog)
    expect(desk.dialog).to_contain_text(re.compile(r"Resent\s*1\s*Passed over\s*1"))
    assert [url.rsplit("/", 1)[1] for url in asked] == ["resends", "resends"]
    assert [desk.look(task_id)["round"] for task_id in (good, changed, other)] == [2, 2, 1]
    desk.press("Close", desk.dialog.locator(".buttons"))
    expect(desk.page.get_by_label("Ticked tasks")).to_have_count(0)


def test_ticked_rows_are_cancelled_and_each_that_refuses_is_told_with_its_reason(desk: Desk) -> None:
    good, changed = (desk.submit(delay=3600) for _ in range(2))
    desk.open_list(status="scheduled")
    desk.page.get_by_label("Tick the whole page").check()
    hide(desk.page)
    desk.api("POST", f"/v1/tasks/{changed}/cancel", {})
    desk.press("Cancel 2 tasks")
    selection = desk.page.get_by_label("Ticked tasks")
    expect(selection).to_contain_text("1 task is cancelled.")
    expect(selection).to_contain_text("1 task was left as it is:")
    refused = selection.get_by_role("listitem")
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("The task's status does not allow this any more.")
    refused.get_by_role("link", name=changed).click()
    desk.page.wait_for_url(f"**/tasks/{changed}")
    assert desk.look(good)["status"] == "cancelled"


def test_retrying_tasks_are_delivered_now_and_cancelled_from_the_list(desk: Desk) -> None:
    now, off = desk.retrying(), desk.retrying()
    desk.open_list()
    desk.press("Deliver now", desk.row(now))
    expect(desk.row(now)).to_contain_text("2 / 3")
    desk.row(off).get_by_role("checkbox").check()
    desk.press("Cancel 1 task")
    expect(desk.row(off)).to_contain_text("Cancelled")


def test_ticking_the_page_offers_all_that_match_which_are_counted_resent_and_followed(desk: Desk) -> None:
    ids = [desk.exhausted() for _ in range(3)]
    desk.open_list(status="exhausted", limit="2")
    desk.page.get_by_label("Tick the whole page").check()
    desk.press("Resend all that match …")
    expect(desk.dialog).to_contain_text("3 tasks will be sent again")
    desk.dialog.get_by_label("Tasks a second").fill("1000")
    desk.press("Resend them", desk.dialog)
    expect(desk.dialog).to_contain_text("Done")
    expect(desk.dialog).to_contain_text(re.compile(r"Resent\s*3"))
    assert [desk.look(task_id)["round"] for task_id in ids] == [2, 2, 2]


def test_a_bulk_resend_is_stopped(desk: Desk) -> None:
    for _ in range(3):
        desk.exhausted()
    desk.open_list(status="exhausted")
    desk.page.get_by_label("Tick the whole page").check()
    desk.press("Resend all at a rate …")
    desk.dialog.get_by_label("Tasks a second").fill("0.01")
    desk.press("Resend them", desk.dialog)
    desk.press("Stop", desk.dialog)
    expect(desk.dialog).to_contain_text(re.compile("Stopp(ing|ed)"))
    desk.press("Close", desk.dialog.locator(".buttons"))
    desk.open("resends")
    expect(desk.row(desk.app)).to_contain_text(re.compile("Stopp(ing|ed)"))


def test_a_list_of_many_statuses_says_why_not_all_of_it_can_be_resent(desk: Desk) -> None:
    desk.exhausted()
    desk.open_list()
    desk.page.get_by_label("Tick the whole page").check()
    expect(desk.page.get_by_text("once the list is filtered to one final status")).to_be_visible()


# ── periods ──


@pytest.mark.parametrize(
    ("ends", "field", "said"),
    [
        (("20261-11-30T10:00", ""), "since", "does not exist"),
        (("2026-11-30T10:00", "2026-11-30T09:59"), "until", "later than the one before"),
        (("2026-11-30T10:00", "2026-11-30T10:00"), "until", "later than the one before"),
    ],
)
@pytest.mark.parametrize("page", ["tasks", "audit"])
def test_a_period_that_cannot_be_is_told_at_its_field(
    desk: Desk, page: str, ends: tuple[str, str], field: str, said: str
) -> None:
    desk.open(page)
    if page == "tasks":
        desk.page.get_by_text("Filters", exact=True).click()
    for name, value in zip(("since", "until"), ends, strict=True):
        desk.page.locator(f"input[name={name}]").evaluate(
            "(it, value) => { it.value = value; it.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
    before = desk.query
    desk.press("Filter")
    wrong = desk.page.locator("input[aria-invalid=true]")
    expect(wrong).to_have_count(1)
    expect(wrong).to_be_focused()
    assert wrong.get_attribute("name") == field
    expect(desk.page.locator(".field").filter(has=wrong).get_by_role("alert")).to_contain_text(said)
    assert desk.query == before


def test_a_day_that_its_month_has_not_and_a_moment_that_lacks_a_part_are_told(desk: Desk) -> None:
    desk.open("tasks")
    desk.page.get_by_text("Filters", exact=True).click()
    field = desk.page.get_by_label("Accepted from")
    for typed in ("30022026", "3011"):
        field.evaluate("it => { it.value = ''; it.focus(); }")
        desk.page.keyboard.type(typed)
        assert field.evaluate("it => it.validity.badInput"), typed
        desk.press("Filter")
        expect(desk.page.locator(".field").filter(has=field).get_by_role("alert")).to_contain_text("does not exist")
        assert "since" not in desk.query
        desk.page.reload()
        desk.page.get_by_text("Filters", exact=True).click()


def test_a_moment_in_the_url_that_the_api_refuses_is_told_at_its_field_too(desk: Desk) -> None:
    desk.open("tasks", since="yesterday")
    field = desk.page.get_by_label("Accepted from")
    expect(field).to_have_attribute("aria-invalid", "true")
    desk.page.get_by_role("link", name="Clear the filters").click()
    expect(desk.page.get_by_role("alert").filter(has_text="not valid")).to_have_count(0)


# ── empty ────────────────────────────────────────────────────────────────────────────────────────


def test_no_match_offers_to_clear_the_filters(desk: Desk) -> None:
    desk.open_list(q="nowhere-to-be-found")
    expect(desk.page.get_by_text("No task matches.")).to_be_visible()
    desk.page.locator(".empty").get_by_role("link", name="Clear the filters").click()
    desk.page.wait_for_url(re.compile("#/tasks$"))


def test_a_list_of_exhausted_tasks_with_none_in_it_says_that_all_is_well(desk: Desk) -> None:
    desk.page.route("**/v1/tasks?*", lambda route: route.fulfill(json={"tasks": [], "cursor": None}))
    desk.open("tasks", status="exhausted")
    expect(desk.page.get_by_text("All is well: no task is exhausted.")).to_be_visible()


# ── searching ────────────────────────────────────────────────────────────────────────────────────


def test_an_id_in_the_search_leads_to_its_task_and_anything_else_to_urls(desk: Desk) -> None:
    task_id = desk.delivered()
    desk.open()
    desk.page.keyboard.press("/")
    desk.page.keyboard.type(task_id.upper())
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url(re.compile(f"#/tasks/{task_id}$"))
    desk.page.get_by_role("searchbox").fill("/ok")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url(re.compile("#/tasks\\?q=%2Fok$"))


def test_a_page_that_comes_late_leaves_the_focus_where_the_reader_writes(desk: Desk) -> None:
    task_id = desk.delivered()
    desk.open("tasks")
    late = desk.hold("**/pages/task.js*")
    desk.page.keyboard.press("/")
    desk.page.keyboard.type(task_id)
    desk.page.keyboard.press("Enter")
    late.wait()
    search = desk.page.get_by_role("searchbox")
    search.fill("/ok")
    late.release()
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Task")
    desk.drawn()
    expect(search).to_be_focused()
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url(re.compile("#/tasks\\?q=%2Fok$"))


def test_keys_that_are_pressed_before_the_page_is_there_are_not_lost(desk: Desk) -> None:
    task_id = desk.delivered()
    who = desk.hold("**/v1/me")
    desk.page.goto(desk.run.access["console"])
    who.wait()
    desk.page.keyboard.press("/")
    desk.page.keyboard.type(f"{task_id}x")
    desk.page.keyboard.press("Backspace")
    desk.page.keyboard.press("Enter")
    who.release()
    desk.page.wait_for_url(re.compile(f"#/tasks/{task_id}$"))
    expect(desk.page.locator(".standing")).to_contain_text("Delivered")


def test_a_filter_that_is_written_while_the_list_is_under_way_stays(desk: Desk) -> None:
    tasks = desk.hold("**/v1/tasks?*")
    desk.open("tasks", q="/ok")
    field = desk.page.get_by_label("Source app", exact=True)
    field.fill(desk.app)
    tasks.release()
    desk.page.get_by_role("link", name="Exhausted", exact=True).click()
    desk.page.wait_for_url(re.compile("status=exhausted"))
    desk.drawn()
    expect(field).to_have_value(desk.app)
    desk.page.get_by_role("link", name="Last hour", exact=True).click()  # a filter, which changes one value of the form
    desk.page.wait_for_url(re.compile("since="))
    expect(desk.page.get_by_label("Accepted from")).not_to_have_value("")
    expect(field).to_have_value(desk.app)
    field.press("Enter")
    desk.page.wait_for_url(re.compile("source_app="))
    desk.page.get_by_role("link", name="Clear the filters").first.click()
    expect(field).to_have_value("")
