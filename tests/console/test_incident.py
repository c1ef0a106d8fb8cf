"""The main work in an incident: the partner is back, and what was exhausted meanwhile is sent again from Failures."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.console.conftest import Office, sitting
from tests.local.conftest import Run


def test_what_is_exhausted_is_resent_from_failures_without_any_filter(office: Office, fresh_run: Run) -> None:
    with sitting(office, fresh_run, "incident") as desk:
        task = {"url": f"{desk.receiver}/fail/1", "retry": {"max_attempts": 1}}
        ids = [desk.run.submit(task), desk.run.submit(task), desk.run.submit({**task, "source_app": "orders"})]
        for task_id in ids:
            desk.run.until(task_id, "exhausted")
        desk.open()
        desk.page.locator(".needs").get_by_role("link", name="tasks are exhausted").click()
        desk.press("Resend 3 exhausted")
        expect(desk.dialog).to_contain_text("3 tasks will be sent again")
        desk.dialog.get_by_label("Tasks a second").fill("1000")
        desk.press("Resend them", desk.dialog)
        expect(desk.dialog).to_contain_text("Done")
        for task_id in ids:
            assert desk.run.until(task_id, "delivered")["round"] == 2
        desk.press("Close", desk.dialog.locator(".buttons"))
        desk.time_passes()
        expect(desk.page.get_by_text("All is well: nothing fails.")).to_be_visible()
