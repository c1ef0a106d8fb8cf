"""Every setting has a default that loads, and a wrong one is named before anything starts."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from chalicelib.errors import SettingsError
from chalicelib.life import MOST_GRACE
from chalicelib.settings import SETTINGS, Setting, Settings, load


def test_without_any_variable_the_defaults_hold() -> None:
    assert load({}) == Settings(
        embedded="",
        table="kkbida",
        task_queue_url="",
        exhausted_queue_url="",
        endpoint="",
        master_key_parameter="/kkbida/master-key",
        open_api=False,
        predecessor_api=True,
        console_url="",
        mail_from="",
        smtp="",
        smtp_password="",
        allow_networks=(),
        ca_bundle="",
        ports=frozenset(),
        connect_timeout=5,
        default_timeout=10,
        max_timeout=60,
        read_limit=1_048_576,
        keep_limit=65_535,
        grace=600,
        shards=4,
        in_flight_limit=100_000,
        retention_days=30,
        audit_days=365,
        session_idle=28_800,
        session_longest=604_800,
    )


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_may_be_given_as_its_own_default_and_says_what_it_is_for(setting: Setting) -> None:
    assert load({setting.variable: setting.default}) == load({})
    assert setting.variable == f"KKBIDA_{setting.name.upper()}"
    assert setting.help.endswith(".")


@pytest.mark.parametrize(
    ("variable", "raw", "name", "value"),
    [
        ("KKBIDA_OPEN_API", "1", "open_api", True),
        ("KKBIDA_OPEN_API", "true", "open_api", True),
        ("KKBIDA_OPEN_API", "False", "open_api", False),
        ("KKBIDA_TABLE", "other", "table", "other"),
        ("KKBIDA_MAX_TIMEOUT", "300", "max_timeout", 300),
        ("KKBIDA_KEEP_LIMIT", "0", "keep_limit", 0),
        ("KKBIDA_PORTS", "80, 443,", "ports", frozenset({80, 443})),
        ("KKBIDA_PORTS", "1,65535", "ports", frozenset({1, 65_535})),
        (
            "KKBIDA_ALLOW_NETWORKS",
            "10.0.0.0/8, fd00::/8,192.0.2.1",
            "allow_networks",
            (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32")),
        ),
    ],
)
def test_a_variable_sets_its_setting(variable: str, raw: str, name: str, value: object) -> None:
    assert getattr(load({variable: raw}), name) == value


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("connect_timeout", 1, 60),
        ("default_timeout", 1, 60),
        ("max_timeout", 1, 300),
        ("read_limit", 1024, 16_777_216),
        ("keep_limit", 0, 65_535),
        ("grace", 60, MOST_GRACE),
        ("shards", 1, 64),
        ("in_flight_limit", 1, 120_000),
        ("retention_days", 1, 3650),
    ],
)
def test_a_number_has_bounds_and_says_which(name: str, least: int, most: int) -> None:
    variable = f"KKBIDA_{name.upper()}"
    assert [getattr(load({variable: str(bound)}), name) for bound in (least, most)] == [least, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(
            SettingsError, match=f"^{variable}='{beyond}': must be a whole number from {least} to {most}"
        ):
            load({variable: str(beyond)})


@pytest.mark.parametrize(
    ("variable", "raw"),
    [
        ("KKBIDA_OPEN_API", "yes"),
        ("KKBIDA_OPEN_API", ""),
        ("KKBIDA_OPEN_API", "2"),
        ("KKBIDA_MAX_TIMEOUT", "-5"),
        ("KKBIDA_MAX_TIMEOUT", "5.0"),
        ("KKBIDA_MAX_TIMEOUT", " 5"),
        ("KKBIDA_MAX_TIMEOUT", "５"),
        ("KKBIDA_MAX_TIMEOUT", "5" * 5000),
        ("KKBIDA_SHARDS", ""),
        ("KKBIDA_PORTS", "0"),
        ("KKBIDA_PORTS", "65536"),
        ("KKBIDA_PORTS", "http"),
        ("KKBIDA_ALLOW_NETWORKS", "10.0.0.1/8"),
        ("KKBIDA_ALLOW_NETWORKS", "localhost"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(variable: str, raw: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}="):
        load({variable: raw})


def test_every_wrong_setting_is_named_at_once_with_what_it_is_for() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"KKBIDA_SHARDS": "0", "KKBIDA_PORTS": "x", "KKBIDA_OPEN_API": "maybe", "KKBIDA_TABLE": "fine"})
    lines = str(refused.value).splitlines()
    assert [line.partition("=")[0] for line in lines] == ["KKBIDA_OPEN_API", "KKBIDA_PORTS", "KKBIDA_SHARDS"]
    assert lines[0] == (
        "KKBIDA_OPEN_API='maybe': must be 0 or 1. "
        "1 lets everybody in who can reach the API, as operator and caller. For tests only."
    )


@pytest.mark.parametrize("seconds", ["1", "60", "300"])
def test_a_lease_is_longer_than_the_longest_attempt(seconds: str) -> None:
    settings = load({"KKBIDA_MAX_TIMEOUT": seconds})
    assert settings.lease > settings.max_timeout == int(seconds)


def test_retention_is_days_in_seconds() -> None:
    assert load({"KKBIDA_RETENTION_DAYS": "2"}).retention == 172_800


@pytest.mark.parametrize(
    ("variable", "raw"),
    [
        ("KKBIDA_SMTP_PASSWORD", "hunter2"),
        ("KKBIDA_SMTP", "smtp://robot:hunt/er2hunter2@mail.example:25"),
        ("KKBIDA_SMTP", "smtp://robot:hunter2@mail.example:x"),
        ("KKBIDA_SMTP", "http://robot:hunter2@mail.example"),
    ],
)
def test_a_wrong_setting_is_named_without_the_password_in_it(variable: str, raw: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({variable: raw})
    assert str(refused.value).startswith(f"{variable}=")
    assert "er2" not in str(refused.value)
