"""The text of a notice: the predecessor's template language. Pure.

A template is the whole body of the request to the channel, with `${name}` where a value goes. In a JSON
template a value is escaped as the inside of a JSON string, so that no URL can break the message.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import quote_plus

from chalicelib.notify.channels import KINDS, Kind
from chalicelib.notify.texts import cut, digest
from chalicelib.shape import escaped
from chalicelib.task import Channel, Gist, Task, evolve

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
    """The body of a notice about one task. A variable without a value becomes nothing.

    Values are untrusted, and written so that the channel does nothing but show them; the template is the operator's.
    """
    kind, encode = KINDS[channel.kind], _encoder(channel)
    template = channel.template or kind.wrap(kind.words.alone)
    shown = {name: escaped((kind.plain_url if name == "url" else kind.plain)(value)) for name, value in values.items()}
    most = kind.most_of_template(template) if channel.template else kind.most
    given = shown if most is None else fitting(template, shown, most)
    return _VARIABLE.sub(lambda match: encode(kind.escape(given.get(match[1], ""))), template)


def _encoder(channel: Channel) -> Callable[[str], str]:
    """What keeps a value within its place in a body of the channel's type: JSON, a form, XML or HTML, or plain text."""
    if _is_json(channel):
        return lambda text: json.dumps(text, ensure_ascii=False)[1:-1]
    written_as = "" if KINDS[channel.kind].by_mail else channel.content_type.lower()
    if "form-urlencoded" in written_as:
        return quote_plus
    return html.escape if "xml" in written_as or "html" in written_as else lambda text: text


def fitting(template: str, values: Mapping[str, str], most: int) -> Mapping[str, str]:
    """The values, the longest cut, so that the filled template has `most` bytes at most (more if it has without)."""
    uses = Counter(name for name in _VARIABLE.findall(template) if name in values and name not in COUNTS)
    room = most - len(_VARIABLE.sub("", template).encode())
    sizes = {name: len(values[name].encode()) for name in uses}
    fitted = dict(values)
    for name in sorted(uses, key=sizes.__getitem__):
        share = max(room // uses.total(), MIN_SHARE_BYTES)
        fitted[name] = cut(values[name], share)
        room -= min(sizes[name], share) * uses.pop(name)
    return fitted


MIN_SHARE_BYTES = 3
"""Bytes that are left of any value: those of an ellipsis."""


def render_digest(channel: Channel, gist: Gist, link: str) -> str:
    """The body of a notice about many events, in the kind's own form and words."""
    kind = KINDS[channel.kind]
    return kind.wrap(kind.escape(digest(kind.words, _shown(kind, gist), kind.plain_url(link), kind.most)))


def _shown(kind: Kind, gist: Gist) -> Gist:
    """What a digest says, each text written so that the channel does nothing but show it."""
    return evolve(
        gist,
        targets=_recounted(gist.targets, kind.plain_url),
        errors=_recounted(gist.errors, kind.plain),
        apps=_recounted(gist.apps, kind.plain),
        first=tuple(map(kind.plain, gist.first)),
        opened=tuple(_change(kind, it) for it in gist.opened),
        closed=tuple(_change(kind, it) for it in gist.closed),
    )


def _recounted(counts: Mapping[str, int], shown: Callable[[str], str]) -> Mapping[str, int]:
    """The counts by what is shown of each name, of which two may look the same."""
    found: Counter[str] = Counter()
    for name, count in counts.items():
        found[shown(name)] += count
    return found


def _change(kind: Kind, said: str) -> str:
    """A target, and why its breaker has changed, in brackets."""
    target, space, because = said.partition(" ")
    return f"{kind.plain_url(target)}{space}{kind.plain(because)}"


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
