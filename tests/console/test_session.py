"""Who is at the keyboard: logins, what each role is offered, sessions that end; and an API that goes and comes back."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Office, sitting
from tests.console.desk import Desk
from tests.console.test_pages import found_by_axe
from tests.local.conftest import PATIENCE, Run, running

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def closed_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A local run as anybody starts it: who wants something of it logs in."""
    with running(tmp_path_factory.mktemp("closed"), KKBIDA_OPEN_API="0") as run:
        yield run


@contextmanager
def visiting(office: Office, run: Run) -> Iterator[Desk]:
    with sitting(office, run, "session") as desk:
        yield desk


@pytest.fixture
def visitor(office: Office, closed_run: Run) -> Iterator[Desk]:
    with visiting(office, closed_run) as desk:
        yield desk


def log_in(desk: Desk, name: str = "admin", password: str = "") -> None:
    desk.page.get_by_label("Name (required)").fill(name)
    desk.page.get_by_label("Password (required)").fill(password or desk.run.access["password"])
    desk.press("Log in")


@pytest.fixture
def admin(visitor: Desk) -> Desk:
    visitor.open()
    log_in(visitor)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    return visitor


def make_operator(admin: Desk, name: str, role: str) -> None:
    admin.open("operators")
    admin.press("Add an operator")
    admin.dialog.get_by_label("Name").fill(name)
    admin.dialog.get_by_label("Role").select_option(role)
    admin.dialog.get_by_label("New password").fill(PASSWORD)
    admin.press("Save", admin.dialog)
    expect(admin.row(name)).to_be_visible()


def test_a_login_leads_to_where_one_wanted_to_be(visitor: Desk) -> None:
    visitor.open("tasks", status="exhausted")
    expect(visitor.page.get_by_role("heading", name="Log in to kkbida")).to_be_visible()
    assert found_by_axe(visitor.page) == []
    log_in(visitor)
    expect(visitor.page.get_by_role("heading", name="Tasks", level=1)).to_be_visible()
    assert visitor.query == "/tasks?status=exhausted"


def test_a_wrong_password_is_refused_on_the_spot_and_too_many_say_how_long_to_wait(visitor: Desk) -> None:
    visitor.open()
    log_in(visitor, "nobody", "wrong password")
    expect(visitor.page.get_by_role("alert").filter(has_text="Name or password is wrong.")).to_be_visible()
    for _ in range(12):
        visitor.press("Log in")
        expect(visitor.button("Log in")).to_be_enabled()
        if visitor.page.get_by_text("Too many tries.").is_visible():
            break
    expect(visitor.page.get_by_text(re.compile(r"Try again in \d+ \w+"))).to_be_visible()


def test_no_script_can_read_the_session_and_a_log_out_ends_it(admin: Desk) -> None:
    assert admin.page.evaluate("document.cookie") == ""
    cookies = admin.page.context.cookies()
    assert {(it.get("httpOnly"), it.get("sameSite")) for it in cookies} == {(True, "Strict")}
    admin.press("Log out")
    expect(admin.page.get_by_role("heading", name="Log in to kkbida")).to_be_visible()
    admin.page.reload()
    expect(admin.page.get_by_role("heading", name="Log in to kkbida")).to_be_visible()


def test_a_session_that_ended_is_asked_for_over_the_page_and_nothing_is_lost(admin: Desk) -> None:
    admin.open("submit")
    admin.page.get_by_label("URL (required)").fill(f"{admin.receiver}/ok")
    admin.page.context.clear_cookies()
    admin.press("Submit")
    expect(admin.dialog).to_contain_text("Your session has ended")
    assert found_by_axe(admin.page) == []
    log_in(admin)
    expect(admin.dialog).to_have_count(0)
    expect(admin.page.get_by_label("URL (required)")).to_have_value(f"{admin.receiver}/ok")
    admin.press("Submit")
    admin.page.wait_for_url("**/#/tasks/*")


def test_a_viewer_sees_everything_is_offered_nothing_and_told_why(admin: Desk, office: Office) -> None:
    make_operator(admin, "vera", "viewer")
    admin.press("Log out")
    log_in(admin, "vera", PASSWORD)
    admin.page.get_by_role("heading", level=1).wait_for()
    for path in ("", "tasks", "failures", "waiting", "resends", "targets", "channels", "callers", "audit", "settings"):
        admin.open(path)
        admin.settle()
        offered = admin.page.locator("main button:visible").all_inner_texts()
        assert [it for it in offered if it not in ("Filter", "Copy")] == [], path
        expect(admin.page.get_by_role("link", name="Submit a task")).to_have_count(0)
    expect(admin.page.locator(".who")).to_contain_text("To change something takes an operator or an admin.")
    assert office


