"""What the server says, in Chinese: every sentence is known, none is taken for another, no page is left in English."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from playwright.sync_api import Locator, expect

from chalicelib import api, errors
from chalicelib.task import MOST_OF_ERROR, Held, Right, Status
from tests.console.conftest import Office, sitting
from tests.console.desk import Desk
from tests.console.hostile import answering
from tests.console.sentences import PRODUCT, sentences
from tests.local.conftest import ROOT, Run

SAID: Mapping[str, str] = json.loads((ROOT / "console" / "said" / "zh.json").read_text())
LOCALES = {it.stem: json.loads(it.read_text()) for it in (ROOT / "console" / "locales").glob("*.json")}
GAP = re.compile(r"\{(\w+)\}")
TEMPLATES = {GAP.sub("{}", english): english for english in SAID}

# ── every sentence is there, and as it is said today ─────────────────────────────────────────────

SYSTEM = {
    os.strerror(it)
    for it in (
        errno.EACCES,
        errno.EADDRNOTAVAIL,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EMFILE,
        errno.ENETUNREACH,
    )
}
"""What the system says when a connection fails."""

RESOLVER = {
    "Name or service not known",
    "No address associated with hostname",
    "Non-recoverable failure in name resolution",
    "Temporary failure in name resolution",
    "nodename nor servname provided, or not known",
}

OPENSSL = {
    "Hostname mismatch, certificate is not valid for '{}'.",
    "IP address mismatch, certificate is not valid for '{}'.",
    "certificate has expired",
    "certificate is not yet valid",
    "certificate revoked",
    "self-signed certificate",
    "self-signed certificate in certificate chain",
    "unable to get issuer certificate",
    "unable to get local issuer certificate",
    "unable to verify the first certificate",
}

WORDS = {*Status, *Held, *Right, "none", "hour", "day", ", ", "{} s"}
"""What stands for a value inside a sentence."""

CUT = {
    "{} is {}",
    "body is not JSON, so {}",
    "body is nested too deep, so {}",
    "status {} not in {}; it redirects to {}",
}
"""Beginnings of reasons: what tasks are grouped by has 60 characters at most."""

COMPOSED = {"{}: {}": "status {} not in 2xx: {}"}
"""Sentences that end in a text of their own kind, and with what they begin."""


def test_every_sentence_of_the_server_can_be_told_in_chinese() -> None:
    said = sentences()
    missing = {text: where for text, where in said.items() if COMPOSED.get(text, text) not in TEMPLATES}
    assert missing == {}


def test_none_is_kept_that_is_said_no_more() -> None:
    known = {*sentences(), *SYSTEM, *RESOLVER, *OPENSSL, *WORDS, *CUT, *COMPOSED.values()}
    assert set(TEMPLATES) - known == set()
    assert {it for it in CUT if not any(whole.startswith(it) and whole != it for whole in sentences())} == set()


def test_each_translation_has_the_gaps_of_its_sentence() -> None:
    assert list(SAID) == sorted(SAID)
    assert len(TEMPLATES) == len(SAID)
    assert {it for it in SAID if sorted(GAP.findall(it)) != sorted(GAP.findall(SAID[it]))} == set()


def test_every_problem_and_every_action_has_words_in_both_languages() -> None:
    problems = {f"problem.{it.code}" for it in errors.kinds_of(errors.Refusal)}
    refused = {it.name.replace("_", "-") for it in api.ROUTES.values() if it.right in api.ACTING and it.method != "GET"}
    done = set(
        re.findall(r'entry\(world, [^"]{1,60} "([\w-]+)"', "\n".join(it.read_text() for it in PRODUCT.rglob("*.py")))
    )
    assert {"cancel", "login", "logout", "import-tasks"} <= refused | done | {"login"}
    wanted = problems | {f"does.{action}" for action in refused | done | {"login"}}
    assert {name: wanted - set(words) for name, words in LOCALES.items()} == {"en": set(), "zh": set()}
    assert {it for it in LOCALES["zh"] if it.startswith("does.")} - wanted == set()


# ── and none is taken for another ────────────────────────────────────────────────────────────────

VALUES = {
    "app": "orders",
    "code": "errcode",
    "column": "5",
    "cut": '"some te',
    "error": "ConnectionResetError",
    "found": '"a, not \\"b"',
    "has": "7",
    "host": "billing.example",
    "id": "4f3a",
    "least": "0.01",
    "line": "2",
    "most": "1,000",
    "n": "3",
    "name": "operator:li.lei",
    "names": "url, method",
    "path": "$['a is 1, not 2'].c[-1]",
    "patterns": "2xx, !204",
    "quoted": "'a\\x'",
    "rest": ".c",
    "same": "orders",
    "status": "503",
    "text": "some text",
    "time": "5 s",
    "wanted": '{"a": ", not "}',
    "what": "something",
    "why": "something else",
    "word": "webhook",
    "words": "one, another",
}
SHOWN = {**VALUES, "time": "5 秒", "words": "one、another"}


def filled(template: str, values: Mapping[str, str]) -> str:
    return GAP.sub(lambda gap: values[gap[1]], template)


PLAIN = [filled(english, VALUES) for english in SAID]

HOSTILE: Mapping[str, Callable[[str], str]] = {
    "text": lambda said: said,
    "cut": lambda said: json.dumps(said)[:-1],
    "found": json.dumps,
    "wanted": lambda said: json.dumps({"x": said}),
}
"""How a stranger's words stand in each gap that may hold any."""


