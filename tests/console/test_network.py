"""What a network does to answers: something in between answers itself, or they come late, or never."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.desk import Desk

# ── answers that are not kkbida's ────────────────────────────────────────────────────────────────

STRANGE: dict[str, dict[str, Any]] = {
    "403 in JSON": {"status": 403, "content_type": "application/json", "body": '{"message": "Forbidden"}'},
    "401 in JSON": {"status": 401, "content_type": "application/json", "body": "{}"},
    "404 in HTML": {
        "status": 404,
        "content_type": "text/html",
        "body": "<h1>Not <b>here</b></h1><script>alert(1)</script>",
    },
    "504 in JSON": {
        "status": 504,
        "content_type": "application/json",
        "body": '{"message": "Endpoint request timed out"}',
    },
    "502 in text": {"status": 502, "content_type": "text/plain", "body": "Bad Gateway"},
    "a problem without a code": {
        "status": 429,
        "content_type": "application/problem+json",
        "body": '{"title": "Slow"}',
    },
    "200 in HTML": {"status": 200, "content_type": "text/html", "body": "<!doctype html><title>Hotel Wi-Fi</title>"},
    "200 in JSON": {"status": 200, "content_type": "application/json", "body": '{"message": "ok", "errors": "none"}'},
    "200 with a list": {"status": 200, "content_type": "application/json", "body": "[]"},
    "200 with null": {"status": 200, "content_type": "application/json", "body": "null"},
    "200 with nothing": {"status": 200, "body": ""},
    "204": {"status": 204},
    "a redirect": {"status": 302, "headers": {"Location": "http://192.0.2.1/login"}},
}
SAID = re.compile("This answer is not from kkbida")


def answering(page: Page, pattern: str, answer: dict[str, Any]) -> None:
    """Answer like this whatever is asked for by such a URL, except who is here and how it is."""

    def answered(route: Route) -> None:
        if route.request.url.endswith(("/v1/me", "/v1/health")):
            route.continue_()
        else:
            route.fulfill(**answer)

    page.route(pattern, answered)


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
def test_what_came_instead_of_an_answer_is_shown_by_a_view_and_by_an_action(desk: Desk, answer: dict[str, Any]) -> None:
    answering(desk.page, "**/v1/**", answer)
    desk.open("tasks")
    told = desk.page.locator("main").get_by_role("alert").filter(has_text=SAID)
    expect(told).to_contain_text("redirect" if answer["status"] == 302 else f"status {answer['status']}")
    expect(told).not_to_contain_text("alert(1)")
    desk.page.unroute("**/v1/**")
    desk.press("Try again", told)
    expect(told).to_have_count(0)
    desk.open("submit")
    desk.page.get_by_label("URL (required)").fill(f"{desk.receiver}/ok")
    desk.page.get_by_label("Source app").fill(desk.app)
    answering(desk.page, "**/v1/tasks", answer)
    desk.press("Submit")
    expect(told).to_be_visible()
    desk.page.unroute("**/v1/tasks")
    desk.press("Submit")
    desk.page.wait_for_url("**/#/tasks/*")


VIEWS = (
    "",
    "tasks/1",
    "failures",
    "waiting",
    "resends",
    "targets",
    "channels",
    "callers",
    "operators",
    "audit",
    "settings",
)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_shows_what_came_and_looks_again_on_demand(desk: Desk, view: str) -> None:
    answer = STRANGE["200 in JSON" if VIEWS.index(view) % 2 else "200 in HTML"]
    answering(desk.page, "**/v1/**", answer)
    desk.open(view)
    told = desk.page.locator("main").get_by_role("alert").filter(has_text=SAID)
    expect(told.first).to_be_visible()
    for alert in told.all():
        expect(desk.button("Try again", alert)).to_be_visible()
    desk.page.unroute("**/v1/**")
    while told.count():
        desk.press("Try again", told.first)
        desk.settle()
    expect(told).to_have_count(0)


def test_an_answer_whose_parts_have_another_shape_leaves_the_page_there(desk: Desk) -> None:
    answering(desk.page, "**/v1/channels", {"status": 200, "json": {"channels": [None]}})
    desk.open("channels")
    told = desk.page.locator("main").get_by_role("alert").filter(has_text=SAID)
    expect(told).to_be_visible()
    desk.page.unroute("**/v1/channels")
    desk.press("Try again", told)
    expect(told).to_have_count(0)
    expect(desk.page.locator("main .cards, main .empty")).to_be_visible()
    desk.watch.faults.clear()  # that it could not be drawn is in the console, for who looks for the fault


ACTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "resend of a row": ("tasks", ("Resend",)),
    "bulk resend": ("failures", ("Resend 1 exhausted",)),
    "test of a channel": ("channels", ("Test",)),
    "removal of a channel": ("channels", ("Remove", "Remove")),
    "limits": ("targets", ("Limits", "Save")),
    "pause": ("targets", ("Pause", "Pause")),
    "edit and resend": ("task", ("Edit and resend …", "Resend")),
    "removal of a caller": ("callers", ("Remove", "Remove")),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_says_what_came(desk: Desk, name: str) -> None:
    page, buttons = ACTIONS[name]
    task_id = desk.exhausted()
    channel = {"kind": "dingtalk", "url": f"{desk.receiver}/dingtalk", "source_apps": ["nobody"]}
    channel_id = desk.api("POST", "/v1/channels", channel)["channel_id"]
    desk.api("PATCH", "/v1/targets?target=https://strange.example", {"max_concurrency": 4})
    desk.api("POST", "/v1/callers", {"source_app": desk.app})
    query = {"source_app": desk.app} if page in ("tasks", "failures") else {}
    desk.open(f"tasks/{task_id}" if page == "task" else page, **query)
    desk.button(buttons[0]).first.wait_for()
    desk.page.route(
        "**/v1/**",
        lambda route: route.continue_() if route.request.method == "GET" else route.fulfill(**STRANGE["200 in HTML"]),
    )
    for button in buttons:
        (desk.dialog if desk.dialog.count() else desk.page).get_by_role("button", name=button, exact=True).first.click()
    expect(desk.page.get_by_role("alert").filter(has_text=SAID)).to_contain_text("Hotel Wi-Fi")
    desk.page.unroute("**/v1/**")
    desk.api("DELETE", f"/v1/channels/{channel_id}")


def test_who_is_here_is_asked_until_it_is_known_and_what_came_instead_is_shown(desk: Desk) -> None:
    desk.page.route("**/v1/me", lambda route: route.fulfill(**STRANGE["200 in HTML"]))
    desk.page.goto(desk.run.access["console"])
    expect(desk.page.get_by_role("alert").filter(has_text=SAID)).to_contain_text("Hotel Wi-Fi")
    desk.page.unroute("**/v1/me")
    desk.time_passes(3)
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Overview")


@pytest.mark.parametrize("file", ["main.js", "app.js", "locales/en.json"])
def test_a_file_of_the_console_that_is_none_is_told_on_the_page(desk: Desk, file: str) -> None:
    desk.page.route(f"**/{file}", lambda route: route.fulfill(**STRANGE["200 in HTML"]))
    desk.page.goto(desk.run.access["console"])
    expect(desk.page.get_by_role("alert")).to_contain_text("could not be loaded")
    desk.page.unroute(f"**/{file}")
    desk.page.get_by_role("link", name="Try again").click()
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Overview")
    desk.watch.faults.clear()  # the browser has said so too


def test_a_page_whose_file_did_not_come_is_fetched_again_on_demand(desk: Desk) -> None:
    desk.open()
    desk.page.route("**/pages/settings.js*", lambda route: route.fulfill(**STRANGE["200 in HTML"]))
    desk.open("settings")
    told = desk.page.get_by_role("alert").filter(has_text="could not be fetched")
    expect(told).to_be_visible()
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Settings")
    desk.page.unroute("**/pages/settings.js*")
    desk.press("Try again", told)
    expect(desk.row("KKBIDA_TABLE")).to_be_visible()
    desk.watch.faults.clear()  # the browser has said so too


def test_a_language_whose_words_do_not_come_is_said(desk: Desk) -> None:
    desk.open()
    desk.page.route("**/locales/zh.json", lambda route: route.fulfill(**STRANGE["502 in text"]))
    desk.press("中文")
    expect(desk.said).to_contain_text("could not be fetched")
    desk.page.unroute("**/locales/zh.json")
    desk.press("中文")
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("首页")


# ── answers that come late, or never ─────────────────────────────────────────────────────────────


COUNTED = """() => {
    const ask = fetch, waiting = new Set();
    window.atOnce = 0;
    window.fetch = (url, options) => {
        const answer = ask(url, options);
        waiting.add(options.signal);
        answer.finally(() => waiting.delete(options.signal)).catch(() => {});
        window.atOnce = Math.max(atOnce, [...waiting].filter((it) => !it.aborted).length);
        return answer;
    };
}"""
"""How many requests the page waits for at the same time, at most: `atOnce`."""


def test_a_late_answer_does_not_replace_a_newer_one_and_looks_do_not_pile_up(desk: Desk) -> None:
    task_id = desk.retrying()
    whole = desk.look(task_id)
    desk.open(f"tasks/{task_id}")
    standing = desk.page.locator(".standing")
    expect(standing).to_contain_text("Retrying")
    desk.settle()
    desk.page.evaluate(COUNTED)
    late = desk.hold(f"**/v1/tasks/{task_id}", most=1)
    desk.time_passes(3)
    late.wait()
    desk.api("POST", f"/v1/tasks/{task_id}/cancel", {})
    for seconds in (2, 2, 2, 31):
        desk.time_passes(seconds)
    expect(standing).to_contain_text("Cancelled")
    late.release(json=whole)
    desk.drawn()
    expect(standing).to_contain_text("Cancelled")
    assert desk.page.evaluate("atOnce") == 1


def test_an_answer_that_never_comes_is_said_and_asked_for_again(desk: Desk) -> None:
    desk.hold("**/v1/settings")
    desk.open("settings")
    desk.time_passes(1)
    expect(desk.page.get_by_text("Loading")).to_be_visible()
    desk.time_passes(41)
    told = desk.page.get_by_role("alert").filter(has_text="No answer came in time.")
    expect(told).to_be_visible()
    desk.page.unroute("**/v1/settings")
    desk.press("Try again", told)
    expect(desk.row("KKBIDA_TABLE")).to_be_visible()


def test_what_is_left_is_no_longer_asked_for(desk: Desk) -> None:
    desk.open("settings")
    links = desk.page.get_by_role("link", name=re.compile("^(Settings|Exhausted)$"))
    leaving: tuple[Callable[..., None], ...] = (
        links.first.click,
        links.last.click,
        lambda: desk.page.keyboard.press("r"),
    )
    for leave in leaving:
        tasks = desk.hold("**/v1/tasks?*", most=1)
        desk.open("tasks")
        tasks.wait()
        with desk.page.expect_event("requestfailed", lambda it: "/v1/tasks?" in it.url):
            leave()
        desk.page.unroute("**/v1/tasks?*")
        desk.open("settings")


def test_a_page_that_comes_when_the_reader_has_gone_back_leaves_the_one_that_is_shown(desk: Desk) -> None:
    desk.open()
    late = desk.hold("**/pages/settings.js*")
    desk.page.get_by_role("link", name="Settings").click()
    late.wait()
    desk.page.clock.pause_at(desk.page.evaluate("Date.now() + 1000"))  # from here on, nothing happens after a drawing
    try:
        desk.page.evaluate("history.back()")
        expect(desk.page.get_by_role("heading", level=1)).to_have_text("Overview")
        with desk.page.expect_event("requestfinished", lambda it: "settings.js" in it.url):
            late.release()
        desk.page.evaluate("import('/pages/settings.js')")
    finally:
        desk.page.clock.resume()
    desk.drawn()
    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_rows_of_another_filter_are_not_shown_under_this_one(desk: Desk) -> None:
    desk.exhausted()
    desk.open("failures", source_app=desk.app)
    expect(desk.row("status 503")).to_be_visible()
    late = desk.hold("**/v1/failures?*")
    desk.open("failures", source_app="another")
    late.wait()
    desk.drawn()
    assert desk.row("status 503").count() == 0, "at once, and not only when the next look is due"
    late.release(
        body=json.dumps({"unit": "hour", "groups": [], "counted": 0, "exact": True}), content_type="application/json"
    )
    expect(desk.page.get_by_text("All is well: nothing fails.")).to_be_visible()
