"""The URLs that requests go to, by RFC 3986: what is not a URL is refused, what is one is sent as it was given. Pure.

Only what HTTP cannot carry is translated: an internationalized host name by IDNA (RFC 5891), other characters beyond
ASCII by percent-encoding their UTF-8 (RFC 3987, 3.1). Nothing is escaped again, unescaped, resolved or dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote

import idna

DEFAULT_PORTS = {"http": 80, "https": 443}
HIGHEST_PORT = 65_535

MAX_PORT_CHARACTERS = 20

MAX_LABEL_CHARACTERS = 63
MAX_HOST_CHARACTERS = 253
"""Of a name in the DNS, as text (RFC 1035, 2.3.4)."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL by its parts. `host` is ASCII in lower case, an IPv6 address without brackets; `authority` is what the
    `Host` header says; `request_target` is path and query as they go on the request line (RFC 9112, 3.2.1).
    """

    scheme: str
    host: str
    port: int
    request_target: str

    @property
    def authority(self) -> str:
        """Host and port, the port only where it is not the scheme's own (RFC 9110, 4.2.3)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_NOT_IN_URLS = re.compile(r"[\s\x00-\x20\x7f\\<>\"^`{|}\ud800-\udfff]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:\[\]]*))?")
_NAME = re.compile(r"[a-z0-9_.-]+")


def parse_url(url: str) -> Url:
    """The parts of an http(s) URL. A fragment is left out, since it is never sent. Raises ValueError, whose text
    says what is wrong in words that follow "the URL"."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("must begin with http:// or https://")
    scheme, authority, path, query = match.groups()
    _check_characters(url)
    host, port = _host_and_port(authority)
    target = f"{path or '/'}{query or ''}"
    return Url(
        scheme=scheme.lower(),
        host=host,
        port=DEFAULT_PORTS[scheme.lower()] if port is None else port,
        request_target=_BEYOND_ASCII.sub(lambda text: quote(text[0]), target),
    )


def _check_characters(url: str) -> None:
    if wrong := _NOT_IN_URLS.search(url):
        text = ascii(wrong[0])
        code = quote(wrong[0], errors="surrogatepass")
        raise ValueError(
            f"holds {text} at character {wrong.start() + 1}, which no URL can contain; in a path or a query it is "
            f"written {code}"
        )
    if wrong := _BROKEN_ESCAPE.search(url):
        raise ValueError(
            f"holds {wrong[0]!a} at character {wrong.start() + 1}, but % must be followed by two hexadecimal "
            "digits; a percent sign itself is written %25"
        )


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise ValueError("holds credentials; put them into a header")
    match = _HOST_AND_PORT.fullmatch(authority)
    if match is None:
        raise ValueError("names a host and a port that cannot be told apart; write host:port, an IPv6 address as [::1]")
    host, port = match.groups()
    if not host:
        raise ValueError("names no host")
    return _ipv6(host[1:-1]) if host[0] == "[" else _name(host), _port(port or "")


def _port(text: str) -> int | None:
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_PORT_CHARACTERS
    if not is_number or not 1 <= int(text) <= HIGHEST_PORT:
        raise ValueError(f"names port {text[:MAX_PORT_CHARACTERS]!a}; ports are numbers from 1 to {HIGHEST_PORT}")
    return int(text)


def _ipv6(text: str) -> str:
    """An address with a zone (RFC 6874) is read as well, so that it is refused as what it is."""
    address, _, zone = text.partition("%")
    try:
        return str(IPv6Address(f"{address}%{zone.removeprefix('25')}" if zone else address))
    except ValueError:
        raise ValueError(f"names [{ascii(text)[1:-1]}], which is no IPv6 address") from None


def _name(written: str) -> str:
    name = _ascii(written)
    if not _NAME.fullmatch(name):
        wrong = next(it for it in name if not _NAME.fullmatch(it))
        raise ValueError(f"names a host with {wrong!a} in it; host names consist of letters, digits, - and .")
    labels = name.removesuffix(".").split(".")
    if not all(1 <= len(label) <= MAX_LABEL_CHARACTERS for label in labels) or len(name) > MAX_HOST_CHARACTERS + 1:
        raise ValueError(
            f"names a host whose parts between the dots are not 1 to {MAX_LABEL_CHARACTERS} characters long, or more "
            f"than {MAX_HOST_CHARACTERS} together"
        )
    return name


def _ascii(written: str) -> str:
    if written.isascii():
        return written.lower()
    try:
        return idna.encode(written.lower(), strict=True, std3_rules=True).decode("ascii")
    except UnicodeError as error:  # idna.IDNAError is one
        raise ValueError(f"names a host that is not an internationalized domain name: {str(error)!a}") from None
