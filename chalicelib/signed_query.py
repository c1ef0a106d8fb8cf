"""How the query of a signed request may have been written. Pure.

A signature covers `@query` as the client wrote it. API Gateway hands its function the names and values, decoded and
grouped by name. So a signature is compared over the spellings of these names and values: each means the same request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from operator import itemgetter
from urllib.parse import quote

PLAIN_OR_ENCODED = frozenset(":/?@!$'()*,;=[]{}|^`\\\"<>")
"""Characters of a name or value that some clients percent-encode and others do not. In names `=` is always encoded."""

MAX_CHOICES = 7
"""Places, or characters, of one query that are tried both ways. With the order and the case of hexadecimal digits this
makes some 800 spellings at most: an HMAC each, before the sender is known."""

Choice = tuple[str, str, str]
"""A place in a query with two spellings: the character that is written, and both ways to write it, the common first."""

Part = str | Choice

_SPACE, _TILDE, _EMPTY = " ", "~", ""

STYLES: Sequence[frozenset[str]] = (
    frozenset(),  # RFC 3986: everything that is not unreserved is encoded
    frozenset(" "),  # forms: Python urlencode, Go, PHP
    frozenset(":/?@!$'()*,;"),  # what RFC 3986 lets stand in a query
    frozenset(":/?@!$'()*,; "),
    frozenset("!'()*"),  # JavaScript encodeURIComponent, .NET
    frozenset("!()* "),  # .NET HttpUtility
    frozenset("* ~"),  # URLSearchParams, Java URLEncoder, Ruby: these encode the tilde
    frozenset(":/?@!$()*,;=[]{}|^`\\"),  # a URL as browsers serialize it
    frozenset(":/?@!$()*,;=[]{}|^`\\ "),
    PLAIN_OR_ENCODED,  # typed by hand
    PLAIN_OR_ENCODED | {" "},
)
"""The characters that well-known clients write the second way. They are tried first, however long the query is."""


def spellings(query: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each `@query` that a client may have signed for these names and values, the most common first, none twice.

    Names in the order given or sorted; a space as `%20` or `+`; the characters of `PLAIN_OR_ENCODED` and `~` encoded
    or not; an empty value with or without `=`; hexadecimal digits in upper or lower case. Up to `MAX_CHOICES` places
    vary one by one; in a longer query a character is written in one way throughout.
    """
    pairs = [(name, value) for name, values in query.items() for value in values]
    seen: set[str] = set()
    by_name = tuple(sorted(pairs, key=itemgetter(0)))
    for ordered in dict.fromkeys((tuple(pairs), by_name, tuple(sorted(pairs)))):
        for written in _written(ordered):
            if written not in seen:
                seen.add(written)
                yield f"?{written}"


def _written(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    parts = [part for pair in pairs for part in ("&", *_parts(*pair))][1:]
    choices = [part for part in parts if not isinstance(part, str)]
    characters = list(dict.fromkeys(character for character, _, _ in choices))
    for style in STYLES:
        for empty in (False, True) if _EMPTY in characters else (False,):
            seconds = style | {_EMPTY} if empty else style
            yield from _in_both_cases(parts, [character in seconds for character, _, _ in choices])
    if len(choices) <= MAX_CHOICES:
        for taken in product((False, True), repeat=len(choices)):
            yield from _in_both_cases(parts, taken)
    elif len(characters) <= MAX_CHOICES:
        for taken in product((False, True), repeat=len(characters)):
            second = dict(zip(characters, taken, strict=True))
            yield from _in_both_cases(parts, [second[character] for character, _, _ in choices])


def _parts(name: str, value: str) -> Iterator[Part]:
    yield from map(_part_of_name, name)
    yield from ("=", *map(_part, value)) if value or not name else ((_EMPTY, "=", ""),)


def _part(character: str) -> Part:
    if character == _SPACE:
        return character, "%20", "+"
    if character == _TILDE:
        return character, "~", "%7E"
    return (character, _encoded(character), character) if character in PLAIN_OR_ENCODED else _encoded(character)


def _part_of_name(character: str) -> Part:
    return "%3D" if character == "=" else _part(character)


def _encoded(character: str) -> str:
    return quote(character, safe="", errors="surrogatepass")


def _in_both_cases(parts: Sequence[Part], taken: Sequence[bool]) -> Iterator[str]:
    """The query with the second spelling where `taken` says so; its hexadecimal digits in upper and in lower case."""
    seconds = iter(taken)
    texts = [part if isinstance(part, str) else part[1 + next(seconds)] for part in parts]
    yield "".join(texts)
    if any(text.startswith("%") for text in texts):
        yield "".join(text.lower() if text.startswith("%") else text for text in texts)