def test_an_operator_is_made_promoted_disabled_and_removed(admin: Desk) -> None:
    make_operator(admin, "olga", "operator")
    assert found_by_axe(admin.page) == []
    admin.press("Change", admin.row("olga"))
    admin.dialog.get_by_label("Role").select_option("admin")
    admin.dialog.get_by_label("Disabled").check()
    admin.press("Save", admin.dialog)
    expect(admin.row("olga")).to_contain_text("disabled")
    admin.press("Remove", admin.row("olga"))
    admin.press("Remove", admin.dialog)
    expect(admin.row("olga")).to_have_count(0)


def test_what_may_not_be_done_to_an_operator_is_said_where_it_was_tried(admin: Desk) -> None:
    admin.open("operators")
    admin.press("Remove", admin.row("(you)"))
    admin.press("Remove", admin.dialog)
    expect(admin.dialog.get_by_role("alert")).to_contain_text("The last admin stays")
    admin.press("Back", admin.dialog)
    admin.press("Add an operator")
    admin.dialog.get_by_label("Name").fill("short")
    admin.dialog.get_by_label("New password").fill("short")
    admin.press("Save", admin.dialog)
    expect(admin.dialog.get_by_label("New password")).to_have_attribute("aria-invalid", "true")


def test_a_password_is_changed_and_the_session_goes_on(admin: Desk) -> None:
    make_operator(admin, "petra", "admin")
    admin.press("Log out")
    log_in(admin, "petra", PASSWORD)
    admin.press("Change password")
    admin.dialog.get_by_label("Password now").fill(PASSWORD)
    admin.dialog.get_by_label("New password").fill("another horse battery")
    admin.press("Change password", admin.dialog)
    expect(admin.said).to_contain_text("Your password is changed.")
    make_operator(admin, "petras-friend", "viewer")  # the new token is in use


def test_the_audit_trail_says_who_did_what_and_is_filtered_by_its_links(admin: Desk) -> None:
    make_operator(admin, "audrey", "viewer")
    admin.open("audit")
    row = admin.row("operator:audrey").first
    expect(row).to_contain_text("done")
    expect(row).to_contain_text("127.0.0.1")
    assert found_by_axe(admin.page) == []
    row.get_by_role("link", name="operator:audrey").click()
    admin.page.wait_for_url("**subject=operator%3Aaudrey")
    expect(admin.page.locator("tbody tr")).to_have_count(1)
    admin.page.get_by_label("Who").fill("nobody")
    admin.press("Filter")
    expect(admin.page.get_by_text("No entry matches.")).to_be_visible()


def test_a_fresh_kkbida_shows_how_to_begin(office: Office, fresh_run: Run) -> None:
    with visiting(office, fresh_run) as desk:
        desk.open()
        expect(desk.page.get_by_text("No task yet.")).to_be_visible()
        expect(desk.page.locator("pre")).to_contain_text("curl -s http://127.0.0.1")
        for path, text in (
            ("tasks", "No task yet."),
            ("channels", "No channel yet: nobody is told."),
            ("resends", "No bulk resend yet."),
            ("targets", "No target is limited, and none holds tasks."),
            ("failures", "All is well: nothing fails."),
            ("waiting", "Nothing is scheduled."),
        ):
            desk.open(path)
            expect(desk.page.get_by_text(text)).to_be_visible()


def test_an_api_that_is_gone_is_said_and_when_it_is_back_all_is_looked_at_anew(office: Office, tmp_path: Path) -> None:
    with running(tmp_path) as run, visiting(office, run) as desk:
        task_id = desk.retrying()
        desk.open("tasks")
        desk.row(task_id).wait_for()
        port = str(urlsplit(run.access["api"]).port)
        run.process.send_signal(signal.SIGTERM)
        run.process.wait(PATIENCE)
        desk.time_passes()
        banner = desk.page.get_by_role("alert").filter(has_text="The API does not answer")
        expect(banner).to_be_visible()
        expect(desk.row(task_id)).to_be_visible()
        with running(tmp_path, PORT=port) as again:
            again.api("POST", f"/v1/tasks/{task_id}/cancel")
            desk.time_passes()
            expect(banner).to_have_count(0)
            expect(desk.row(task_id)).to_contain_text("Cancelled")


def test_an_api_that_is_gone_from_the_start_or_from_one_page_is_waited_for(desk: Desk) -> None:
    desk.page.route("**/v1/**", lambda route: route.abort())
    desk.page.goto(f"{desk.run.access['console']}#/settings")
    banner = desk.page.get_by_role("alert").filter(has_text="The API does not answer")
    expect(banner).to_be_visible()
    desk.page.unroute("**/v1/**")
    desk.time_passes()
    expect(desk.row("KKBIDA_TABLE")).to_be_visible()
    desk.page.route(
        "**/v1/callers", lambda route: route.fulfill(status=502, content_type="text/html", body="Bad Gateway")
    )
    desk.open("callers")
    expect(banner).to_be_visible()
    desk.page.unroute("**/v1/callers")
    desk.time_passes()
    expect(desk.page.locator("section[aria-labelledby=keys]").locator("table, .empty")).to_be_visible()
    expect(banner).to_have_count(0)
