"""The list of mutants fits the code, and the machinery tells a caught one from one that was not."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.mutants import MUTANTS
from tests.mutants.__main__ import caught_by
from tests.mutants.mutants import LIFE, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_can_be_applied_and_is_a_program(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    mutated = mutant.applied(text)
    assert mutated != text
    if mutant.file.endswith(".js"):
        assert _syntax_fault(mutated) == ""
    else:
        compile(mutated, mutant.file, "exec")


def _syntax_fault(module: str) -> str:
    """What Node says of a JavaScript module that it does not understand. Playwright brings Node."""
    node, _ = compute_driver_executable()
    return subprocess.run(
        [node, "--check", "--input-type=module", "-"], input=module, capture_output=True, text=True, check=False
    ).stderr


def test_a_mutant_that_is_no_program_is_noticed() -> None:
    assert "SyntaxError" in _syntax_fault("export function one( {")
    assert _syntax_fault("export function one() {}") == ""


def test_no_two_mutants_have_one_name() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []


def test_a_mutant_of_code_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="stands 0 times"):
        Mutant("outdated", LIFE, "no such line", "").applied("the code of today")


@pytest.mark.timeout(300)
def test_a_fault_is_caught_by_a_story_that_can_be_replayed() -> None:
    [fenceless] = [mutant for mutant in MUTANTS if mutant.name == "drop the lease check"]
    assert "BROKE A PROMISE" in (caught_by(fenceless) or "")


def test_the_page_about_reliability_has_what_noticed_each_of_them() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    table = page.partition("| the fault | noticed by |")[2].partition("\n\n")[0].splitlines()[2:]
    assert {row.split(" | ")[0].removeprefix("| ") for row in table} == {mutant.name for mutant in MUTANTS}
    assert f"The list has {len(MUTANTS)}." in page
