"""Text from the bytes of a reply: the `charset` of its Content-Type, read by the WHATWG Encoding Standard. Pure.

Servers label replies as browsers understand them: `gb2312` is sent for GBK text, `iso-8859-1` for windows-1252. So a
label means what the standard (https://encoding.spec.whatwg.org/) says that it means, and a byte order mark overrides
it. Labels come from `webencodings`, never from Python's codec registry: that one imports modules by the name that a
reply gives, and keeps every unknown name for the life of the process.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import cache

import webencodings

REPLACEMENT = "\ufffd"

_PARAMETER = re.compile(r';[ \t\r\n]*([^;="]*)(?:=("(?:[^"\\]|\\.)*"?|[^;]*))?', re.DOTALL)
"""One parameter of a media type. Every part after the semicolon is optional, so a match never backtracks."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"))


def charset_of(content_type: str) -> str | None:
    """The value of the first `charset` parameter of a media type; None without one. Its work is linear."""
    for name, value in _PARAMETER.findall(content_type):
        if name.strip().lower() == "charset":
            return _ESCAPE.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value.strip()
    return None


def decode(body: bytes, content_type: str) -> str:
    """The body as text: by its byte order mark, else by the charset of `content_type`, else as UTF-8.

    Bytes that the encoding does not have become U+FFFD. An unknown label counts as none.
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, errors="replace")
    encoding = webencodings.lookup(_ascii(charset_of(content_type) or ""))
    if encoding is None:
        return body.decode(errors="replace")
    if encoding.name == "replacement":
        return REPLACEMENT if body else ""
    if encoding.name not in _MULTI_BYTE:
        return codecs.charmap_decode(body, "replace", _table(encoding))[0]
    text = body.decode("gb18030" if encoding.name == "gbk" else encoding.codec_info.name, _WHATWG)
    return text.translate(_READ_OTHERWISE.get(encoding.name, {}))


def _ascii(label: str) -> str:
    """The label, or none: no label of the standard is longer than 32 characters or has others than ASCII."""
    return label if len(label) <= 64 and label.isascii() else ""  # noqa: PLR2004 - room for blanks around it


# ── where Python's codecs differ from the standard's ─────────────────────────────────────────────

_MULTI_BYTE = frozenset(
    {"big5", "euc-jp", "euc-kr", "gb18030", "gbk", "iso-2022-jp", "shift_jis", "utf-8", "utf-16be", "utf-16le"}
)
_C1_CONTROLS = range(0x80, 0xA0)
_ONE_BYTE = {("koi8-u", 0xAE): "ў", ("koi8-u", 0xBE): "Ў", ("windows-1255", 0xCA): "\u05ba"}


@cache
def _table(encoding: webencodings.Encoding) -> str:
    """The 256 characters of a single-byte encoding; U+FFFD where it has none.

    Python leaves bytes of the windows encodings undefined that are C1 controls in the standard.
    """

    def character(byte: int) -> str:
        found = _ONE_BYTE.get((encoding.name, byte)) or encoding.codec_info.decode(bytes((byte,)), "replace")[0]
        return chr(byte) if found == REPLACEMENT and byte in _C1_CONTROLS else found

    return "".join(map(character, range(256)))


_JIS = str.maketrans("〜‖−¢£¬", "～∥－￠￡￢")
_GB18030 = str.maketrans(
    "\ue5e5" + "".join(map(chr, range(0xE78D, 0xE797))) + "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
    "\u3000︐︒︑︓︔︕︖︗︘︙龴龵龶龷龸龹龺龻",
)
_READ_OTHERWISE: Mapping[str, Mapping[int, int | str]] = {
    "euc-jp": _JIS,
    "iso-2022-jp": _JIS,
    "gbk": _GB18030,
    "gb18030": _GB18030,
    "shift_jis": dict.fromkeys(range(0xF8F0, 0xF8F4), REPLACEMENT),
}
"""Characters that Python's codec puts in the place of the standard's: those of JIS X 0208 that windows-31J maps to
full width; those that GB 18030 moved out of private use; bytes of windows-31J that no character has."""

_WHATWG = "kkbida-whatwg"
_PAIRED = frozenset({"big5hkscs", "cp932", "cp949", "euc_jp", "gb18030"})
_LEADS = range(0x81, 0xFF)
"""First bytes of a pair. One that no character has becomes a single U+FFFD, unless its second byte is ASCII."""


def _as_the_standard_reads(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that a multi-byte codec of Python refused, and where decoding goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if error.encoding == "gb18030" and pair.startswith(b"\x80"):
        return "€", error.start + 1
    if error.encoding == "euc_jp" and (found := _extended_euc_jp(pair)):
        return found, error.start + 2
    is_one = error.encoding in _PAIRED and len(pair) == 2 and pair[0] in _LEADS and pair[1] > 0x7F  # noqa: PLR2004
    return REPLACEMENT, error.start + 2 if is_one else error.end


def _extended_euc_jp(pair: bytes) -> str:
    """A character of NEC's and IBM's rows (such as ①), which Python has in windows-31J only. Empty: there is none."""
    if len(pair) < 2 or not all(0xA1 <= byte <= 0xFE for byte in pair):  # noqa: PLR2004 - two bytes, as said
        return ""
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)  # noqa: PLR2004 - half-width katakana interrupt the rows here
    trail = cell + 0x9F if row % 2 else cell + 0x40 + (cell >= 63)  # noqa: PLR2004 - 0x7F is left out
    return bytes((lead, trail)).decode("cp932", errors="ignore")


codecs.register_error(_WHATWG, _as_the_standard_reads)
