"""The text of a notice: the predecessor's template language. Pure.

A template is the whole body of the request to the channel, with `${name}` where a value goes. In a JSON
template a value is escaped as the inside of a JSON string, so that no URL can break the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NoReturn

from chalicelib.notify.channels import KINDS
from chalicelib.notify.texts import cut, digest
from chalicelib.task import Channel, Gist, Task

VARIABLES = (
    "taskId", "url", "createTime", "lastModifiedDate", "sourceAppName", "targetAppName", "callCount",
    "limitCallCount",
)  # fmt: skip
"""The predecessor's eight."""

COUNTS = frozenset({"callCount", "limitCallCount"})
"""Those that are numbers, and may stand for one in JSON. The others are text, and stand within one."""

TEST_VALUE = "测试"
"""What every variable becomes in a test message."""

_VARIABLE = re.compile(r"\$\{([^{}$]*)\}")


def values_of(task: Task) -> Mapping[str, str]:
    """The eight variables of an exhausted task."""
    return {
        "taskId": task.task_id,
        "url": task.request.url,
        "createTime": _time(task.created_at),
        "lastModifiedDate": _time(task.updated_at),
        "sourceAppName": task.request.source_app,
        "targetAppName": task.request.target_app,
        "callCount": str(task.number),
        "limitCallCount": str(task.request.retry.max_attempts),
    }


def test_values(channel: Channel) -> Mapping[str, str]:
    """The eight variables of a test message. Counts that stand for numbers in JSON are 0."""
    words = dict.fromkeys(VARIABLES, TEST_VALUE)
    stands_for_numbers = _is_json(channel) and any(_json_faults(render(channel, words)))
    return {**words, **dict.fromkeys(COUNTS, "0")} if stands_for_numbers else words


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_json(channel: Channel) -> bool:
    """Whether a channel's messages are JSON: the default text of all but e-mail always is."""
    return not KINDS[channel.kind].by_mail and (not channel.template or _says_json(channel.content_type))


def _says_json(content_type: str) -> bool:
    return "json" in content_type.lower()


def render(channel: Channel, values: Mapping[str, str]) -> str:
    """The body of a notice about one task. A variable without a value becomes nothing."""
    kind, is_json = KINDS[channel.kind], _is_json(channel)
    given = values if channel.template else _fitting(values, kind.most)

    def value(match: re.Match[str]) -> str:
        text = kind.escape(given.get(match[1], ""))
        return json.dumps(text, ensure_ascii=False)[1:-1] if is_json else text

    return _VARIABLE.sub(value, channel.template or kind.wrap(kind.words.alone))


def _fitting(values: Mapping[str, str], most: int) -> Mapping[str, str]:
    """The values, the long ones cut, so that the kind's own text stays within its bytes."""
    return {name: cut(value, most // 2 if name == "url" else most // 10) for name, value in values.items()}


def render_digest(channel: Channel, gist: Gist, link: str) -> str:
    """The body of a notice about many events, in the kind's own form and words."""
    kind = KINDS[channel.kind]
    return kind.wrap(kind.escape(digest(kind.words, gist, link, kind.most)))


def subject_of(gist: Gist) -> str:
    """The subject of a letter, in one short line."""
    if gist.values:
        return f"kkbida: task {gist.values['taskId']} could not be delivered"
    if gist.tasks:
        return f"kkbida: {gist.tasks} tasks could not be delivered"
    return "kkbida: the breaker of a target has changed"


def template_faults(template: str, content_type: str) -> Iterator[str]:
    """What is wrong with a template: unknown variables, or JSON that is none or that some value could break."""
    for name in dict.fromkeys(_VARIABLE.findall(template)):
        if name not in VARIABLES:
            yield f"${{{name}}} is unknown; known are {', '.join(VARIABLES)}"
    if _says_json(content_type):
        filled_in = _VARIABLE.sub(lambda match: "0" if match[1] in COUNTS else _ONLY_IN_TEXT, template)
        for fault in _json_faults(filled_in):
            yield f"is not JSON once its variables are filled in: {fault}"


_ONLY_IN_TEXT = "z"
"""In JSON it stands nowhere but in a text, and in no escape there: where it may stand, any escaped text may."""


def _json_faults(text: str) -> Iterator[str]:
    try:
        json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        yield str(error)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
