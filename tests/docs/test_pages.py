"""The pages tell the truth: links, commands, settings, and examples that the code takes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from chalicelib.settings import SETTINGS
from kkbida.cli.profiles import VARIABLES
from tests.browser import Browser, hire
from tests.house import House, in_turn, reply

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {setting.variable for setting in SETTINGS} | set(VARIABLES)
    assert set(re.findall(r"KKBIDA_[A-Z_]+", page.read_text())) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_code_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`((?:chalicelib|tests|infra|benchmarks|docs|console)/[\w./-]+\.\w+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (re.findall(r"```.*?```", page.read_text(), re.DOTALL) for page in PAGES[:2])
    assert [block for block in english if "make run" not in block and "make package" not in block] == [
        block for block in chinese if "make run" not in block and "make package" not in block
    ]


def posted(path: str) -> Any:
    """What the README's curl sends to a path."""
    match = re.search(rf"{path} -H '[^']+' -d '(.*?)'", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_the_first_task_of_the_readme_has_the_life_that_it_tells_of() -> None:
    house = House()
    task = posted("/v1/tasks")
    down = reply(503, "not now")
    house.outside.answers[task["url"]] = in_turn(down, down, reply(200, "success"))
    task_id = house.call("submit", task)[1]["task_id"]
    house.pass_time(6)
    shown = house.look(task_id)
    block = re.search(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    told = json.loads(block[1])
    assert told["status"] == shown["status"]
    assert [{key: it[key] for key in said} for it, said in zip(shown["attempts"], told["attempts"], strict=True)] == (
        told["attempts"]
    )


def test_the_channel_of_the_readme_is_taken() -> None:
    assert House().call("create_channel", posted("/v1/channels"))[0] == 201


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_built_file_that_is_named_is_one_that_the_build_writes(page: Path) -> None:
    build = (ROOT / "infra" / "package.py").read_text()
    assert [file for file in re.findall(r"build/package/([\w.]+)", page.read_text()) if f'"{file}"' not in build] == []


def test_what_the_page_on_resending_many_sends_is_taken() -> None:
    sent = re.findall(r"/v1/resends -H '[^']+' -d '(.*?)'", (ROOT / "docs" / "resend.md").read_text(), re.DOTALL)
    assert [House().call("start_resend", json.loads(body))[0] for body in sent] == [200, 202]


def test_the_login_of_the_page_on_operators_answers_as_it_says() -> None:
    house = House(KKBIDA_OPEN_API="0")
    page = (ROOT / "docs" / "operators.md").read_text()
    login = json.loads(re.findall(r"-d '(.*?)'", page, re.DOTALL)[0])
    browser = Browser(house)
    hire(house, login["name"], password=login["password"])
    assert browser.log_in(**login)[1].keys() == json.loads(blocks("operators.md", "json")[0]).keys()
    assert browser.ask("log_out")[0] == 204


# ── docs/receiving.md ────────────────────────────────────────────────────────────────────────────


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.fixture
def signed() -> tuple[str, dict[str, str], bytes]:
    """A secret as the page makes it, and the headers and the body of a delivery."""
    house = House()
    house.clock.at = time.time()
    [body] = re.findall(r"-d '(.*?)'", "".join(blocks("receiving.md", "sh")))
    status, made = house.call("create_signing_secret", json.loads(body))
    assert (status, made.keys()) == (201, json.loads(blocks("receiving.md", "json")[0]).keys())
    house.submit("https://partner.example/callback", source_app="orders", body={"order": 42, "city": "上海"})
    house.work()
    [sent] = house.outside.sent
    return made["secret"], dict(sent.headers), sent.body or b""


def test_the_receivers_of_the_page_take_what_is_ours_and_nothing_else(
    signed: tuple[str, dict[str, str], bytes],
) -> None:
    by_library, by_hand = ({}, {})  # type: ignore[var-annotated]
    for block, names in zip(blocks("receiving.md", "python"), (by_library, by_hand), strict=True):
        exec(block, names)  # noqa: S102 - it is our own page
    secret, headers, body = signed
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 301)}
    by_library["trusted"](secret, headers, body)
    assert by_hand["is_ours"](secret, headers, body)
    for changed in ((secret, headers, body + b" "), (secret, old, body), ("whsec_" + "A" * 44, headers, body)):
        assert not by_hand["is_ours"](*changed)
        with pytest.raises(WebhookVerificationError):
            by_library["trusted"](*changed)
