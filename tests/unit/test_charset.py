"""Text of replies, by the WHATWG Encoding Standard."""

from __future__ import annotations

import encodings
import encodings.aliases
import time

import pytest
import webencodings.labels
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.charset import charset_of, decode


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("gb2312", "李玥".encode("gbk"), "李玥"),
        ("GBK", "𠮷".encode("gb18030"), "𠮷"),
        ("x-gbk", b"\x80", "€"),
        ("chinese", "上海".encode("gbk"), "上海"),
        ("csgb2312", "上海".encode("gbk"), "上海"),
        ("gb18030", "\u3000︐龻".encode("gbk", "ignore") + b"\xa6\xd9\xfe\xa0", "\u3000︐龻"),
        ("gbk", b"\xa3\xa0", "\u3000"),
        ("gbk", "上".encode("gbk") + b"\xff!", "上\ufffd!"),
        ("gbk", b"\x81\xff<", "\ufffd<"),
        ("gbk", b"\xd6<", "\ufffd<"),
        ("Shift_JIS", "①完了".encode("cp932"), "①完了"),
        ("sjis", "～－".encode("cp932"), "～－"),
        ("ms_kanji", b"\xa0\xfd\xfe\xff", "\ufffd" * 4),
        ("shift_jis", b"\x81<", "\ufffd<"),
        ("euc-jp", b"\xad\xa1\xb4\xb0\xce\xbb", "①完了"),
        ("x-euc-jp", b"\xa1\xc1\xa1\xdd", "～－"),
        ("iso-2022-jp", "完了".encode("iso2022_jp"), "完了"),
        ("euc-kr", "똠".encode("cp949"), "똠"),
        ("ks_c_5601-1987", "한".encode("cp949"), "한"),
        ("big5", "高雄".encode("big5"), "高雄"),
        ("x-x-big5", "嘅".encode("big5hkscs"), "嘅"),
        ("iso-8859-1", b"\x80\x81caf\xe9", "€\x81café"),
        ("latin1", b"\x93ok\x94", "“ok”"),
        ("us-ascii", b"\xe9", "é"),
        ("iso-8859-9", b"\xfd\x80", "ı€"),
        ("tis-620", b"\x80\xa1", "€ก"),
        ("windows-1255", b"\xca\x81\xd9", "\u05ba\x81\ufffd"),
        ("windows-1253", b"\xaa\xe1", "\ufffdα"),
        ("koi8-u", b"\xae\xbe\xc1", "ўЎа"),
        ("iso-8859-8-i", b"\xe0\xc0", "א\ufffd"),
        ("macintosh", b"\xdb", "€"),
        ("utf-16", "上海".encode("utf-16-le"), "上海"),
        ("unicode", "上海".encode("utf-16-le"), "上海"),
        ("ucs-2", b"o\0k\0\x01", "ok\ufffd"),
        ("utf-16be", "上海".encode("utf-16-be"), "上海"),
        ("unicodefffe", "上海".encode("utf-16-be"), "上海"),
        ("utf8", "上海".encode(), "上海"),
        ("x-user-defined", b"a\x80\xff", "a\uf780\uf7ff"),
        ("iso-2022-kr", b"ok", "\ufffd"),
        ("hz-gb-2312", b"~{VR~}", "\ufffd"),
        ("replacement", b"", ""),
        ("gbk", b"\xef\xbb\xbf\xe4\xb8\x8a", "上"),
        ("utf-8", b"\xff\xfeo\0k\0", "ok"),
        ("utf-16le", b"\xfe\xff\0o\0k", "ok"),
        ("utf-16le", b"\xff\xfe\xff\xfeo\0", "\ufeffo"),
        ("utf-16le", b"\x00\xd8", "\ufffd"),
    ],
)
def test_a_label_means_what_the_standard_says(label: str, body: bytes, text: str) -> None:
    assert decode(body, f"text/plain; charset={label}") == text


@pytest.mark.parametrize(
    "label", ["klingon", "", "\0", "utf-7", "utf-32", "base64", "rot13", "unicode_escape", "punycode", "idna", "cp037",
              "mbcs", "utf_8_sig", "latin_1", "gb 2312", "ｇｂｋ", "K" * 65]
)  # fmt: skip
def test_an_unknown_label_is_utf_8(label: str) -> None:
    assert decode("上海".encode(), f"text/plain; charset={label}") == "上海"
    assert decode(b"+2AA-\\ud800", f"text/plain; charset={label}") == "+2AA-\\ud800"


def test_every_label_of_the_standard_reads_ascii() -> None:
    for label, name in webencodings.labels.LABELS.items():
        if name not in {"replacement", "utf-16be", "utf-16le"}:
            assert decode(b"success", f"text/plain;charset={label.upper()}") == "success", label


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("", None),
        ("text/plain", None),
        ("text/plain;charset=gbk", "gbk"),
        ("text/plain ; charset=gbk ;x=y", "gbk"),
        ("text/plain;\tCHARSET=GBK", "GBK"),
        ('text/plain; charset="gbk"', "gbk"),
        ('text/plain; charset="g\\bk"; x', "gbk"),
        ('text/plain; charset="gbk', "gbk"),
        ('text/plain; charset="gbk"junk; charset=utf-8', "gbk"),
        ("text/plain; charset=gbk; charset=utf-8", "gbk"),
        ('text/plain; title="; charset=utf-8"; charset=gbk', "gbk"),
        ("text/plain; charset = gbk", "gbk"),
        ("text/plain; charset", ""),
        ("text/plain; charset=; x=y", ""),
        ("text/plain; charset*=utf-8''gbk", None),
        ("text/plain; notcharset=gbk", None),
        ('; charset="\\', ""),
        ("charset=gbk", None),
    ],
)
def test_the_charset_is_a_parameter_of_the_media_type(content_type: str, charset: str | None) -> None:
    assert charset_of(content_type) == charset


PIECES = (";", '"', "\\", "=", "; charset=", "charset", " ", '="', ";a=b", '"\\"', "\t;", "*0*='")


@pytest.mark.parametrize("piece", PIECES)
def test_the_work_grows_with_the_length_and_not_faster(piece: str) -> None:
    """A parser that is quadratic takes minutes for these; this one takes milliseconds."""
    began = time.process_time()
    for before in ("", "text/plain; charset=", 'text/plain; charset="'):
        decode(b"x", before + piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 5


def test_nothing_is_kept_of_what_replies_name() -> None:
    names = [f"x{number}{'a' * 1000}" for number in range(50)]
    for name in names:
        decode(b"x", f"text/plain; charset={name}")
    assert not set(names) & encodings._cache.keys()
    assert len(webencodings.CACHE) <= len(set(webencodings.labels.LABELS.values()))


CHARSETS = st.sampled_from(sorted({*webencodings.labels.LABELS, *encodings.aliases.aliases})) | st.text(max_size=20)


@given(st.binary(max_size=60), CHARSETS.map("text/plain; charset={}".format) | st.text(max_size=40))
def test_whatever_comes_becomes_text_that_can_be_stored(body: bytes, content_type: str) -> None:
    decode(body, content_type).encode()
