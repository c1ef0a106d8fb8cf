"""A search ends in time, whatever the pattern and the reply, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery import regex_search
from chalicelib.delivery.regex_search import SMALL_PATTERN_CHARACTERS, SMALL_TEXT_CHARACTERS, is_found

LARGE = "s" * 1_000_000

SLOW = [
    pytest.param("t" + "s" * 980, LARGE, id="a literal"),
    pytest.param("t" + "s" * 980, "", id="a literal that takes long to prepare"),
    pytest.param("(?if)" + "s" * 990 + "b", LARGE, id="folded case"),
    pytest.param("(?r)b" + "s" * 900, LARGE, id="backwards"),
    pytest.param("(?<=" + "s" * 900 + ".*)b", LARGE, id="a lookbehind"),
    pytest.param("(?=.*" + "s" * 400 + "b)s*?x", LARGE, id="a lookahead"),
    pytest.param("(?:s.*?){3}" + "s" * 900 + "b", LARGE, id="a literal within repetitions"),
    pytest.param("(?:.*s){5}t", LARGE, id="nested repetitions"),
    pytest.param("(?e)(?:s*b){e<=5}", LARGE, id="fuzzy"),
    pytest.param("(.*?)*\\1b", LARGE, id="a back reference"),
    pytest.param("(?:s.*?){20}" + "s" * 80 + "b", LARGE[:SMALL_TEXT_CHARACTERS], id="small"),
]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that this one forks."""
    forked: list[int] = []
    fork = os.fork

    def noted() -> int:
        pid = fork()
        if pid:
            forked.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", noted)
    return forked


def assert_gone(children: list[int]) -> None:
    """No child is left, not even a dead one."""
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


@pytest.mark.parametrize(("pattern", "text"), SLOW)
def test_a_search_ends_in_time(pattern: str, text: str, children: list[int]) -> None:
    began = time.monotonic()
    with suppress(TimeoutError):
        assert is_found(pattern, text) is pattern.startswith("(?e)")
    assert time.monotonic() - began < 10 * regex_search.MAX_WALL_SECONDS
    assert_gone(children)


def test_a_child_that_gets_no_cpu_time_is_killed(monkeypatch: pytest.MonkeyPatch, children: list[int]) -> None:
    monkeypatch.setattr(regex_search, "MAX_WALL_SECONDS", 0.05)
    monkeypatch.setattr(regex_search, "bounded_regex", lambda _: SimpleNamespace(search=lambda _: time.sleep(600)))
    with pytest.raises(TimeoutError):
        is_found("x", LARGE)
    assert len(children) == 1
    assert_gone(children)


def test_a_child_that_fails_has_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_search, "bounded_regex", lambda _: SimpleNamespace(search=lambda _: 1 // 0))
    with pytest.raises(TimeoutError):
        is_found("x", LARGE)


def test_only_small_searches_run_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    forked: list[str] = []
    monkeypatch.setattr(regex_search, "_is_found_by_child", lambda _, text: forked.append(text))
    is_found("x" * SMALL_PATTERN_CHARACTERS, "x" * SMALL_TEXT_CHARACTERS)
    assert forked == []
    is_found("x" * (SMALL_PATTERN_CHARACTERS + 1), "")
    is_found("x", "x" * (SMALL_TEXT_CHARACTERS + 1))
    assert forked == ["", "x" * (SMALL_TEXT_CHARACTERS + 1)]


def test_threads_search_at_the_same_time() -> None:
    texts = ["s" * 5000 + str(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: is_found(r"[02468]$", text), texts)) == [
            number % 2 == 0 for number in range(24)
        ]


@given(st.text(alphabet="ab.*+?()|^$", max_size=8), st.text(alphabet="ab\n", max_size=8))
def test_a_child_finds_what_this_process_finds(pattern: str, text: str) -> None:
    try:
        found = is_found(pattern, text)
    except (ValueError, TimeoutError):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regex_search, "SMALL_TEXT_CHARACTERS", -1)
        assert is_found(pattern, text) is found
