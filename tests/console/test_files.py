"""The files of the console: what they weigh, that they agree with each other, and how they are served."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra import resources
from infra.local import server
from tests.local.conftest import ROOT, Run

CONSOLE = ROOT / "console"
SERVED = sorted(
    it for it in CONSOLE.rglob("*") if it.is_file() and it.suffix in (".html", ".css", ".js", ".json", ".svg")
)
MODULES = [it for it in SERVED if it.suffix == ".js" and "vendor" not in it.parts]
LOCALES = {it.stem: json.loads(it.read_text()) for it in (CONSOLE / "locales").glob("*.json")}
CODE = "\n".join(it.read_text() for it in MODULES)

MOST = 120_000
"""Bytes, gzipped, of everything that is served."""


def test_all_of_it_is_light() -> None:
    weights = {str(it.relative_to(CONSOLE)): len(gzip.compress(it.read_bytes(), mtime=0)) for it in SERVED}
    assert sum(weights.values()) < MOST, weights


PARSE = """
const {readFileSync} = require("fs"), {SourceTextModule} = require("vm");
for (const path of process.argv.slice(1)) new SourceTextModule(readFileSync(path, "utf8"), {identifier: path});
"""


def test_each_module_is_one() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node; the browser's tests would see it too")
    subprocess.run([node, "--no-warnings", "--experimental-vm-modules", "-e", PARSE, "--", *MODULES], check=True)


@pytest.mark.parametrize("folder", [CONSOLE / "vendor", ROOT / "tests" / "console" / "vendor"])
def test_the_code_of_others_is_what_they_published(folder: Path) -> None:
    told = dict(
        re.findall(r"^\| `([\w.-]+)` \|.*`([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    found = {it.name: hashlib.sha256(it.read_bytes()).hexdigest() for it in folder.glob("*.js")}
    assert found
    assert told == found


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def test_both_languages_have_the_same_keys_with_the_same_gaps_to_fill() -> None:
    english, chinese = LOCALES["en"], LOCALES["zh"]
    assert list(english) == list(chinese) == sorted(english)
    gaps = re.compile(r"\{\w+\}")
    differ = [key for key in english if sorted(gaps.findall(english[key])) != sorted(gaps.findall(chinese[key]))]
    assert differ == []


def test_the_words_in_use_are_there_and_none_is_there_for_nothing() -> None:
    asked = set(re.findall(r'"([a-z_]+(?:\.[\w-]+)*)"', CODE))
    patterns = [
        re.escape(it).replace(r"\$\{\}", r".+")
        for it in re.findall(r"`([\w.${}-]*)`", re.sub(r"\$\{[^`{}]*\}", "${}", CODE))
    ]
    telling = [it for it in patterns if len(it.replace(".+", "").replace("\\", "")) > len(".it")]
    made = re.compile("|".join(f"({it})" for it in telling))
    called = set(re.findall(r'\bt\("([^"]+)"', CODE)) | {f"{it}.other" for it in re.findall(r'\bmany\("([^"]+)"', CODE)}
    assert called - set(LOCALES["en"]) == set()
    plain = {re.sub(r"\.(one|other)$", "", key) for key in LOCALES["en"]}
    assert {key for key in plain if key not in asked and not made.fullmatch(key)} == set()


def test_every_word_of_the_api_has_one_here() -> None:
    """Each status, verdict, kind, reason to be held and kind of channel that the reference has."""
    from chalicelib.errors import Kind  # noqa: PLC0415 - of the product, which this folder else knows by HTTP only
    from chalicelib.notify.channels import KINDS  # noqa: PLC0415 - as above
    from chalicelib.task import Event, Held, NoticeStatus, ResendStatus, Right, Role, Status, Verdict  # noqa: PLC0415

    words = {
        "status": Status,
        "verdict": Verdict,
        "kind": Kind,
        "held": Held,
        "notice": NoticeStatus,
        "resend": ResendStatus,
        "event": Event,
        "role": Role,
        "channel": KINDS,
    }
    wanted = {f"{name}.{it}" for name, several in words.items() for it in several}
    assert wanted - set(LOCALES["en"]) == set()
    assert {str(right) for right in Right} == set(
        re.findall(r'"(\w+)"', re.findall(r"@typedef {(.*)} Right ", CODE)[0])
    )


# ── nothing runs that is not ours ────────────────────────────────────────────────────────────────


def test_no_text_becomes_markup_or_code_and_nothing_comes_from_elsewhere() -> None:
    page = (CONSOLE / "index.html").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", CODE)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=", page)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page + CODE)
    assert "style=" not in CODE


def test_every_file_is_served_with_its_type_and_a_strict_policy(run: Run) -> None:
    for file in SERVED:
        reply = run.api("GET", f"/{file.relative_to(CONSOLE)}")
        assert reply.status == 200
        assert reply.headers["Content-Type"].partition(";")[0] in (
            "text/html",
            "text/css",
            "text/javascript",
            "application/json",
            "image/svg+xml",
        )
        policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
        assert (
            policy["default-src"]
            == policy["frame-ancestors"]
            == policy["base-uri"]
            == policy["form-action"]
            == "'none'"
        )
        assert {policy[it] for it in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        others = (
            "X-Content-Type-Options",
            "Referrer-Policy",
            "Cross-Origin-Opener-Policy",
            "Cross-Origin-Resource-Policy",
        )
        assert [reply.headers[it] for it in others] == ["nosniff", "no-referrer", "same-origin", "same-origin"]


def test_on_aws_the_files_come_with_the_same_headers() -> None:
    declared = resources.template()["Resources"]["ConsoleHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    security = declared["SecurityHeadersConfig"]
    there = {
        "Content-Security-Policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "X-Content-Type-Options": "nosniff" if "ContentTypeOptions" in security else "",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        **{it["Header"]: it["Value"] for it in declared["CustomHeadersConfig"]["Items"]},
    }
    assert there == {name: value for name, value in server.STATIC_HEADERS if name != "Cache-Control"}


def test_a_file_that_the_browser_has_is_not_sent_again(run: Run) -> None:
    first = run.api("GET", "/style.css")
    again = run.api("GET", "/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert run.api("GET", "/style.css", headers={"If-None-Match": '"another"'}).status == 200