def lies() -> Iterator[tuple[str, str]]:
    """Each sentence that quotes a stranger who says what the server could say, and how it must be told."""
    for english, chinese in SAID.items():
        for gap in HOSTILE.keys() & set(GAP.findall(english)):
            for said in PLAIN:
                value = HOSTILE[gap](said)
                yield filled(english, {**VALUES, gap: value}), filled(chinese, {**SHOWN, gap: value})


def told(desk: Desk, texts: Sequence[str]) -> list[str]:
    """The texts as the console tells them."""
    script = "async (texts) => { const { told } = await import('./said.js'); return texts.map(told); }"
    return list(desk.page.evaluate(script, texts))


@pytest.fixture
def zh(office: Office, run: Run, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk whose browser asks for Chinese."""
    with sitting(office, run, request.node.name, locale="zh-CN") as desk:
        yield desk


def test_each_sentence_is_told_with_its_values(zh: Desk) -> None:
    zh.open()
    assert told(zh, PLAIN) == [filled(chinese, SHOWN) for chinese in SAID.values()]


def test_no_words_of_a_stranger_make_a_sentence_pass_for_another(zh: Desk) -> None:
    zh.open()
    pairs = list(lies())
    assert len(pairs) > 1000
    got = told(zh, [said for said, _ in pairs])
    assert [it for it in zip(pairs, got, strict=True) if it[0][1] != it[1]] == []


LONG = '"' + "x, not 0 " * 13 + "xx"
FOREIGN = {
    f'$.code is {LONG}…, not "ok"': f'$.code 的值为 {LONG}…，应为 "ok"',
    f'$.code is "{"a" * 45}'[:MOST_OF_ERROR]: f'$.code 的值为 "{"a" * 45}',
    "partner.example took no connection: Connection refused.": "无法连接 partner.example：连接被拒绝",
    "partner.example took no connection: Host is down.": "无法连接 partner.example：Host is down",
    "10.0.0.1 leads to an address that is not allowed: a private network, RFC 1918.": (
        "10.0.0.1 指向不允许访问的地址：私有网络，RFC 1918"
    ),
    "This needs the right to admin; operator:li has operate, read.": "需要“管理”权限；operator:li 的权限：操作、查看。",
    'body does not contain "{host} {n} $& $1"': '响应体不包含 "{host} {n} $& $1"',
    'body does not contain "two\nlines"': '响应体不包含 "two\nlines"',
    "The moon is full.": "The moon is full.",
    "status 503 not in 2xx, says the moon": "status 503 not in 2xx, says the moon",
    "": "",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_a_sentence_is_told_or_left_as_it_is(zh: Desk, text: str) -> None:
    zh.open()
    assert told(zh, [text]) == [FOREIGN[text]]


def test_in_english_nothing_is_told_otherwise(desk: Desk) -> None:
    desk.open()
    assert told(desk, PLAIN) == PLAIN


# ── on the pages ─────────────────────────────────────────────────────────────────────────────────


def english(where: Locator) -> list[str]:
    """What is marked as English there, beside the names of languages."""
    return [it for it in where.locator("[lang=en]").all_inner_texts() if it != "English"]


def test_a_task_that_fails_says_so_in_chinese(zh: Desk) -> None:
    task_id = zh.retrying(expect={"status": ["2xx"], "contains": "success"})
    zh.open(f"tasks/{task_id}")
    expect(zh.page.locator(".standing .lead")).to_contain_text(re.compile(r"失败（耗时 [\d.]+ 毫?秒）："))
    expect(zh.page.locator(".standing .lead")).to_contain_text("状态码 503 不在 2xx 之列。")
    expect(zh.page.locator(".timeline")).to_contain_text("状态码 503 不在 2xx 之列")
    assert english(zh.page.locator("body")) == []
    zh.open_list()
    expect(zh.row(task_id)).to_contain_text("状态码 503 不在 2xx 之列")
    assert zh.row(task_id).locator(".reason").get_attribute("title") == "状态码 503 不在 2xx 之列"


def test_an_exhausted_task_says_why_in_chinese(zh: Desk) -> None:
    zh.open(f"tasks/{zh.exhausted('/ok', expect={'contains': 'yes'})}")
    expect(zh.page.locator(".standing .lead")).to_have_text(
        re.compile('仅有的一次调用机会已用完。最后一次：响应体不包含 "yes"。没有匹配的通知渠道')
    )
    assert english(zh.page.locator("body")) == []


def test_a_receiver_that_nobody_reaches_is_told_of_in_chinese(zh: Desk) -> None:
    task_id = zh.submit(url="http://127.0.0.1:1/", retry={"max_attempts": 1})
    zh.run.until(task_id, "exhausted")
    zh.open(f"tasks/{task_id}")
    expect(zh.page.locator(".standing .lead")).to_contain_text("最后一次：无法连接 127.0.0.1：连接被拒绝。")
    assert english(zh.page.locator("body")) == []


def test_in_english_a_sentence_ends_with_one_full_stop(desk: Desk) -> None:
    task_id = desk.submit(url="http://127.0.0.1:1/", retry={"max_attempts": 1})
    desk.run.until(task_id, "exhausted")
    desk.open(f"tasks/{task_id}")
    expect(desk.page.locator(".standing .lead")).to_contain_text(
        "The last one: 127.0.0.1 took no connection: Connection refused. Nobody was told"
    )


def test_what_a_receiver_says_stays_what_it_is(zh: Desk) -> None:
    with answering() as receiver:
        task_id = zh.submit(
            url=f"{receiver}/number", expect={"status": ["500"], "json": {"$.id": "x"}}, retry={"max_attempts": 1}
        )
        zh.run.until(task_id, "exhausted")
    zh.open(f"tasks/{task_id}")
    expect(zh.page.locator(".timeline")).to_contain_text('$.id 的值为 12345678901234567890，应为 "x"')


def test_a_refused_action_says_why_in_chinese(zh: Desk) -> None:
    task_id = zh.retrying()
    zh.open(f"tasks/{task_id}")
    zh.button("取消任务").wait_for()
    zh.page.route("**/v1/tasks/*", lambda route: route.abort() if route.request.method == "GET" else route.continue_())
    zh.api("POST", f"/v1/tasks/{task_id}/cancel")
    zh.press("取消任务")
    refusal = zh.page.locator(".actions").get_by_role("alert")
    expect(refusal).to_contain_text("任务状态为“已取消”，只能变为：")
    assert english(refusal) == []


def test_each_fault_of_a_form_is_told_in_chinese(zh: Desk) -> None:
    zh.open("submit")
    zh.page.locator("[name=url]").fill("ftp://partner.example/")
    zh.press("提交")
    expect(zh.page.locator(".fault")).to_have_text("应以 http:// 或 https:// 开头")
    zh.page.locator("[name=status]").fill("200,moon")
    zh.press("提交")
    expect(zh.page.locator(".refusal li").last).to_contain_text('"moon" 不是状态码模式；可写 200、2xx')
    assert english(zh.page.locator("main")) == []


def test_the_failures_are_told_in_chinese(zh: Desk) -> None:
    zh.exhausted()
    zh.exhausted("/ok", expect={"contains": "yes"})
    zh.open("failures", source_app=zh.app)
    for told_as in ("状态码 503 不在 2xx 之列", '响应体不包含 "yes"'):
        expect(zh.page.locator("main")).to_contain_text(told_as)
    assert english(zh.page.locator("body")) == []


def test_the_settings_are_explained_in_chinese(zh: Desk) -> None:
    zh.open("settings")
    expect(zh.row("KKBIDA_READ_LIMIT")).to_contain_text("读取响应的字节上限；超过则视为失败。")
    assert english(zh.page.locator("body")) == []


def test_a_channel_says_in_chinese_why_it_did_not_take_the_test(zh: Desk) -> None:
    made = zh.api("POST", "/v1/channels", {"kind": "slack", "url": f"{zh.receiver}/status/500", "memo": zh.app})
    try:
        zh.open("channels")
        card = zh.page.locator(".card").filter(has_text=zh.app)
        zh.press("测试", card)
        expect(card.locator(".result")).to_contain_text("通知未被接收：")
        expect(card.locator(".result")).to_contain_text("状态码 500 不在 2xx 之列：")
        assert english(card) == []
    finally:
        zh.api("DELETE", f"/v1/channels/{made['channel_id']}")


def test_what_nobody_has_translated_is_marked_as_english(zh: Desk) -> None:
    zh.page.route("**/v1/settings", lambda route: route.fulfill(json={"settings": [SETTING]}))
    zh.open("settings")
    expect(zh.row("KKBIDA_MOON")).to_contain_text("Whether the moon is full.")
    assert english(zh.page.locator("body")) == ["Whether the moon is full."]


SETTING = {"variable": "KKBIDA_MOON", "value": "0", "default": "0", "help": "Whether the moon is full."}


def test_the_audit_trail_is_in_chinese(zh: Desk) -> None:
    task_id = zh.retrying()
    zh.api("POST", f"/v1/tasks/{task_id}/cancel")
    zh.open("audit", subject=task_id)
    expect(zh.row(task_id)).to_contain_text("取消任务")
    assert english(zh.page.locator("body")) == []


def test_several_things_stand_apart_in_chinese(zh: Desk) -> None:
    zh.open("callers")
    expect(zh.page.get_by_text("提交、查看、重新发起").first).to_be_visible()
