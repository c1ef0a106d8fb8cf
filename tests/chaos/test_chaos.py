"""A small version of `make chaos` and of `make overload`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.chaos.overload import overload
from tests.chaos.play import Asked, play
from tests.chaos.scenes import SCENES
from tests.chaos.witness import witness

pytestmark = pytest.mark.timeout(300)  # only a lost task is waited for that long


@pytest.mark.parametrize("name", ["local", pytest.param("aws", marks=pytest.mark.emulator)])
def test_whatever_process_is_killed_every_promise_is_kept(name: str, tmp_path: Path) -> None:
    with witness(seed=1) as url, SCENES[name](tmp_path, Random(1)) as scene:
        report = play(scene, url, Asked(tasks=120, kills=3, seed=1), print)
    assert not report.broken, str(report)


def test_more_than_can_be_delivered_is_accepted_all_the_same_and_delivered_later() -> None:
    figures = overload(seconds=2, clients=8, late=1, say=print)
    assert figures.lost == 0, str(figures)
    assert figures.backlog > 0, "it was no overload"
