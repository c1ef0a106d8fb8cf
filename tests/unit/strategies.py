"""What hypothesis makes for the tests: submissions that are valid, nearly valid, or nothing of the kind.

They are drawn from the documented rules (docs/reference.md), not from the code that checks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from string import ascii_letters, digits
from typing import Any

from hypothesis import strategies as st

from chalicelib.task import Json

# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)


def json_of(scalars: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )


JSON = json_of(SCALARS)

# ── the parts of a submission ────────────────────────────────────────────────────────────────────

LABELS = st.text(ascii_letters + digits, min_size=1, max_size=8)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["8.8.8.8", "[2606:4700::1111]", "partner.example", "例え.jp", "xn--r8jz45g.jp", "a_b.example"]),
)
ESCAPES = st.from_regex(r"%[0-9A-Fa-f]{2}", fullmatch=True)
IN_URLS = st.lists(
    st.characters(exclude_categories=["C", "Z"], exclude_characters='\\<>"^`{|}#?%') | ESCAPES, max_size=12
).map("".join)


PATHS = st.builds("/{}{}".format, IN_URLS, st.just("") | IN_URLS.map("?{}".format))
"""With their queries."""
PORTS = st.just("") | st.integers(1, 65_535).map(":{}".format)
URLS = st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTPS"]), HOSTS, PORTS, PATHS)


NOT_THEIRS = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length", "webhook-id", "webhook-timestamp", "webhook-signature",
    "webhook-attempt", "content-type",
}  # fmt: skip
"""Headers that a submission must not name. A content type it may, if it does not say it elsewhere."""
NAMES = st.sampled_from(["X-Order", "accept", "User-Agent", "Authorization"]) | st.text(
    ascii_letters + digits + "!#$%&'*+.^_`|~-", min_size=1, max_size=12
)
VALUES = st.from_regex(r"([!-~\x80-\xff]([\t -~\x80-\xff]{0,10}[!-~\x80-\xff])?)?", fullmatch=True)
HEADERS = st.lists(
    st.tuples(NAMES.filter(lambda name: name.lower() not in NOT_THEIRS), VALUES),
    unique_by=lambda header: header[0].lower(),
    max_size=4,
).map(dict)
CONTENT_TYPES = VALUES.filter(bool) | st.sampled_from(
    ["application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "text/xml"]
)

STATUS_PATTERNS = st.one_of(
    st.integers(100, 599).map(str),
    st.integers(1, 5).map("{}xx".format),
    st.tuples(st.integers(100, 599), st.integers(100, 599)).map(lambda ends: f"{min(ends)}-{max(ends)}"),
)
STATUS_LISTS = st.builds(
    lambda taken_in, taken_out: [*taken_in, *(f"!{pattern}" for pattern in taken_out)],
    st.lists(STATUS_PATTERNS, min_size=1, max_size=3),
    st.lists(STATUS_PATTERNS, max_size=2),
)
STEPS = st.one_of(
    st.sampled_from([".code", ".data", ".上海", "[0]", "[-1]", "['a b']", '["$"]']),
    st.integers(-3, 3).map("[{}]".format),
)
JSON_PATHS = st.lists(STEPS, max_size=3).map(lambda steps: "$" + "".join(steps))
REGEXES = st.sampled_from(["success", r"^\d+$", "(?i)ok|成功", r"[a-f]{2,4}", r"(a+)+$", "", r"\bcode=0\b"])
EXPECTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "status": STATUS_LISTS,
        "contains": st.text(min_size=1, max_size=8),
        "equals": st.just("") | st.text(max_size=8),
        "regex": REGEXES.filter(bool),
        "json": st.dictionaries(JSON_PATHS, JSON, max_size=3),
    },
)

WAITS = st.integers(0, 604_800) | st.floats(0, 604_800)
ANY_WAY = {
    "max_attempts": st.integers(1, 100),
    "jitter": st.sampled_from([0, 1]) | st.floats(0, 1),
    "give_up_on": st.lists(STATUS_PATTERNS | STATUS_PATTERNS.map("!{}".format), max_size=3),
    "deadline": st.integers(1, 2_592_000) | st.floats(1, 2_592_000),
}


@st.composite
def exponentials(draw: st.DrawFn) -> Json:
    low, high = sorted([draw(WAITS), draw(WAITS)])
    high = draw(st.sampled_from([low, high]))
    given = {"backoff": "exponential", "initial": low, "cap": high, "factor": draw(st.floats(1, 100))}
    left_out = draw(st.sets(st.sampled_from(sorted(given))))
    return {name: value for name, value in given.items() if name not in left_out} | draw(
        st.fixed_dictionaries({}, optional=ANY_WAY)
    )


RETRIES = st.one_of(
    exponentials(),
    st.fixed_dictionaries({"backoff": st.just("fixed"), "initial": WAITS}, optional=ANY_WAY),
    st.fixed_dictionaries(
        {"schedule": st.lists(WAITS, min_size=1, max_size=8)}, optional={"backoff": st.just("schedule"), **ANY_WAY}
    ),
    st.fixed_dictionaries(
        {"preset": st.sampled_from(["kkbida", "alipay", "wechatpay", "standard-webhooks", "svix"])}, optional=ANY_WAY
    ),
)

# ── whole submissions ────────────────────────────────────────────────────────────────────────────

BODILESS = ("GET", "HEAD")
APPS = st.text(min_size=1, max_size=10)


@st.composite
def submissions(draw: st.DrawFn, *, url: st.SearchStrategy[str] = URLS) -> dict[str, Json]:
    """What is accepted, wherever it leads."""
    given: dict[str, Json] = draw(
        st.fixed_dictionaries(
            {"url": url},
            optional={
                "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
                "headers": HEADERS,
                "params": st.dictionaries(st.text(max_size=5), JSON, max_size=3),
                "body": JSON,
                "content_type": CONTENT_TYPES,
                "expect": EXPECTATIONS,
                "retry": RETRIES,
                "timeout": st.integers(1, 60) | st.floats(0.1, 60),
                "source_app": APPS,
                "target_app": APPS,
                "labels": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
            },
        )
    )
    if given.get("method") in BODILESS:
        given.pop("body", None)
    if "content_type" in given and draw(st.booleans()):
        given["headers"] = {**given.get("headers", {}), "Content-type": given.pop("content_type")}
    return given


WORDS: st.SearchStrategy[Json] = st.sampled_from(
    [
        *("", "2xx", "9xx", "!204", "299-200", "fixed", "schedule", "svix", "GET", "$.a", "$..a", "a{9999999}", "("),
        *("http://a/", "ftp://a/", "http://a:0/", "http://u@a/", "http://127.0.0.1/", "a\nb", " a", "é", "x" * 201),
        *(-1, 0, 0.5, 61, 101, 1e9, None, True, [], {}, ["!204"], [1, "2"]),
    ]
)
"""Each is right in some places and wrong in others."""

NEW_NAMES = st.sampled_from(
    ["expect", "retry", "headers", "body", "method", "status", "regex", "json", "preset", "backoff", "schedule", "cap",
     "initial", "Host", "x-order", "Content-Type", "", "a b", "a/b~c", "colour", "$.a", "code", "~1/~0"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> Json:
    """A valid submission of which a few things, at any depth, are replaced, removed or added."""
    whole: Json = draw(submissions())
    for _ in range(draw(st.integers(1, 4))):
        if inside := list(members(whole)):
            _damage(draw, *draw(st.sampled_from(inside[::-1])))
    return whole


def members(holder: Json) -> Iterator[tuple[Json, Any]]:
    """Everything inside an object or a list, at any depth: what holds it, and its name or place there."""
    for name in range(len(holder)) if isinstance(holder, list) else holder if isinstance(holder, dict) else ():
        yield holder, name
        yield from members(holder[name])


def _damage(draw: st.DrawFn, holder: Json, name: Any) -> None:
    new = deepcopy(draw(WORDS | JSON))
    how = draw(st.sampled_from(["another", "another", "gone", "one more", "one more"]))
    if how == "gone":
        del holder[name]
    elif how == "one more" and isinstance(holder, dict):
        holder[draw(NEW_NAMES)] = new
    else:
        holder[name] = new


# ── addresses ────────────────────────────────────────────────────────────────────────────────────

SPECIAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
    "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
"""The networks of the IANA's registries that are not everybody's."""


def near(network: IPv4Network | IPv6Network) -> st.SearchStrategy[Any]:
    """Addresses within it, and those at both sides of its two ends."""
    first, last, bits = int(network[0]), int(network[-1]), network.max_prefixlen
    ends = [number for number in (first - 1, first, last, last + 1) if 0 <= number < 2**bits]
    return (st.integers(first, last) | st.sampled_from(ends)).map(IPv4Address if bits == 32 else IPv6Address)


SPECIAL_4 = st.one_of([near(IPv4Network(network)) for network in SPECIAL if "." in network])
IPV4: st.SearchStrategy[Any] = SPECIAL_4 | st.ip_addresses(v=4)
PREFIXES = st.sampled_from([0x2606_4700 << 32, 0x2A00_1450_4001_080B, 0xFE80 << 48])
"""The first half of an address."""


def carried(halves: st.SearchStrategy[int], shift: int = 0) -> st.SearchStrategy[IPv6Address]:
    """An IPv4 address in 32 bits of an IPv6 one."""
    return st.builds(lambda whole, four: IPv6Address(whole ^ int(four) << shift), halves, IPV4)


IPV6: st.SearchStrategy[IPv6Address] = st.one_of(
    st.ip_addresses(v=6),
    st.one_of([near(IPv6Network(network)) for network in SPECIAL if ":" in network]),
    near(IPv6Network("2000::/3")),
    carried(st.just(0)),  # compatible
    carried(st.just(0xFFFF << 32)),  # mapped
    carried(st.just(0xFFFF << 48)),  # translated
    carried(st.sampled_from([0x64_FF9B << 96, 0x64_FF9B_0001 << 80])),  # NAT64
    carried(st.integers(0, 2**80 - 1).map((0x2002 << 112).__or__), 80),  # 6to4
    carried(st.just(0x2001 << 112 | 0xFFFF_FFFF), 0),  # Teredo: the client, obfuscated
    carried(st.just(0x2001 << 112), 64),  # Teredo: the server
    carried(st.builds(lambda prefix, bits: prefix << 64 | bits << 56 | 0x5EFE << 32, PREFIXES, st.integers(0, 4))),
)
"""Last of them ISATAP, and what is nearly so."""


def written(number: int, base: str, zeros: int) -> str:
    return {"d": "{:d}", "o": "0" * (zeros + 1) + "{:o}", "x": "0x" + "0" * zeros + "{:x}", "X": "0X{:X}"}[base].format(
        number
    )


@st.composite
def spellings_4(draw: st.DrawFn, address: IPv4Address) -> str:
    """An IPv4 address as C's `inet_aton` reads it: one to four numbers, each decimal, octal or hexadecimal."""
    octets, count = list(address.packed), draw(st.integers(1, 4))
    numbers = [*octets[: count - 1], int.from_bytes(octets[count - 1 :], "big")]
    return ".".join(written(n, draw(st.sampled_from("doxX")), draw(st.integers(0, 3))) for n in numbers)


@st.composite
def spellings_6(draw: st.DrawFn, address: IPv6Address) -> str:
    """An IPv6 address in one of its forms, in brackets."""
    dotted = f"{address.exploded[:30]}{IPv4Address(int(address) % 2**32)}"
    text = draw(st.sampled_from([address.compressed, address.exploded, dotted]))
    return f"[{draw(st.sampled_from([text, text.upper()]))}]"
