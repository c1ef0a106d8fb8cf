"""Names of users: no two look alike, and each has one spelling. Pure.

A new name is stored in NFKC and case-folded (UAX 15, and section 3.13 of the Unicode Standard), and a login is
normalised in the same way. Its letters are of one script, as "Single Script" of UTS 39 has it, where Han goes with
Kana, Hangul or Bopomofo. A name of before these rules stays as it is, and logs in as it is written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from chalicelib.operators import MOST_NAME, is_name
from chalicelib.task import Operator

_WRITTEN_WITH = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}
"""First words of Unicode's names of characters that belong to the script of another word."""

_TOGETHER = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)
"""Scripts that one language is written in."""

_CONFUSABLE = (
    "01|\u0131\u0269\u01c0\u0251\u0261\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458"
    "\u0455\u04bb\u0501\u051b\u051d\u04cf\u03b1\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u03c7\u03b3"
    "\u03c9"
)
_LOOKS_LIKE = str.maketrans(_CONFUSABLE, "olliilagaeopcyxijshdqwlaikvopuxyw")
"""Digits and letters, and the letters of ASCII that they are taken for: from confusables.txt of UTS 39."""


def normalised(name: str) -> str:
    """The one spelling of a name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def name_fault(name: str) -> str | None:
    """What is wrong with a new name, which is normalised; None when nothing is."""
    if not is_name(name):
        return f"must be 1 to {MOST_NAME} letters, digits, `.`, `-`, `_` and `@`, and not begin with `.`, `-` or `@`"
    if any(_is_strange(it) for it in name):
        return "has an invisible character, or a digit that is none of 0 to 9"
    scripts = {_script(it) for it in name if it.isalpha()}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return "must have letters of one script only, since others look like them"
    return None


def find(operators: Iterable[Operator], name: str) -> Operator | None:
    """The user of that name; else the only one whose name has the same normalised spelling."""
    known = list(operators)
    exact = [it for it in known if it.name == name]
    alike = exact or [it for it in known if normalised(it.name) == normalised(name)]
    return alike[0] if len(alike) == 1 else None


def twin(operators: Iterable[Operator], name: str) -> Operator | None:
    """A user whose name looks like this one."""
    return next((it for it in operators if _skeleton(it.name) == _skeleton(name)), None)


def _skeleton(name: str) -> str:
    """The same text for all names that look alike."""
    return normalised(name).translate(_LOOKS_LIKE)


def _is_strange(character: str) -> bool:
    filler = "FILLER" in unicodedata.name(character, "")
    return filler or (character.isnumeric() and not character.isascii() and not character.isalpha())


def _script(letter: str) -> str:
    """The first word of its name in Unicode, which is that of its script."""
    word = unicodedata.name(letter, "UNKNOWN").split(" ")[0]
    return _WRITTEN_WITH.get(word, word)
