"""Names of users: one spelling each, one script, and no two that look alike."""

from __future__ import annotations

import pytest

from chalicelib import user_names
from tests.contract.samples import operator


@pytest.mark.parametrize(
    "name", ["li.lei", "李雷", "たなか", "田中カナ", "김철수", "иван", "müller", "a-b_c@d.e", "7up", "々木"]
)
def test_a_name_in_one_script_is_taken(name: str) -> None:
    assert user_names.name_fault(user_names.normalised(name)) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("\u0430dmin", "one script"),
        ("ro\u03bft", "one script"),
        ("adm\u0456n", "one script"),
        ("a\u02c8b", "one script"),
        ("li雷", "one script"),
        ("a\u3164b", "invisible"),
        ("a\uffa0b", "invisible"),
        ("a\u0661", "digit"),
        ("a\u200bb", "letters"),
        ("a\u200db", "letters"),
        ("a\u202eb", "letters"),
        ("a\u0301\u0301b", "letters"),
        ("a b", "letters"),
        ("", "letters"),
        ("a" * 41, "letters"),
    ],
)
def test_a_name_that_could_be_mistaken_is_refused(name: str, fault: str) -> None:
    assert fault in (user_names.name_fault(user_names.normalised(name)) or "")


@pytest.mark.parametrize(
    ("one", "other"),
    [("root", "Root"), ("root", "ｒｏｏｔ"), ("strasse", "straße"), ("file", "\ufb01le"), ("é", "e\u0301")],
)
def test_the_spellings_of_one_name_are_one(one: str, other: str) -> None:
    assert user_names.normalised(one) == user_names.normalised(other)


@pytest.mark.parametrize(
    ("known", "name"),
    [("root", "r00t"), ("li.lei", "1i.1ei"), ("li.lei", "lı.leı"), ("cope", "соре"), ("Li.Lei", "li.lei"), ("о", "o")],
)
def test_names_that_look_alike_are_twins(known: str, name: str) -> None:
    assert user_names.twin([operator(known)], name) is not None
    assert user_names.twin([operator(known)], "another") is None


def test_the_name_as_it_is_stored_goes_before_its_other_spellings() -> None:
    upper, lower = operator("Li.Lei"), operator("li.lei")
    assert user_names.find([upper, lower], "Li.Lei") == upper
    assert user_names.find([upper, lower], "li.lei") == lower
    assert user_names.find([upper, lower], "LI.LEI") is None, "which of them is not known"
    assert user_names.find([upper], "LI.LEI") == upper
