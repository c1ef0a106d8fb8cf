"""What notices say by themselves, in Chinese and in English. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalicelib.shape import escaped
from chalicelib.task import Gist

MOST_OF_ITEM = 80
"""Bytes of one target, error or app in a digest."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language. `alone` has the variables of a template; the others stand for one line of a digest each.

    `keyword` is in each message: in `alone`, and in the first line of each digest. A robot that takes only what holds a
    keyword (DingTalk, Feishu and Lark offer that) takes every message by this one.
    """

    keyword: str
    alone: str
    tasks: str
    link: str
    opened: str
    closed: str
    targets: str
    errors: str
    apps: str
    first: str
    comma: str


CHINESE = Words(
    keyword="回调异常",
    alone=(
        "回调异常，taskId：${taskId}，url：${url}，发起时间：${createTime}，"
        "源服务名：${sourceAppName}，目标服务名：${targetAppName}，已达到最大重试次数：${limitCallCount}"
    ),
    tasks="回调异常汇总：{} 个任务未能送达，不再重试",
    link="查看：{}",
    opened="回调异常，目标已熔断，暂停投递：{}",
    closed="回调异常已解除，目标已恢复，继续投递：{}",
    targets="目标：{}",
    errors="错误：{}",
    apps="源服务：{}",
    first="任务：{}",
    comma="，",
)
"""`alone` is the predecessor's default, word by word."""

ENGLISH = Words(
    keyword="kkbida",
    alone=(
        "kkbida: not delivered: task ${taskId}, url ${url}, accepted ${createTime}, "
        "from ${sourceAppName}, to ${targetAppName}, tries used up: ${limitCallCount}"
    ),
    tasks="kkbida: {} tasks could not be delivered and are not tried again",
    link="See {}",
    opened="kkbida: the breaker of a target opened, nothing goes there for now: {}",
    closed="kkbida: a target has recovered: {}",
    targets="Targets: {}",
    errors="Errors: {}",
    apps="From: {}",
    first="Tasks: {}",
    comma=", ",
)


def digest(words: Words, gist: Gist, link: str, most: int) -> str:
    """A digest in at most so many bytes: the lines that say something, what matters most first."""
    return cut("\n".join(_lines(words, gist, link)), most)


def _lines(words: Words, gist: Gist, link: str) -> Iterator[str]:
    if gist.tasks:
        yield words.tasks.format(gist.tasks)
    listed = {
        words.opened: gist.opened,
        words.closed: gist.closed,
        words.link: (link,) if link else (),
        words.targets: _counted(gist.targets),
        words.errors: _counted(gist.errors),
        words.apps: _counted(gist.apps),
        words.first: gist.first,
    }
    for line, items in listed.items():
        if items:
            yield line.format(words.comma.join(items))


def _counted(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{cut(name, MOST_OF_ITEM)} × {count}" for name, count in counts.items())


def cut(text: str, most: int) -> str:
    """The text in at most so many bytes of UTF-8; where something was left out, it ends with an ellipsis."""
    raw = escaped(text).encode()
    return raw.decode() if len(raw) <= most else f"{raw[: most - 3].decode(errors='ignore')}…"


def dumped(value: object) -> str:
    """As compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
