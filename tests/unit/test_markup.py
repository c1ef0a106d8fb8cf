"""Untrusted text in messages mentions no one and adds neither links nor formatting, in every kind of chat."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.notify.channels import KINDS, letter
from chalicelib.notify.markup import one_line, plain, plain_url
from chalicelib.notify.message import VARIABLES, render, render_digest
from chalicelib.task import Gist
from tests.unit.makers import channel

CHATS = ("dingtalk", "wecom", "feishu", "lark", "slack")

ATTACKS = (
    '<at user_id="all">all</at>',
    "<at id=all></at>",
    "<at email=a@example.com></at>",
    "<@all>",
    "<@U012AB3CD>",
    "<!channel>",
    "<!subteam^S1|@admins>",
    "<https://evil.example|log in>",
    "@all",
    "@13800138000",
    "@channel",
    "[log in](https://evil.example)",
    "![x](https://evil.example/pixel.png)",
    "[x]: https://evil.example",
    "https://evil.example/login",
    "HTTPS://evil.example/login",
    "www.evil.example",
    "mailto:a@evil.example",
    "**bold** *italic* ~~struck~~ ~struck~ __bold__ _italic_ `code` ```block```",
    '<font color="warning">x</font>',
    "<a href='https://evil.example'>x</a>",
    "# heading",
    "> quotation",
    "- item",
    "+ item",
    "1. item",
    "1) item",
    "===",
    "---",
    "| a | b |",
    "line\n# heading\u2028> quotation\x85- item",
    "\u202eevil\u202c\u200b",
    "&lt;!channel&gt; &#60;at id=all&#62; &commat;all",
    r"\<at id=all\>",
)

MARKUP = re.compile(
    r"""<(?!=)[/!@#a-z]|@|\]\(|[*`~\[\]|\\"]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|://|\bwww\.|mailto:|&\#?\w+;"""
    r"""|(?m:^\s*(?:[#>=+-]|\d+[.)](?:\s|$)))|[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u200b]""",
    re.IGNORECASE | re.VERBOSE,
)
"""What any of the five chat programs, or a Markdown parser, would see something in."""


def unescaped(kind: str, text: str) -> str:
    """As the chat program reads it: Slack reads its three entities as text that means nothing."""
    return re.sub(r"&(?:lt|gt|amp);", ".", text) if kind == "slack" else text


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", [it for it in VARIABLES if it != "url"])
def test_a_value_alone_in_a_line_means_nothing_to_a_chat(kind: str, attack: str, name: str) -> None:
    of = channel(kind=kind, template=f'{{"text":"${{{name}}}"}}')
    text = json.loads(render(of, {name: attack}))["text"]
    assert not MARKUP.search(unescaped(kind, text)), text


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_url_is_one_link_and_nothing_more(kind: str, attack: str) -> None:
    of = channel(kind=kind, template='{"text":"${url}"}')
    for url in (f"https://a.example/{attack}", f"https://a.example/?q={attack}", f"https://a.example/#{attack}"):
        text = json.loads(render(of, {"url": url}))["text"]
        assert text.startswith("https://a.example/")
        assert not re.search(r"""<[/!@a-z]|[@*`~\[\]|\\"()\s]|\b_|_\b""", unescaped(kind, text), re.IGNORECASE), text


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_digest_says_untrusted_text_as_text(kind: str, attack: str) -> None:
    given_gist = Gist(tasks=2, errors={attack: 2}, apps={attack: 2}, first=(attack,), opened=(f"x ({attack})",))
    body = json.loads(render_digest(channel(kind=kind), given_gist, ""))
    text = body["text"] if kind == "slack" else (body.get("text") or body["content"]).popitem()[1]
    lines = [re.split("[:：]", line, maxsplit=1)[-1].strip() for line in text.split("\n")]
    assert len(lines) == 5
    for line in lines[1:]:
        assert not re.search(r"""<[/!@a-z]|[@*`~\[\]|\\"]|://|\bwww\.|mailto:""", unescaped(kind, line), re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("orders", "orders"),
        ("order_service-v1.2 (cn)", "order_service-v1.2 (cn)"),
        ("2025-12-01 12:00:00 UTC", "2025-12-01 12:00:00 UTC"),
        ("status 503 not in 2xx", "status 503 not in 2xx"),
        ("账单 & 发票", "账单 & 发票"),
        ('<at user_id="all">', "＜at user_id=＂all＂＞"),
        ("a\r\nb", "a b"),
        ("-1", "－1"),
    ],
)
def test_people_can_still_read_it(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://partner.example/a_b/c-d.e?x=1&y=%20~#top", "https://partner.example/a_b/c-d.e?x=1&y=%20%7E#top"),
        ("http://[2001:db8::1]:8080/x[1]", "http://[2001:db8::1]:8080/x%5B1%5D"),
        ("https://a.example/@all?q=*(1)*", "https://a.example/%40all?q=%2A%281%29%2A"),
        ("https://a.example?x=&lt;at", "https://a.example?x=%26lt;at"),
        ("https://a<b.example/", "https://a＜b.example/"),
        ("no url <at>", "no url ＜at＞"),
    ],
)
def test_a_url_is_shown_so_that_it_leads_to_the_same_place(url: str, shown: str) -> None:
    assert plain_url(url) == shown


