"""The text of a notice, in the predecessor's template language."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.notify import message
from chalicelib.notify.channels import KINDS
from chalicelib.notify.message import VARIABLES, render, template_faults, values_of
from chalicelib.task import Channel, Json, Status
from tests.cases import share
from tests.unit.makers import NOON, channel, policy, request, task

EXHAUSTED = task(
    status=Status.EXHAUSTED,
    request=request(
        url="https://partner.example/callback?a=1",
        source_app="orders",
        target_app="账单",
        retry=policy(max_attempts=8),
    ),
    number=5,
    created_at=NOON,
    updated_at=NOON + 3661.5,
)

VALUES = {
    "taskId": "task-1",
    "url": "https://partner.example/callback?a=1",
    "createTime": "2025-12-01 12:00:00 UTC",
    "lastModifiedDate": "2025-12-01 13:01:01 UTC",
    "sourceAppName": "orders",
    "targetAppName": "账单",
    "callCount": "5",
    "limitCallCount": "8",
}


DEFAULT_TEMPLATE = KINDS["dingtalk"].wrap(KINDS["dingtalk"].words.alone)


def test_the_eight_variables_are_the_predecessors() -> None:
    assert values_of(EXHAUSTED) == VALUES
    assert tuple(VALUES) == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_stands_for_its_value_wherever_it_stands(name: str) -> None:
    template = f'{{"a":"${{{name}}}","b":"<${{{name}}}>"}}'
    value = VALUES[name]
    assert json.loads(render(channel(template=template), VALUES)) == {"a": value, "b": f"<{value}>"}


def test_the_default_text_is_the_predecessors_word_by_word() -> None:
    assert DEFAULT_TEMPLATE == (
        '{"msgtype":"text","text":{"content":"回调异常，taskId：${taskId}，url：${url}，发起时间：${createTime}，源服务名：'
        '${sourceAppName}，目标服务名：${targetAppName}，已达到最大重试次数：${limitCallCount}"}}'
    )


@pytest.mark.parametrize("kind", ["dingtalk", "wecom", "webhook"])
def test_a_channel_without_a_template_says_the_default_text(kind: str) -> None:
    assert json.loads(render(channel(kind=kind), VALUES)) == {
        "msgtype": "text",
        "text": {
            "content": "回调异常，taskId：task-1，url：https://partner.example/callback?a=1，"
            "发起时间：2025-12-01 12:00:00 UTC，源服务名：orders，目标服务名：账单，已达到最大重试次数：8"
        },
    }


def test_in_a_test_message_every_variable_is_the_word_for_test() -> None:
    assert message.test_values(channel()) == dict.fromkeys(VARIABLES, "测试")
    assert json.loads(render(channel(), message.test_values(channel())))["text"]["content"].count("测试") == 6


@pytest.mark.parametrize(
    ("template", "content_type", "rendered"),
    [
        ('{"a":"${callCount} ${url}"}', "application/json", '{"a":"测试 测试"}'),
        ('{"a":${callCount},"b":"${url}"}', "application/json", '{"a":0,"b":"测试"}'),
        ("a: ${callCount}, b: ${url}", "text/plain", "a: 测试, b: 测试"),
    ],
)
def test_a_test_message_is_json_when_the_channels_messages_are(template: str, content_type: str, rendered: str) -> None:
    of = channel(template=template, content_type=content_type)
    assert render(of, message.test_values(of)) == rendered


def test_the_default_text_is_json_whatever_type_the_channel_gives_it() -> None:
    plain = channel(kind="webhook", template="", content_type="text/plain; charset=utf-8")
    assert '源服务名："orders"' in json.loads(render(plain, {**VALUES, "sourceAppName": '"orders"'}))["text"]["content"]


@pytest.mark.parametrize(
    "value", ['say "so"', "line\nbreak", "back\\slash", "\t\r\x00\x1b", "</script>", "${url}", "上海 😀", ""]
)
def test_a_value_cannot_break_the_json_around_it(value: str) -> None:
    rendered = render(channel(kind="webhook", template='{"a":"<${url}>"}'), {"url": value})
    assert json.loads(rendered) == {"a": f"<{value}>"}


@given(st.fixed_dictionaries({name: st.text(max_size=20) for name in VARIABLES}))
def test_the_default_text_is_json_whatever_the_values(values: dict[str, str]) -> None:
    content = json.loads(render(channel(kind="webhook"), values))["text"]["content"]
    assert content == (
        f"回调异常，taskId：{values['taskId']}，url：{values['url']}，发起时间：{values['createTime']}，"
        f"源服务名：{values['sourceAppName']}，目标服务名：{values['targetAppName']}，"
        f"已达到最大重试次数：{values['limitCallCount']}"
    )


def test_what_is_not_json_is_not_escaped() -> None:
    plain = channel(kind="webhook", template="url: ${url}", content_type="text/plain; charset=utf-8")
    assert render(plain, {"url": 'a"b\\c\nd'}) == 'url: a"b\\c\nd'


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/a+json"])
def test_a_type_with_json_in_it_is_escaped(content_type: str) -> None:
    assert render(channel(kind="webhook", template='"${url}"', content_type=content_type), {"url": '"'}) == r'"\""'


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("${taskId}", "task-1"),
        ("${unknown}", ""),
        ("${}", ""),
        ("$taskId", "$taskId"),
        ("{taskId}", "{taskId}"),
        ("$${taskId}", "$task-1"),
        ("${ taskId }", ""),
        ("${taskId", "${taskId"),
        ("${task${url}Id}", "${taskhttps://partner.example/callback?a=1Id}"),
    ],
)
def test_a_variable_without_a_value_becomes_nothing_and_all_else_stays(template: str, rendered: str) -> None:
    assert render(channel(template=template, content_type="text/plain"), VALUES) == rendered


# ── what is wrong with a template ────────────────────────────────────────────────────────────────


def faults(of: Channel) -> list[str]:
    return list(template_faults(of.template, of.content_type))


@pytest.mark.parametrize("template", [DEFAULT_TEMPLATE, "{}", '"${url}"', '{"${taskId}": [1, "${url} ${url}"]}'])
def test_a_sound_template_has_no_faults(template: str) -> None:
    assert faults(channel(template=template)) == []


def test_unknown_variables_are_named_once_each() -> None:
    found = faults(channel(template='{"a":"${taskID} ${x} ${x} ${url}"}'))
    assert [fault.partition(" ")[0] for fault in found] == ["${taskID}", "${x}"]
    assert found[0].endswith(", ".join(VARIABLES))


@pytest.mark.parametrize("template", ["", "url: ${url}", '{"a":"${url}', "{'a': 1}", '{"a":1,}', "[" * 20_000])
def test_a_json_template_that_is_no_json_is_refused(template: str) -> None:
    [fault] = faults(channel(template=template))
    assert fault.startswith("is not JSON once its variables are filled in: ")


def test_any_text_is_a_template_of_plain_text() -> None:
    assert faults(channel(template='{"a": ${url}', content_type="text/plain")) == []


@pytest.mark.parametrize(
    "template", ['{"n":${callCount}}', "[${callCount}, -${limitCallCount}, 1.${callCount}e${callCount}]"]
)
def test_a_count_may_stand_for_a_number(template: str) -> None:
    assert faults(channel(template=template)) == []


@pytest.mark.parametrize(
    "template",
    [
        '{"a":${url}}',
        "[${sourceAppName}]",
        '{"a":1${taskId}}',
        '{"a":${callCount}${callCount}}',
        '{"a":"x"${url}}',
        "{${url}:1}",
        r'{"a":"\${url}"}',
        r'{"a":"\u00${url}"}',
        r'{"a":"\u00${url}${url}"}',
        '{"a":NaN}',
        '{"a":-Infinity}',
    ],
)
def test_a_template_that_a_value_could_break_is_refused(template: str) -> None:
    [fault] = faults(channel(template=template))
    assert fault.startswith("is not JSON once its variables are filled in: ")


# ── any template, any values ─────────────────────────────────────────────────────────────────────

TEXTS = st.text(max_size=6) | st.sampled_from(
    ['"', "\\", '","x":"', "},{", "1,2", "[1]", "\n", "${url}", "\u2028", "null"]
)
COUNTS = st.integers(0, 100).map(str)
VALUES_OF_ALL = st.fixed_dictionaries({name: COUNTS if name.endswith("Count") else TEXTS for name in VARIABLES})
REFERENCES = st.sampled_from(VARIABLES).map("${{{}}}".format)
WRITTEN = st.lists(TEXTS.map(lambda text: text.replace("$", "")) | REFERENCES, max_size=4).map("".join)
DOCUMENTS = st.recursive(
    WRITTEN | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WRITTEN, inner, max_size=3),
    max_leaves=6,
)


def filled(document: Json, values: dict[str, str]) -> Json:
    """The document with the values in its texts, as pairs where it has members: two names may have become one."""
    if isinstance(document, dict):
        return [(filled(name, values), filled(member, values)) for name, member in document.items()]
    if isinstance(document, list):
        return [filled(item, values) for item in document]
    if not isinstance(document, str):
        return document
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], document)


@given(DOCUMENTS, VALUES_OF_ALL, st.booleans())
def test_each_value_stands_where_its_variable_stood_and_nowhere_else(
    document: Json, values: dict[str, str], ascii_only: bool
) -> None:
    template = json.dumps(document, ensure_ascii=ascii_only)
    assert list(template_faults(template, "application/json")) == []
    rendered = render(channel(kind="webhook", template=template), values)
    assert json.loads(rendered, object_pairs_hook=list) == filled(document, values)


PIECES = st.one_of(
    st.sampled_from(
        ['"', "{", "}", "[", "]", ":", ",", "\\", "u00", "1", "-", ".", "e", "true", "null", "NaN", " ", "$", "a"]
    ),
    REFERENCES,
)


@st.composite
def broken_templates(draw: st.DrawFn) -> str:
    """A template that is JSON, or nearly: with things put in anywhere, and things left out."""
    template = json.dumps(draw(DOCUMENTS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(template)))
        template = template[:start] + draw(PIECES | st.just("")) + template[start + draw(st.integers(0, 2)) :]
    return template


def no_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON")


def skeleton(text: str) -> Json:
    """What is left of JSON without its names, texts and numbers. Raises ValueError."""
    return bones(json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs), parse_constant=no_constant))


def bones(value: Json) -> Json:
    if isinstance(value, tuple):
        return "object", [bones(member) for _, member in value[1]]
    if isinstance(value, list):
        return [bones(item) for item in value]
    return value if isinstance(value, bool) or value is None else "text" if isinstance(value, str) else "number"


@share(5)
@given(broken_templates() | st.lists(PIECES, max_size=8).map("".join), VALUES_OF_ALL, VALUES_OF_ALL)
def test_what_becomes_of_a_template_that_is_taken_is_json_of_one_shape_whatever_the_values(
    template: str, values: dict[str, str], others: dict[str, str]
) -> None:
    found = list(template_faults(template, "application/json"))
    assert all(found)
    if not found and template:
        for kind in ("dingtalk", "slack", "webhook"):
            of = channel(kind=kind, template=template)
            assert skeleton(render(of, values)) == skeleton(render(of, others))


@given(st.text(max_size=20) | st.lists(PIECES, max_size=8).map("".join), VALUES_OF_ALL)
def test_any_text_is_a_template_of_text_and_holds_the_values_as_they_are(template: str, values: dict[str, str]) -> None:
    plain = channel(kind="webhook", template=template, content_type="text/plain")
    if template and not faults(plain):
        assert render(plain, values) == re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], template)
