"""The settings: one table of (name, default, help). Each is read from `KKBIDA_<NAME>`, once, and checked."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from chalicelib.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` has the form of an environment variable: text."""

    name: str
    default: str
    help: str
    read: Callable[[str], Any]
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"KKBIDA_{self.name.upper()}"


def _text(raw: str) -> str:
    return raw


def _flag(raw: str) -> bool:
    values = {"0": False, "1": True, "false": False, "true": True}
    if raw.lower() not in values:
        raise ValueError("must be 0 or 1")
    return values[raw.lower()]


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not least <= int(raw) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(raw)

    return read


def _networks(raw: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in raw.split(",") if part.strip())


HIGHEST_PORT = 65_535


def _ports(raw: str) -> frozenset[int]:
    ports = frozenset(int(part) for part in raw.split(",") if part.strip())
    if ports and not 1 <= min(ports) <= max(ports) <= HIGHEST_PORT:
        raise ValueError("each port must be from 1 to 65535")
    return ports


def _smtp(raw: str) -> str:
    """The URL; what is wrong with it is said without any part of it, since it may hold a password."""
    try:
        parts = urlsplit(raw)
        is_right = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
        is_right = is_right and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        is_right = False
    if raw and not is_right:
        raise ValueError(
            "must be smtp://host:port or smtps://host:port, in front of the host user:password@ if the server wants a "
            "login, each percent-encoded"
        )
    return raw


def _pem_file(raw: str) -> str:
    """The path of a file of certificates, which is read here, so that a wrong one is found at the start."""
    if not raw:
        return raw
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=raw)
    except ssl.SSLError:
        raise ValueError("must hold a certificate in PEM form") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError("must hold a certificate in PEM form")
    return raw


def _sealed(raw: str) -> str:
    if raw and not re.fullmatch(r"v1\.[0-9a-f]{12}\.[A-Za-z0-9_-]+", raw):
        raise ValueError("must be what python -m infra.keys seal prints")
    return raw


SETTINGS = (
    Setting("embedded", "", "File that holds store and queues on one computer; empty means DynamoDB and SQS.", _text),
    Setting("table", "kkbida", "Name of the DynamoDB table.", _text),
    Setting("task_queue_url", "", "URL of the SQS queue of tasks that are due.", _text),
    Setting("exhausted_queue_url", "", "URL of the SQS queue of exhausted tasks.", _text),
    Setting("endpoint", "", "Address of an AWS emulator such as LocalStack; empty means AWS itself.", _text),
    Setting(
        "master_key_parameter",
        "/kkbida/master-key",
        "Name in AWS's Parameter Store of the key that all others are derived from. It is made when it is needed.",
        _text,
    ),
    Setting(
        "open_api",
        "0",
        "1 lets everybody in who can reach the API, as operator and caller. For tests only.",
        _flag,
    ),
    Setting("predecessor_api", "1", "0 shuts /api/addTask, by which the predecessor's clients submit.", _flag),
    Setting("console_url", "", "Address of the console, for links in notices.", _text),
    Setting("mail_from", "", "Address that e-mail comes from, which SES must know; empty: none is sent.", _text),
    Setting("smtp", "", "SMTP server for e-mail, such as smtp://user:password@host:587; empty means SES.", _smtp),
    Setting(
        "smtp_password",
        "",
        "Password of the user in KKBIDA_SMTP, as python -m infra.keys seal encrypts it; empty means that of the URL.",
        _sealed,
        is_secret=True,
    ),
    Setting(
        "allow_networks",
        "",
        "Networks with private addresses that deliveries may go to, such as 10.1.0.0/16.",
        _networks,
    ),
    Setting(
        "ca_bundle",
        "",
        "PEM file of certificate authorities that are trusted beside the public ones; empty means none.",
        _pem_file,
    ),
    Setting("ports", "", "Ports that deliveries may go to, such as 80,443. Empty means every port.", _ports),
    Setting("connect_timeout", "5", "Seconds for looking up a name and connecting, at most.", _whole(1, 60)),
    Setting("default_timeout", "10", "Seconds that an attempt may last when its task does not say.", _whole(1, 60)),
    Setting("max_timeout", "60", "Seconds that any attempt may last; the lease is longer.", _whole(1, 300)),
    Setting(
        "read_limit",
        "1048576",
        "Bytes of a reply that are read; a longer one is a failure.",
        _whole(1024, 16_777_216),
    ),
    Setting("keep_limit", "65535", "Bytes of a reply that are kept with its attempt.", _whole(0, 65_535)),
    Setting("grace", "600", "Seconds until a task whose message seems lost is enqueued again.", _whole(60, 21600)),
    Setting("shards", "4", "Partitions each index is spread over. It may be raised, never lowered.", _whole(1, 64)),
    Setting("in_flight_limit", "100000", "Waiting messages a queue may hold; more are parked.", _whole(1, 120000)),
    Setting("retention_days", "30", "Days for which a finished task is kept.", _whole(1, 3650)),
    Setting("audit_days", "365", "Days for which it is kept what operators did.", _whole(1, 3650)),
    Setting("session_idle", "28800", "Seconds after which a session that nobody uses is over.", _whole(600, 2_592_000)),
    Setting("session_longest", "604800", "Seconds after which any session is over.", _whole(600, 2_592_000)),
)


