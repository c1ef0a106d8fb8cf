"""What a notice about many events says: in each language, in each robot's form, within its bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.notify.channels import KINDS
from chalicelib.notify.gather import FEW, gist
from chalicelib.notify.message import render, render_digest, subject_of
from chalicelib.notify.message import test_values as sample_values
from chalicelib.notify.texts import cut
from chalicelib.task import Event, Gist, Mention
from tests.unit.makers import NOON, channel

LINK = "https://console.example/#/tasks?status=exhausted"
MOST = {"dingtalk": 2048, "wecom": 2048, "feishu": 20_000, "lark": 20_000, "slack": 40_000, "webhook": 2048}
"""Bytes of a text (Feishu: of a body; Slack: characters) that each takes, as its vendor says."""

OUTAGE = Gist(
    tasks=9999,
    targets={"https://partner.example:443": 9000, "https://other.example:443": 999},
    errors={"status 503 not in 2xx": 9990, "read_timeout": 9},
    apps={"orders": 9998, "订单": 1},
    first=("task-1", "task-2"),
    opened=("https://partner.example:443 (9 of 10 attempts failed)",),
)


def said(kind: str, body: str) -> str:
    """The text that a person reads."""
    if kind == "email":
        return body
    message = json.loads(body)
    if kind == "slack":
        return str(message["text"])
    return str(message["content"]["text"] if kind in ("feishu", "lark") else message["text"]["content"])


def test_a_digest_says_how_many_where_why_whose_and_which_first() -> None:
    assert said("dingtalk", render_digest(channel(), OUTAGE, LINK)).split("\n") == [
        "回调异常汇总：9999 个任务未能送达，不再重试",
        "回调异常，目标已熔断，暂停投递：https://partner.example:443 (9 of 10 attempts failed)",
        f"查看：{LINK}",
        "目标：https://partner.example:443 × 9000，https://other.example:443 × 999",
        "错误：status 503 not in 2xx × 9990，read_timeout × 9",
        "源服务：orders × 9998，订单 × 1",
        "任务：task-1，task-2",
    ]


def test_in_english_too_and_without_a_console_there_is_no_link() -> None:
    recovered = Gist(tasks=2, targets={"https://a.example:443": 2}, closed=("https://b.example:443",))
    assert render_digest(channel(kind="email"), recovered, "").split("\n") == [
        "kkbida: 2 tasks could not be delivered and are not tried again",
        "kkbida: a target has recovered: https://b.example:443",
        "Targets: https://a.example:443 × 2",
    ]


def test_news_of_a_target_alone_say_nothing_of_tasks() -> None:
    opened = Gist(opened=("https://a.example:443",))
    assert said("wecom", render_digest(channel(kind="wecom"), opened, "")) == (
        "回调异常，目标已熔断，暂停投递：https://a.example:443"
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "given_gist",
    [
        OUTAGE,
        Gist(tasks=2),
        Gist(opened=("https://a.example:443",)),
        Gist(closed=("https://a.example:443",)),
        Gist(opened=("https://" + "a" * 4000,), closed=("b",)),
    ],
)
def test_a_robot_that_filters_by_the_documented_keyword_takes_every_message(kind: str, given_gist: Gist) -> None:
    keyword = KINDS[kind].words.keyword
    of = channel(kind=kind)
    assert keyword == ("kkbida" if kind in ("lark", "slack", "email") else "回调异常")
    for body in (render(of, {}), render(of, sample_values(of)), render_digest(of, given_gist, LINK)):
        assert keyword in said(kind, body)


@pytest.mark.parametrize(
    ("given_gist", "subject"),
    [
        (Gist(tasks=1, values={"taskId": "task-1"}), "kkbida: task task-1 could not be delivered"),
        (OUTAGE, "kkbida: 9999 tasks could not be delivered"),
        (Gist(opened=("https://a.example:443",)), "kkbida: the breaker of a target has changed"),
    ],
)
def test_a_letter_says_in_its_subject_what_it_is_about(given_gist: Gist, subject: str) -> None:
    assert subject_of(given_gist) == subject


def test_what_means_something_to_slack_is_escaped() -> None:
    slack = channel(kind="slack")
    digest = render_digest(slack, Gist(tasks=2, errors={"<!channel> & co": 2}), "")
    assert "&lt;!channel&gt; &amp; co" in said("slack", digest)
    alone = render(slack, {"url": "https://a.example/?a=1&b=<!here>"})
    assert "https://a.example/?a=1&amp;b=&lt;!here&gt;" in said("slack", alone)
    templated = render(channel(kind="slack", template='{"text":"<${url}>"}'), {"url": "<>"})
    assert json.loads(templated) == {"text": "<&lt;&gt;>"}


TEXTS = st.text(max_size=30) | st.text(min_size=100, max_size=400) | st.just("\ud800") | st.just("<&>\\\n'" * 60)
COUNTED = st.dictionaries(TEXTS, st.integers(1, 20_000), max_size=FEW)
LISTED = st.lists(TEXTS, max_size=FEW).map(tuple)


@given(
    st.sampled_from(sorted(KINDS)),
    st.builds(
        Gist,
        tasks=st.integers(0, 20_000),
        targets=COUNTED,
        errors=COUNTED,
        apps=COUNTED,
        first=LISTED,
        opened=LISTED,
        closed=LISTED,
    ),
    TEXTS,
)
def test_whatever_a_digest_tells_of_it_is_well_formed_and_within_what_the_robot_takes(
    kind: str, given_gist: Gist, link: str
) -> None:
    body = render_digest(channel(kind=kind), given_gist, link)
    text = said(kind, body)
    if kind in MOST:
        size = len(text) if kind == "slack" else len((body if kind in ("feishu", "lark") else text).encode())
        assert size <= MOST[kind]
    if given_gist.tasks:
        assert str(given_gist.tasks) in text.split("\n")[0]


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(("url", "sourceAppName", "taskId")), TEXTS))
def test_the_text_about_one_task_is_within_what_the_robot_takes_however_long_its_url(
    kind: str, values: dict[str, str]
) -> None:
    long = {"url": "https://partner.example/" + "路" * 3000, **values}
    body = render(channel(kind=kind), long)
    if kind in MOST:
        assert len(said(kind, body).encode()) <= MOST[kind] * (4 if kind == "slack" else 1)


@given(TEXTS, st.integers(3, 100))
def test_a_text_is_cut_at_a_character_and_says_so(text: str, most: int) -> None:
    found = cut(text, most)
    assert len(found.encode()) <= most
    whole = text.encode(errors="backslashreplace").decode()
    assert found == whole or (found.endswith("…") and whole.startswith(found[:-1]))


# ── what is told of many ─────────────────────────────────────────────────────────────────────────


def mention(number: int, **changes: object) -> Mention:
    given_members = {"subject": f"task-{number}", "target": "https://a.example:443", "error": "refused"}
    return Mention(
        **{  # type: ignore[arg-type]
            "round": 1,
            "channel_id": "c",
            "channel_kind": "dingtalk",
            "notice_id": "n",
            "source_app": "orders",
            "created_at": NOON + number,
            "due_at": NOON,
            **given_members,
            **changes,
        }
    )


def test_a_gist_counts_all_and_lists_the_most_frequent_and_the_first() -> None:
    many = [mention(number, target=f"https://{number % 7}.example:443") for number in range(100)]
    found = gist(many[::-1], {})
    assert found.tasks == 100
    assert found.targets == {f"https://{number}.example:443": 15 if number < 2 else 14 for number in range(FEW)}
    assert (found.errors, found.apps) == ({"refused": 100}, {"orders": 100})
    assert found.first == tuple(f"task-{number}" for number in range(FEW))


def test_breakers_are_listed_beside_tasks_the_latest_first_and_each_target_once() -> None:
    changes = [
        mention(1, target="a", event=Event.BREAKER_OPENED),
        mention(2, target="b", event=Event.BREAKER_OPENED),
        mention(3, target="a", event=Event.BREAKER_CLOSED),
        mention(4, target="a", event=Event.BREAKER_OPENED),
    ]
    found = gist([mention(0), *changes], {})
    assert (found.tasks, found.opened, found.closed) == (1, ("a", "b"), ("a",))
