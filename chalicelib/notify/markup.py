"""Values in a message, written so that a chat program shows them and does nothing else. Pure.

A value comes from whoever submits a task, or from a receiver. It must not mention people (`<at user_id="all">`,
`<!channel>`, `<@user>`, `@all`), add a link (`[text](url)`, `<url|text>`) or formatting (`*`, a backtick, `#`), nor
look like another line. DingTalk, WeCom, Feishu and Lark have no escape that holds in all their message types, so a
character that means something is replaced by its full-width form (U+FF01 to U+FF5E), which no parser knows and people
read as the same. In the path and query of a URL it is percent-encoded instead, so that the URL leads to the same place.
Slack documents an escape for `&`, `<` and `>` (formatting text, escaping), which is used there.
"""

from __future__ import annotations

import re

_MEANINGFUL = r'<>@*`~\[\]\\|#"'
_UNDERSCORE = r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
"""One at the edge of a word. Inside of a word it means nothing, and names are full of them."""

_IN_TEXT = re.compile(rf"[{_MEANINGFUL}]|{_UNDERSCORE}")
_IN_PATH = re.compile(rf'[<>@*`~\[\]\\|"()]|{_UNDERSCORE}')
_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]{1,32};)")
_AT_THE_START = re.compile(r"\A(?:[-+=>]|[0-9]{1,9}[.)](?=\s|\Z))")
"""What makes a list, a quotation or the line above a heading, where a line begins with a value."""

_LINK = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=\bwww)\.|(?<=\bmailto):", re.IGNORECASE)
"""What chat programs make links of by themselves."""

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
"""Control characters, line ends, and those that hide text or turn its direction (Unicode, annex 9)."""

_AUTHORITY = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*://)(\[[0-9A-Fa-f:.]+\])?([^/?#]*)")

FULL_WIDTH = 0xFEE0
"""From a printable ASCII character to its full-width form."""


def one_line(text: str) -> str:
    """The text in one line, in its visible order."""
    return _INVISIBLE.sub(" ", text)


def plain(text: str, spared: str = "") -> str:
    """The text so that no chat program finds a mention, a link or formatting in it. `spared`: escaped elsewhere."""
    shown = one_line(text).strip()
    for found in (_ENTITY, _IN_TEXT, _LINK, _AT_THE_START):
        shown = found.sub(lambda it: it[0] if it[0] in spared else _full_width(it[0]), shown)
    return shown


def plain_url(url: str, spared: str = "") -> str:
    """The URL, to the same place, so that no chat program finds more in it than one link. `spared`: as above."""
    url = one_line(url).strip()
    begin = _AUTHORITY.match(url)
    if begin is None:
        return plain(url, spared)
    rest = url[begin.end() :].replace(" ", "%20")
    for found in (_ENTITY, _IN_PATH):
        rest = found.sub(lambda it: it[0] if it[0] in spared else f"%{ord(it[0]):02X}", rest)
    return f"{begin[1]}{begin[2] or ''}{plain(begin[3], spared)}{rest}"


def _full_width(text: str) -> str:
    return "".join(chr(ord(it) + FULL_WIDTH) if "!" <= it <= "~" else it for it in text)


SPARED_FOR_SLACK = "&<>"
"""The characters for which Slack has an escape."""


def for_slack(text: str) -> str:
    """Slack's own escape: of the text around a value as well as of a value."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
