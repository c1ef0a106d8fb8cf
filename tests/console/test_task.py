"""The page of one task: where it stands, what happened, what can be done; and that no reply can do anything to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.console.desk import Desk
from tests.console.hostile import BODIES, answering

# ── where it stands, in one sentence ─────────────────────────────────────────────────────────────


def sentence(desk: Desk, task_id: str) -> str:
    desk.open(f"tasks/{task_id}")
    lead = desk.page.locator(".standing .lead")
    lead.wait_for()
    return lead.inner_text()


def test_a_delivered_task_says_by_which_attempt_and_how_soon(desk: Desk) -> None:
    assert re.fullmatch(
        r"Delivered by attempt 1 of 12, \d+\S* ?m?s\w* after its round began\.", sentence(desk, desk.delivered())
    )


def test_a_task_that_failed_says_why_and_when_it_is_tried_again(desk: Desk) -> None:
    said = sentence(desk, desk.retrying(wait=300))
    assert re.fullmatch(
        r"Attempt 1 of 3 failed after \d+ ms: status 503 not in 2xx\. Next try in (4 min \d+ sec|5 min)\.", said
    )


def test_a_task_that_is_under_way_says_for_how_long(desk: Desk) -> None:
    said = sentence(desk, desk.submit("/hang/20", timeout=30))
    assert re.fullmatch(r"Attempt 1 of 12 is under way, for [\d.]+ \w+ now\.", said)


def test_a_scheduled_task_says_when_it_begins(desk: Desk) -> None:
    said = sentence(desk, desk.submit(delay=7200))
    assert re.fullmatch(r"The first attempt is in (1 hr 59 min|2 hr)\.", said)


def test_an_exhausted_task_says_why_and_that_nobody_was_told(desk: Desk) -> None:
    said = sentence(desk, desk.exhausted())
    assert said == (
        "Exhausted after 1 of 1 attempts: its only attempt is used. The last one: status 503 not in 2xx. "
        "Nobody was told: there was no channel for it."
    )


def test_an_exhausted_task_says_who_could_not_be_told(desk: Desk) -> None:
    for path in ("dingtalk", "wecom/93000"):
        channel = {"kind": path.split("/")[0], "url": f"{desk.receiver}/{path}", "source_apps": [desk.app], "gather": 0}
        desk.api("POST", "/v1/channels", channel)
    task_id = desk.exhausted()
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator(".standing .lead")).to_contain_text("DingTalk was told. WeCom could not be told yet.")


def test_waits_are_told_one_by_one_in_both_languages(desk: Desk) -> None:
    task_id = desk.submit(delay=3600, retry={"schedule": [2, 1800, 7200]})
    desk.open(f"tasks/{task_id}")
    expect(desk.page.get_by_text("2 sec, 30 min, 2 hr")).to_be_visible()
    desk.press("中文")
    expect(desk.page.get_by_text(re.compile("2 ?秒、30 ?分钟、2 ?小时"))).to_be_visible()


def test_a_task_in_line_says_for_what_it_waits(desk: Desk) -> None:
    desk.retrying(ordering_key="order-42")
    assert "waits in line until those before it with ordering key order-42" in sentence(
        desk, desk.submit(ordering_key="order-42")
    )


# ── the timeline ─────────────────────────────────────────────────────────────────────────────────


def test_earlier_attempts_are_fetched_on_demand_and_stay(desk: Desk) -> None:
    task_id = desk.exhausted(retry={"schedule": [0.1, 0.1, 0.1]})
    whole = desk.api("GET", f"/v1/tasks/{task_id}")
    part = {**whole, "attempts": whole["attempts"][-2:], "attempts_cursor": "3"}
    desk.page.route(f"**/v1/tasks/{task_id}", lambda route: route.fulfill(json=part))
    desk.open(f"tasks/{task_id}")
    numbers = desk.page.locator(".timeline .event strong")
    expect(numbers).to_have_text(["4", "3"])
    desk.press("Show earlier attempts")
    expect(numbers).to_have_text(["4", "3", "2", "1"])
    expect(desk.button("Show earlier attempts")).to_have_count(0)
    with desk.page.expect_response(f"**/v1/tasks/{task_id}"):
        pass
    expect(numbers).to_have_text(["4", "3", "2", "1"])


def test_what_did_not_fit_into_a_task_is_said(desk: Desk) -> None:
    task_id = desk.delivered()
    part = {**desk.api("GET", f"/v1/tasks/{task_id}"), "audit_left_out": 7, "notices_left_out": 8}
    desk.page.route(f"**/v1/tasks/{task_id}", lambda route: route.fulfill(json=part))
    desk.open(f"tasks/{task_id}")
    expect(desk.page.get_by_text("7 older entries do not fit here")).to_be_visible()
    expect(desk.page.get_by_text("8 older notices do not fit here")).to_be_visible()


def test_a_list_of_several_parts_is_fetched_to_its_end(desk: Desk) -> None:
    for memo in ("the first part", "the second part"):
        desk.api("POST", "/v1/channels", {"kind": "dingtalk", "url": f"{desk.receiver}/dingtalk", "memo": memo})
    channels = desk.api("GET", "/v1/channels")["channels"]
    cursor = channels[-2]["channel_id"]
    desk.page.route("**/v1/channels", lambda route: route.fulfill(json={"channels": channels[:-1], "cursor": cursor}))
    desk.open("channels")
    for memo in ("the first part", "the second part"):
        expect(desk.page.get_by_text(memo)).to_be_visible()


def test_the_newest_attempt_is_chosen_and_another_is_in_the_url(desk: Desk) -> None:
    task_id = desk.exhausted(retry={"schedule": [0.1, 0.1]})
    desk.open(f"tasks/{task_id}")
    expect(desk.page.get_by_role("heading", name="Attempt 3")).to_be_visible()
    desk.page.locator(".timeline a").nth(2).click()
    expect(desk.page.get_by_role("heading", name="Attempt 1")).to_be_visible()
    assert desk.query.endswith("attempt=1.1")
    desk.page.reload()
    expect(desk.page.get_by_role("heading", name="Attempt 1")).to_be_visible()


def test_an_attempt_says_what_its_time_went_into_and_where_it_ended(desk: Desk) -> None:
    task_id = desk.exhausted("/hang/20", timeout=1)
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator(".legend.phases li")).to_have_text(
        [
            re.compile(r"look-up \d+ ms$"),
            re.compile(r"connection \d+ ms$"),
            re.compile(r"receiver [\d.]+ (ms|sec) ended here$"),
        ]
    )
    expect(desk.page.locator(".timeline svg.phases rect.wait")).to_have_count(1)


def test_the_timeline_has_attempts_waits_and_rounds(desk: Desk) -> None:
    task_id = desk.exhausted(retry={"schedule": [0.2]})
    desk.api("POST", f"/v1/tasks/{task_id}/resend", {"url": f"{desk.receiver}/ok"})
    desk.run.until(task_id, "delivered")
    desk.open(f"tasks/{task_id}")
    timeline = desk.page.locator(".timeline")
    expect(timeline.locator(".event")).to_have_count(3)
    expect(timeline).to_contain_text("200 ms wait")
    expect(timeline).to_contain_text("Round 2 begins: resent")
    expect(timeline.locator(".event").first).to_contain_text("Delivered")


def test_a_task_that_changes_is_seen_to_change(desk: Desk) -> None:
    task_id = desk.retrying()
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator(".standing")).to_contain_text("Retrying")
    desk.api("POST", f"/v1/tasks/{task_id}/cancel", {})
    desk.time_passes()
    expect(desk.page.locator(".standing")).to_contain_text("Cancelled")


def test_what_was_submitted_is_shown_as_it_stands(desk: Desk) -> None:
    task_id = desk.delivered(
        body={"id": 12345678901234567890, "city": "上海"},
        headers={"X-Order": "42", "Authorization": "Bearer secret"},
        labels={"order": "42"},
        expect={"status": ["2xx", "!204"], "contains": "success"},
        retry={"preset": "wechatpay"},
    )
    desk.open(f"tasks/{task_id}")
    main = desk.page.get_by_role("main")
    for text in ('{"id": 12345678901234567890, "city": "上海"}', "X-Order", "***", "success", "10 min", "Label order"):
        expect(main).to_contain_text(text)
    expect(main).not_to_contain_text("Bearer secret")


def test_no_such_task_says_so(desk: Desk) -> None:
    desk.open("tasks/00000000-0000-4000-8000-000000000000")
    expect(desk.page.get_by_role("alert").filter(has_text="There is no such record")).to_be_visible()


# ── what can be done ─────────────────────────────────────────────────────────────────────────────


def test_only_what_is_legal_now_is_offered(desk: Desk) -> None:
    offered = {
        desk.delivered(): ["Resend", "Edit and resend …"],
        desk.retrying(): ["Deliver now", "Cancel task"],
    }
    for task_id, buttons in offered.items():
        desk.open(f"tasks/{task_id}")
        expect(desk.page.locator(".actions button")).to_have_text(buttons)


def test_a_task_is_resent_and_its_new_round_is_followed(desk: Desk) -> None:
    task_id = desk.exhausted()
    desk.open(f"tasks/{task_id}")
    desk.press("Resend")
    expect(desk.said).to_contain_text("A new round has begun")
    expect(desk.page.locator(".facts.wide")).to_contain_text("in round 2")


def test_a_task_is_cancelled(desk: Desk) -> None:
    task_id = desk.retrying()
    desk.open(f"tasks/{task_id}")
    desk.press("Cancel task")
    expect(desk.page.locator(".standing")).to_contain_text("Cancelled")
    expect(desk.page.get_by_role("heading", name="Audit trail")).to_be_visible()


def test_an_action_that_is_refused_stays_on_the_page_with_the_reason(desk: Desk) -> None:
    task_id = desk.retrying()
    desk.open(f"tasks/{task_id}")
    desk.button("Deliver now").wait_for()
    desk.api("POST", f"/v1/tasks/{task_id}/cancel", {})
    desk.press("Deliver now")
    refusal = desk.page.locator(".actions").get_by_role("alert")
    expect(refusal).to_contain_text("does not allow this any more")
    expect(refusal).to_contain_text("cancelled")


def test_edit_and_resend_sends_what_was_changed_digit_by_digit(desk: Desk) -> None:
    task_id = desk.exhausted(body={"id": 12345678901234567890}, headers={"X-Token": "secret"})
    desk.open(f"tasks/{task_id}")
    desk.press("Edit and resend …")
    desk.dialog.get_by_label("URL").fill(f"{desk.receiver}/ok")
    desk.dialog.get_by_label("Body").fill('{"id": 98765432109876543210}')
    desk.press("Resend", desk.dialog)
    desk.run.until(task_id, "delivered")
    [sent] = [
        it for it in desk.run.partner("GET", f"/received?webhook_id={task_id}").json["received"] if it["path"] == "/ok"
    ]
    assert (sent["body"], sent["headers"]["x-token"]) == ('{"id": 98765432109876543210}', "secret")
    [audit] = desk.look(task_id)["audit"]
    assert sorted(audit["detail"]["changes"]) == ["body", "url"]


def test_a_fault_in_what_was_edited_is_shown_at_its_field_and_nothing_is_lost(desk: Desk) -> None:
    desk.open(f"tasks/{desk.exhausted()}")
    desk.press("Edit and resend …")
    desk.dialog.get_by_label("URL").fill("ftp://partner.example/")
    desk.press("Resend", desk.dialog)
    expect(desk.dialog.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
    expect(desk.dialog.locator(".fault")).to_contain_text("http")
    expect(desk.dialog.get_by_label("URL")).to_have_value("ftp://partner.example/")


# ── a reply is never trusted ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    with answering() as url:
        yield url


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_reply_is_text_and_nothing_else(desk: Desk, hostile: str, name: str) -> None:
    """The desk's watch sees to the rest: no dialog, no request to elsewhere, no complaint of the browser."""
    task_id = desk.run.submit({"url": f"{hostile}/{name}", "retry": {"max_attempts": 1}, "source_app": desk.app})
    desk.run.until(task_id, "exhausted")
    desk.open(f"tasks/{task_id}")
    reply = desk.page.get_by_role("region", name="Reply, as received")
    expect(reply).to_be_visible()
    assert desk.page.evaluate("document.querySelectorAll('pre *').length") == 0
    assert desk.page.locator("a[href^='javascript:'], main iframe, main img").count() == 0
    assert desk.page.evaluate("({}).polluted ?? null") is None
    desk.open_list()
    desk.row(task_id).wait_for()


def test_letters_that_turn_the_writing_around_are_written_out(desk: Desk, hostile: str) -> None:
    task_id = desk.run.submit({"url": f"{hostile}/turned", "retry": {"max_attempts": 1}, "source_app": desk.app})
    desk.run.until(task_id, "exhausted")
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator("pre").first).to_have_text("paid⟨U+202E⟩0001 ⟨U+2066⟩⟨U+200B⟩LIAF")


def test_what_was_cut_off_is_said(desk: Desk, hostile: str) -> None:
    task_id = desk.run.submit({"url": f"{hostile}/large", "retry": {"max_attempts": 1}, "source_app": desk.app})
    desk.run.until(task_id, "exhausted")
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator(".notice")).to_contain_text(
        "Only the first 65,535 characters were kept of 70 kB that came."
    )


def test_a_reply_is_shown_digit_by_digit(desk: Desk, hostile: str) -> None:
    task_id = desk.run.submit({"url": f"{hostile}/number", "retry": {"max_attempts": 1}, "source_app": desk.app})
    desk.run.until(task_id, "exhausted")
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator("pre").first).to_have_text('{"id": 12345678901234567890, "x": 1.10}')