@given(st.text(max_size=60))
def test_to_write_a_text_twice_is_to_write_it_once(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("shown", [plain, plain_url, one_line])
def test_a_long_text_takes_no_longer_than_its_length(shown: Callable[[str], str]) -> None:
    for piece in ("_", "<", "1", " ", "&#", "a:", "www", "[", "https://"):
        assert shown(piece * 100_000) is not None


def test_a_program_behind_a_webhook_gets_the_values_as_they_are() -> None:
    hook = channel(kind="webhook", template='{"a":"${sourceAppName}","u":"${url}"}')
    assert json.loads(render(hook, {"sourceAppName": "<@all>\n*", "url": "https://a/@_"})) == {
        "a": "<@all>\n*",
        "u": "https://a/@_",
    }


@pytest.mark.parametrize(
    ("content_type", "written"),
    [
        ("application/x-www-form-urlencoded; charset=utf-8", "text=a%26text%3D%3Cb%3E"),
        ("application/xml", "text=a&amp;text=&lt;b&gt;"),
        ("text/html; charset=utf-8", "text=a&amp;text=&lt;b&gt;"),
        ("text/plain", "text=a&text=<b>"),
    ],
)
def test_a_value_stays_in_its_place_in_other_forms_than_json(content_type: str, written: str) -> None:
    hook = channel(kind="webhook", template="text=${sourceAppName}", content_type=content_type)
    assert render(hook, {"sourceAppName": "a&text=<b>"}) == written


def test_a_letter_has_one_line_for_each_line_of_its_template_and_one_subject_line() -> None:
    mail = channel(kind="email", url="mailto:ops@example.com", template="app: ${sourceAppName}\nurl: ${url}")
    text = render(mail, {"sourceAppName": "a\r\nBcc: x@y.z\u2028z", "url": "https://a.example/\n<b>"})
    assert text.split("\n") == ["app: a Bcc: x@y.z z", "url: https://a.example/ <b>"]
    assert letter(mail, "task a\r\nBcc: x@y.z", text).subject == "task a Bcc: x@y.z"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_the_operator_wrote_in_a_template_stays_as_it_is(kind: str) -> None:
    template = '{"text":"<!here> **${taskId}** [open](https://a.example) <at id=all></at> @all"}'
    assert render(channel(kind=kind, template=template), {"taskId": "t"}) == template.replace("${taskId}", "t")


@pytest.mark.parametrize(
    ("template", "most"),
    [
        ('{"msgtype":"text","text":{"content":"${url} ${sourceAppName} ${url}"}}', 2048),
        ('{"msgtype":"markdown","markdown":{"content":"${url} ${url}"}}', 4096),
    ],
)
def test_a_template_of_wecom_grows_to_what_it_takes_and_no_further(template: str, most: int) -> None:
    values = {"url": "https://a.example/" + "路" * 3000, "sourceAppName": "订" * 100, "callCount": "5"}
    body = json.loads(render(channel(kind="wecom", template=template), values))
    content = body[body["msgtype"]]["content"]
    assert most - 200 < len(content.encode()) <= most
    assert ("订" * 100 in content) == ("sourceAppName" in template), "the short ones are whole"
