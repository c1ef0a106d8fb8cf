"""Each preset makes the waits that its platform is known for."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from chalicelib import submission
from chalicelib.delivery.retry import Again, base_wait, decide
from chalicelib.presets import PRESETS
from chalicelib.task import Expectation, Json, Request
from tests.unit.makers import NOON, SETTINGS, AnyAddress

WAITS = {
    "alipay": [240, 600, 600, 3600, 7200, 21600, 54000],
    "wechatpay": [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600],
    "standard-webhooks": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
    "svix": [5, 300, 1800, 7200, 18000, 36000, 36000],
}


def read(preset: str, **more: Json) -> Request:
    submitted = {"url": "https://partner.example/", "retry": {"preset": preset, **more}}
    return submission.read(submitted, SETTINGS, AnyAddress(), NOON)


@pytest.mark.parametrize("preset", WAITS)
def test_a_preset_waits_as_its_platform_does_and_tries_once_more_than_it_waits(preset: str) -> None:
    policy = read(preset).retry
    assert policy.max_attempts == len(WAITS[preset]) + 1
    assert [base_wait(policy, number) for number in range(1, policy.max_attempts)] == WAITS[preset]


def test_the_predecessors_preset_waits_a_minute_until_its_attempts_are_used() -> None:
    policy = read("kkbida", max_attempts=100).retry
    assert {base_wait(policy, number) for number in range(1, 100)} == {60}
    assert (policy.max_attempts, policy.jitter) == (100, 0)


@pytest.mark.parametrize(
    ("preset", "jitter"), [("kkbida", 0), ("alipay", 0), ("wechatpay", 0), ("standard-webhooks", 0.1), ("svix", 0.2)]
)
def test_a_preset_has_the_jitter_of_its_platform(preset: str, jitter: float) -> None:
    assert read(preset).retry.jitter == jitter


def test_only_alipay_wants_the_word_success() -> None:
    assert {preset: read(preset).expect for preset in PRESETS} == {
        **dict.fromkeys(PRESETS, Expectation()),
        "alipay": Expectation(equals="success"),
    }


def test_a_preset_takes_what_does_not_contradict_it() -> None:
    policy = read("svix", max_attempts=3, jitter=0, deadline=60, give_up_on=["410"]).retry
    assert (policy.max_attempts, policy.jitter, policy.deadline, policy.give_up_on) == (3, 0, 60, ("410",))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_wait_of_a_preset_ends_before_its_deadline(preset: str) -> None:
    policy = read(preset).retry
    elapsed = 0.0
    for number in range(1, policy.max_attempts):
        left = policy.deadline - elapsed
        step = decide(policy, number=number, status=500, retry_after=None, remaining=left, random=Random(7))
        assert isinstance(step, Again)
        elapsed += step.wait


def test_the_presets_are_those_of_the_shared_table() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data" / "retry-presets.json"
    if not shared.is_file():
        pytest.skip("the table that the presets were taken from lies outside this repository")
    entries = {name: entry for name, entry in json.loads(shared.read_text()).items() if not name.startswith("_")}
    assert {name: {k: v for k, v in entry.items() if k != "note"} for name, entry in entries.items()} == PRESETS
