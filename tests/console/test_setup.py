"""Targets, channels, callers and signing secrets: what is set up, and each thing that can be done to it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.console.desk import Desk

# ── targets ──────────────────────────────────────────────────────────────────────────────────────


def test_a_target_is_limited_and_paused_by_its_name_and_resumed(desk: Desk) -> None:
    desk.open("targets")
    desk.press("Limit or pause a target")
    desk.dialog.get_by_label("Target").fill("https://limited.example")
    desk.dialog.get_by_label("Attempts at a time").fill("4")
    desk.dialog.get_by_label("Leave it alone").check()
    desk.dialog.get_by_label("Share that must fail").fill("0.25")
    desk.press("Save", desk.dialog)
    row = desk.row("https://limited.example:443")
    expect(row).to_contain_text("0 / 4")
    expect(row).to_contain_text("25 %")
    desk.press("Pause", row)
    expect(desk.dialog).to_contain_text("No attempt begins at https://limited.example:443")
    desk.press("Pause", desk.dialog)
    expect(row).to_contain_text("Paused")
    desk.press("Resume", row)
    expect(row).to_contain_text("Open")


def test_limits_are_taken_away_by_emptying_them(desk: Desk) -> None:
    desk.api("PATCH", "/v1/targets?target=https://unlimited.example", {"max_concurrency": 4, "rate_per_second": 2})
    desk.open("targets")
    desk.press("Limits", desk.row("https://unlimited.example"))
    desk.dialog.get_by_label("Attempts at a time").fill("")
    desk.press("Save", desk.dialog)
    expect(desk.said).to_contain_text("The limits are saved.")
    [target] = [it for it in desk.api("GET", "/v1/targets")["targets"] if "unlimited" in it["target"]]
    assert (target["max_concurrency"], target["rate_per_second"]) == (None, 2)


def test_a_target_that_is_none_is_refused_at_its_field(desk: Desk) -> None:
    desk.open("targets")
    desk.press("Limit or pause a target")
    desk.dialog.get_by_label("Target").fill("nowhere")
    desk.press("Save", desk.dialog)
    expect(desk.dialog.get_by_label("Target")).to_have_attribute("aria-invalid", "true")


def test_held_tasks_are_counted_at_their_target_and_say_why(desk: Desk) -> None:
    desk.api("PATCH", "/v1/targets?target=https://held.example", {"paused": True})
    desk.run.submit({"url": "https://held.example/callback", "source_app": desk.app})
    desk.open("targets")
    held = desk.row("https://held.example").get_by_role("link", name="1", exact=True)
    for _ in range(5):
        desk.time_passes(4)
        if held.count():
            break
    held.click()
    expect(desk.row(desk.app).first).to_contain_text("target paused")
    desk.open("waiting", show="paused")
    row = desk.row("https://held.example/callback").first
    expect(row).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)  # cancelling is offered where one has looked, or ticked
    row.get_by_role("link").first.click()
    expect(desk.button("Cancel task")).not_to_have_class("main")
    desk.page.get_by_role("link", name="See its target").click()
    expect(desk.row("https://held.example")).to_contain_text("Paused")


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

ADDRESSES = {
    "https://oapi.dingtalk.com/robot/send?access_token=x": "DingTalk",
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x": "WeCom",
    "https://open.feishu.cn/open-apis/bot/v2/hook/x": "Feishu",
    "https://open.larksuite.com/open-apis/bot/v2/hook/x": "Lark",
    "https://hooks.slack.com/services/T/B/x": "Slack",
    "mailto:ops@example.com": "E-mail",
}


def test_a_pasted_address_shows_what_sort_of_robot_it_is(desk: Desk) -> None:
    desk.open("channels")
    desk.press("Add a channel")
    for address, kind in ADDRESSES.items():
        desk.dialog.get_by_label("Address").fill(address)
        expect(desk.dialog.get_by_text(f"Recognised: {kind}")).to_be_visible()
        expect(desk.dialog.get_by_label("Kind").locator("option:checked")).to_have_text(kind)


@pytest.mark.parametrize(
    ("robot", "answer"), [("dingtalk", "The channel took the message."), ("dingtalk/310000", "310000: not taken")]
)
def test_a_channel_is_made_tested_and_removed(desk: Desk, robot: str, answer: str) -> None:
    desk.open("channels")
    desk.press("Add a channel")
    desk.dialog.get_by_label("Address").fill(f"{desk.receiver}/{robot}")
    desk.dialog.get_by_label("Note").fill(desk.app)
    desk.dialog.get_by_label("Source apps").fill(f"{desk.app}, other")
    desk.press("Save", desk.dialog)
    card = desk.page.get_by_role("listitem").filter(has_text=desk.app)
    expect(card).to_contain_text("DingTalk")
    expect(card).to_contain_text("one message in 1 min at most")
    desk.press("Test", card)
    expect(card).to_contain_text(answer)
    desk.press("Remove", card)
    desk.press("Remove", desk.dialog)
    expect(card).to_have_count(0)


def test_a_channel_is_changed_and_keeps_its_address_and_secret(desk: Desk) -> None:
    made = desk.api(
        "POST",
        "/v1/channels",
        {
            "kind": "feishu",
            "url": f"{desk.receiver}/feishu?secret=s",
            "secret": "s",
            "memo": desk.app,
            "source_apps": ["nobody"],
        },
    )
    desk.open("channels")
    card = desk.page.get_by_role("listitem").filter(has_text=desk.app)
    desk.press("Change", card)
    expect(desk.dialog.get_by_label("Address")).to_have_value("")
    desk.dialog.get_by_label("Seconds to gather").fill("0")
    desk.press("Save", desk.dialog)
    expect(card).to_contain_text("each failure alone")
    desk.press("Test", card)
    expect(card).to_contain_text("The channel took the message.")
    desk.api("DELETE", f"/v1/channels/{made['channel_id']}")


def test_a_template_is_written_with_variables_previewed_and_its_faults_told(desk: Desk) -> None:
    desk.open("channels")
    desk.press("Add a channel")
    desk.dialog.get_by_text("Words of its own").click()
    template = desk.dialog.get_by_label("Template of the whole body")
    template.fill('{"text": "failed: "}')
    template.evaluate("it => it.setSelectionRange(18, 18)")
    for name in ("taskId", "limitCallCount"):
        desk.press(f"${{{name}}}", desk.dialog)
    expect(template).to_have_value('{"text": "failed: ${taskId}${limitCallCount}"}')
    desk.time_passes(1)
    expect(desk.dialog.get_by_role("region", name="What it would say")).to_contain_text("failed: 测试")
    template.fill('{"text": ${nothing}}')
    desk.time_passes(1)
    expect(desk.dialog.get_by_role("alert").filter(has_text="nothing")).to_be_visible()


# ── callers and signing secrets ──────────────────────────────────────────────────────────────────


def test_a_caller_is_made_its_secret_shown_once_and_it_is_removed(desk: Desk) -> None:
    desk.open("callers")
    desk.press("Make a caller")
    desk.dialog.get_by_label("Source app").fill(desk.app)
    desk.dialog.get_by_label("From networks").fill("10.1.0.0/16, 192.0.2.0/24")
    desk.dialog.get_by_label("resend").uncheck()
    desk.press("Make a caller", desk.dialog)
    expect(desk.dialog).to_contain_text(re.compile("kks_"))
    desk.page.keyboard.press("Escape")
    expect(desk.dialog).to_contain_text(re.compile("kks_"))
    desk.press("I have kept it", desk.dialog)
    row = desk.row(desk.app)
    expect(row).to_contain_text("submit, read")
    expect(row).to_contain_text("10.1.0.0/16, 192.0.2.0/24")
    expect(desk.page.locator("body")).not_to_contain_text("kks_")
    desk.press("Remove", row)
    desk.press("Remove", desk.dialog)
    expect(row).to_have_count(0)


def test_a_client_of_the_predecessor_is_given_a_user_name_and_a_password(desk: Desk) -> None:
    desk.open("callers")
    desk.press("Make a caller")
    desk.dialog.get_by_label("Source app").fill("*")
    desk.dialog.get_by_text("A client of the Java kkbida").click()
    desk.dialog.get_by_label("User name").fill("legacy")
    desk.press("Make a caller", desk.dialog)
    expect(desk.dialog.get_by_role("alert")).to_contain_text("/password")
    desk.dialog.get_by_label("Password").fill("as it was in Java")
    desk.press("Make a caller", desk.dialog)
    desk.press("I have kept it", desk.dialog)
    expect(desk.row("legacy")).to_contain_text("User name: legacy")
    task = {"url": f"{desk.receiver}/ok", "requestMethod": "POST", "sourceAppName": desk.app, "targetAppName": "x"}
    headers = {"username": "legacy", "password": "as it was in Java", "Content-Type": "application/json"}
    body = json.dumps({**task, "expectResult": "success", "limitCallCount": 3}).encode()
    taken = desk.run.api("POST", "/api/addTask", body, headers)
    assert taken.status == 200, taken.body
    desk.run.until(taken.body.decode(), "delivered")


def test_a_network_that_is_none_is_refused_and_the_form_stays(desk: Desk) -> None:
    desk.open("callers")
    desk.press("Make a caller")
    desk.dialog.get_by_label("Source app").fill(desk.app)
    desk.dialog.get_by_label("From networks").fill("10.1")
    desk.press("Make a caller", desk.dialog)
    expect(desk.dialog.get_by_role("alert")).to_contain_text("/networks/0")
    expect(desk.dialog.get_by_label("Source app")).to_have_value(desk.app)


def test_a_signing_secret_is_made_shown_once_and_removed(desk: Desk) -> None:
    desk.open("callers")
    desk.press("Make a signing secret")
    desk.dialog.get_by_label("Source app").fill(desk.app)
    desk.press("Make a signing secret", desk.dialog)
    expect(desk.dialog).to_contain_text(re.compile("whsec_"))
    desk.press("I have kept it", desk.dialog)
    row = desk.row(desk.app)
    desk.press("Remove", row)
    desk.press("Remove", desk.dialog)
    expect(row).to_have_count(0)