def written(value: object) -> str:
    """A value as it would stand in its environment variable."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple | frozenset):
        return ",".join(str(part) for part in (value if isinstance(value, tuple) else sorted(value)))
    return str(value)


HIDDEN = "***"
_PASSWORD = re.compile(r"//.*@", re.DOTALL)


def masked(text: str) -> str:
    """The text of a setting without the user and password of a URL in it, whatever characters they have."""
    return _PASSWORD.sub(f"//{HIDDEN}@", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings as read; see `SETTINGS` for what each means. Times are seconds, sizes bytes."""

    embedded: str
    table: str
    task_queue_url: str
    exhausted_queue_url: str
    endpoint: str
    master_key_parameter: str
    open_api: bool
    predecessor_api: bool
    console_url: str
    mail_from: str
    smtp: str
    smtp_password: str
    allow_networks: tuple[Network, ...]
    ca_bundle: str
    ports: frozenset[int]
    connect_timeout: int
    default_timeout: int
    max_timeout: int
    read_limit: int
    keep_limit: int
    grace: int
    shards: int
    in_flight_limit: int
    retention_days: int
    audit_days: int
    session_idle: int
    session_longest: int

    @property
    def lease(self) -> int:
        """Seconds a claim holds: longer than an attempt can last by its caps (see house, invariant 2)."""
        return self.max_timeout + LEASE_MARGIN

    @property
    def retention(self) -> int:
        """Seconds for which a finished task is kept."""
        return self.retention_days * 86_400

    @property
    def audit_retention(self) -> int:
        """Seconds for which it is kept what operators did."""
        return self.audit_days * 86_400

    @property
    def is_behind_tls(self) -> bool:
        """Whether browsers come by https only: on AWS, and where the console is said to be there."""
        return self.console_url.startswith("https://") or not (self.embedded or self.endpoint)


LEASE_MARGIN = 15
"""Seconds between the end of the longest attempt and the end of its lease: for judging and recording."""


def load(environment: Mapping[str, str]) -> Settings:
    """Read every setting from `environment`; raises SettingsError that names each one that is wrong."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for setting in SETTINGS:
        raw = environment.get(setting.variable, setting.default)
        try:
            values[setting.name] = setting.read(raw)
        except ValueError as error:
            wrong.append(
                f"{setting.variable}={(HIDDEN if setting.is_secret else masked(raw))!r}: {error}. {setting.help}"
            )
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Settings(**values)


assert tuple(field.name for field in fields(Settings)) == tuple(setting.name for setting in SETTINGS)
