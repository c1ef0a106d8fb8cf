"""Commands of operators: resends, targets, channels, callers, signing secrets, operators, audit, status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

import click

from kkbida import operations
from kkbida.cli import say
from kkbida.cli.base import YES, Command, Group, Here, Number, When, chosen_members, confirmed, pass_here, secret_from
from kkbida.cli.ending import Exit, Failure
from kkbida.cli.tasks import follow, resend_sentence
from kkbida.cli.words import counted, local, pairs
from kkbida.client import Client
from kkbida.tasks import moment, moment_text
from kkbida.wire import Json


def at(text: str | None) -> str:
    """A moment of the API, in the time of this computer."""
    return local(moment(text)) if text else ""


def several(values: Sequence[str]) -> str:
    """A list in a cell."""
    return ", ".join(values)


def members(client: Client, route: str, name: str) -> list[Mapping[str, Json]]:
    """What a route lists under a name."""
    return list(client.rows(route, name))


# ── bulk resends ─────────────────────────────────────────────────────────────────────────────────


@click.group(cls=Group)
def resends() -> None:
    """Resends of many tasks: how far they are, and how to stop one. `kkbida resend` begins one."""


@resends.command("list", examples="kkbida resends list")
@pass_here
def list_resends(here: Here) -> None:
    """All of them, newest first."""
    found = members(here.client(), "/v1/resends", "resends")
    rows = [
        {
            "resend id": it["resend_id"],
            "status": it["status"],
            "begun": at(it["started_at"]),
            "by": it["actor"],
            "resent": f"{it['resent']} of {it['matched']}",
            "filter": pairs(it["filter"]),
        }
        for it in found
    ]
    here.voice.many(found, rows, empty="Nobody has resent many tasks yet.")


@resends.command("show", examples="kkbida resends show 7f0c1d7a-7c0b-4f53-8b7e-5a1f0c0ffee1 --follow")
@click.argument("resend_id")
@click.option("--follow", "following", is_flag=True, help="Look on until it is over.")
@pass_here
def show_resend(here: Here, resend_id: str, following: bool) -> None:
    """How far one has come."""
    client = here.client()
    found = client.do(operations.resend_progress(resend_id))
    found = follow(client, found, found["matched"]) if following else found
    here.voice.one(found, resend_sentence(found))


@resends.command("stop", examples="kkbida resends stop 7f0c1d7a-7c0b-4f53-8b7e-5a1f0c0ffee1")
@click.argument("resend_id")
@pass_here
def stop_resend(here: Here, resend_id: str) -> None:
    """Stop one; what it has resent stays resent."""
    found = here.client().do(operations.stop_resend(resend_id))
    here.voice.one(found, resend_sentence(found))


# ── targets ──────────────────────────────────────────────────────────────────────────────────────


@click.group(cls=Group)
def targets() -> None:
    """Where tasks go: pause a target, limit it, give it a breaker."""


@targets.command("list", examples="kkbida targets list")
@pass_here
def list_targets(here: Here) -> None:
    """Every target that is paused or limited, or holds tasks."""
    found = members(here.client(), "/v1/targets", "targets")
    here.voice.many(found, [_target(it) for it in found], empty="No target is paused, limited or holds tasks.")


def _target(it: Mapping[str, Any]) -> say.Row:
    return {
        "target": it["target"],
        "paused": it["paused"],
        "at a time": it["max_concurrency"],
        "a second": it["rate_per_second"],
        "breaker": (it["breaker"] or {}).get("state"),
        "running": it["running"],
        "held": it["held"],
        "changed by": it["updated_by"],
    }


def _change_target(here: Here, target: str, changes: Mapping[str, Json], done: str) -> None:
    here.voice.one(here.client().do(operations.change_target(target, changes)), f"{target} {done}.")


@targets.command("pause", examples="kkbida targets pause https://partner.example:443")
@click.argument("target")
@pass_here
def pause(here: Here, target: str) -> None:
    """Hold a target's tasks. They lose no try."""
    _change_target(here, target, {"paused": True}, "is paused")


@targets.command("resume", examples="kkbida targets resume https://partner.example:443")
@click.argument("target")
@pass_here
def resume(here: Here, target: str) -> None:
    """Let a target's tasks go again."""
    _change_target(here, target, {"paused": False}, "goes on")


LIMITS = ("max_concurrency", "rate_per_second")
BREAKER = ("failure_share", "window", "least_attempts", "open_seconds")


@targets.command(
    "limit",
    examples="""
    kkbida targets limit https://partner.example:443 --concurrency 5 --rate 20
    kkbida targets limit https://partner.example:443 --breaker --failure-share 0.5 --open-seconds 60
    kkbida targets limit https://partner.example:443 --none
    """,
)
@click.argument("target")
@click.option("--concurrency", "max_concurrency", type=int, metavar="NUMBER", help="Attempts at a time, at most.")
@click.option("--rate", "rate_per_second", type=Number(), metavar="NUMBER", help="Attempts a second, at most.")
@click.option("--breaker", is_flag=True, help="Leave it alone for a while when too many attempts fail.")
@click.option("--failure-share", type=Number(), metavar="SHARE", help="Of attempts that must fail for that.")
@click.option("--window", type=Number(), metavar="SECONDS", help="Of which attempts are counted.")
@click.option("--least-attempts", type=int, metavar="NUMBER", help="That must have been made in it.")
@click.option("--open-seconds", type=Number(), metavar="SECONDS", help="Until one attempt is let through to see.")
@click.option("--none", "nothing", is_flag=True, help="Take all limits away.")
@pass_here
def limit(here: Here, /, target: str, breaker: bool, nothing: bool, **given: Any) -> None:
    """Limit a target. What is not said stays as it is."""
    changes = chosen_members(given, LIMITS)
    figures = chosen_members(given, BREAKER)
    if breaker or figures:
        changes["breaker"] = figures
    if nothing:
        changes = dict.fromkeys((*LIMITS, "breaker"))
    if not changes:
        raise click.UsageError("Say a limit, or --none.")
    _change_target(here, target, changes, "has no limits" if nothing else "is limited")


# ── channels ─────────────────────────────────────────────────────────────────────────────────────

KINDS = ["dingtalk", "wecom", "feishu", "lark", "slack", "email", "webhook"]
EVENTS = ["exhausted", "breaker_opened", "breaker_closed"]


@click.group(cls=Group)
def channels() -> None:
    """Where failures are told: robots, e-mail, webhooks."""


@channels.command("list", examples="kkbida channels list")
@pass_here
def list_channels(here: Here) -> None:
    """All channels."""
    found = members(here.client(), "/v1/channels", "channels")
    here.voice.many(found, [_channel(it) for it in found], empty="There is no channel: nobody is told of failures.")


def _channel(it: Mapping[str, Any]) -> say.Row:
    return {
        "channel id": it["channel_id"],
        "kind": it["kind"],
        "url": it["url"],
        "signed": it["has_secret"],
        "from": several(it["source_apps"]),
        "to": several(it["target_apps"]),
        "told of": several(it["events"]),
        "enabled": it["enabled"],
        "memo": it["memo"],
    }


@channels.command(
    "add",
    examples="""
    kkbida channels add dingtalk 'https://oapi.dingtalk.com/robot/send?access_token=...' --ask-secret
    kkbida channels add email mailto:oncall@example.com --from-app orders --event exhausted --event breaker_opened
    """,
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("address", metavar="URL")
@click.option("--ask-secret", is_flag=True, help="Ask for the robot's signing secret, or read it from standard input.")
@click.option("--memo", metavar="TEXT", help="A note for people.")
@click.option(
    "--from-app", "source_apps", multiple=True, metavar="APP", help="Only tasks that come from it; repeat it."
)
@click.option("--to-app", "target_apps", multiple=True, metavar="APP", help="Only tasks that go to it; repeat it.")
@click.option("--event", "events", multiple=True, type=click.Choice(EVENTS), help="What it is told of; repeat it.")
@click.option("--gather", type=Number(), metavar="SECONDS", help="Between two notices, in which failures gather.")
@pass_here
def add_channel(here: Here, /, kind: str, address: str, ask_secret: bool, **given: Any) -> None:
    """Make a channel: failures are told there from now on."""
    named = chosen_members(given, ("memo", "source_apps", "target_apps", "events", "gather"))
    if ask_secret:
        named["secret"] = secret_from("Signing secret of the robot")
    made = here.client().do(
        operations.make("/v1/channels", {"kind": kind, "url": address, **named}, shows="channel_id")
    )
    here.voice.one(made, f"{made['channel_id']}  try it: kkbida channels test {made['channel_id']}")


@channels.command("test", examples="kkbida channels test 5c8f2f0e-8a54-4f0c-93b6-0c0ffee0ace5")
@click.argument("channel_id")
@pass_here
def test_channel(here: Here, channel_id: str) -> None:
    """Send a message to a channel, and say what it answered."""
    heard = here.client().do(operations.test_channel(channel_id))
    here.voice.one(heard, "It took the message." if heard["delivered"] else f"It did not: {heard['reason']}")
    if not heard["delivered"]:
        raise click.exceptions.Exit(Exit.FAILED)


@channels.command("remove", examples="kkbida channels remove 5c8f2f0e-8a54-4f0c-93b6-0c0ffee0ace5 --yes")
@click.argument("channel_id")
@YES
@pass_here
def remove_channel(here: Here, channel_id: str, yes: bool) -> None:
    """Remove a channel."""
    confirmed(f"Remove the channel {channel_id}?", yes=yes)
    here.client().do(operations.remove("/v1/channels/{channel_id}", channel_id=channel_id))
    here.voice.one({"channel_id": channel_id, "removed": True}, "It is gone.")


# ── callers, and the secrets that deliveries are signed with ─────────────────────────────────────

SCOPES = ["submit", "read", "resend"]


@click.group(cls=Group)
def callers() -> None:
    """Machines that submit tasks: keys that act for one app."""


@callers.command("list", examples="kkbida callers list")
@pass_here
def list_callers(here: Here) -> None:
    """All callers. Their secrets are not shown."""
    found = members(here.client(), "/v1/callers", "callers")
    rows = [
        {
            "key id": it["key_id"],
            "app": it["source_app"],
            "may": several(it["scopes"]),
            "from": several(it["networks"]) or "everywhere",
            "user name": it.get("user_name"),
            "made": at(it["created_at"]),
            "memo": it.get("memo"),
        }
        for it in found
    ]
    here.voice.many(found, rows, empty="There is no caller yet: kkbida callers add APP")


@callers.command(
    "add",
    examples="""
    kkbida callers add orders
    kkbida callers add orders --may submit --may read --network 10.1.0.0/16 --memo 'the shop'
    kkbida callers add orders --save
    kkbida callers add '*' --user-name admin --may submit --network 10.1.0.0/16
    """,
)
@click.argument("source_app", metavar="APP")
@click.option("--may", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do; all unless said.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Where it may call from; repeat it.")
@click.option("--memo", metavar="TEXT", help="A note for people.")
@click.option(
    "--user-name",
    metavar="NAME",
    help="For clients of the Java kkbida, which say who they are by name and password. The password is asked for, or "
    "read from standard input; the APP may then be '*', for all.",
)
@click.option("--save", is_flag=True, help="Keep the key in the profile, and do not show its secret.")
@pass_here
def add_caller(here: Here, /, source_app: str, save: bool, **given: Any) -> None:
    """Make a caller. Its secret is shown this once."""
    named = chosen_members(given, ("scopes", "networks", "memo", "user_name"))
    client = here.client()
    name, profile = here.to_keep() if save else here.chosen()
    if "user_name" in named:
        named["password"] = secret_from(f"Password of {named['user_name']}", twice=True)
    made = client.do(operations.make("/v1/callers", {"source_app": source_app, **named}, shows="secret"))
    if save:
        _keep_key(here, name, profile.url, made)
        here.voice.one(made, f"{made['key_id']}  is kept in the profile {name}.")
        return
    here.voice.one(made, f"key id  {made['key_id']}", f"secret  {made['secret']}")
    say.note("The secret is not shown again. The key is known everywhere within five seconds.")


def _keep_key(here: Here, name: str, url: str, made: dict[str, Json]) -> None:
    """Keep a key in a profile. If that fails its secret is shown: it could not be read anywhere any more."""
    key = {"key_id": made["key_id"], "secret": made.pop("secret")}
    try:
        here.keep(name, lambda kept: replace(kept.at(url), **key))
    except Failure:
        here.voice.one({**made, **key}, f"key id  {key['key_id']}", f"secret  {key['secret']}")
        raise


@callers.command("remove", examples="kkbida callers remove key_4f1c0ffee0ace5bad0000001 --yes")
@click.argument("key_id")
@YES
@pass_here
def remove_caller(here: Here, key_id: str, yes: bool) -> None:
    """Remove a caller: within seconds nobody can call with its key."""
    confirmed(f"Remove the caller {key_id}?", yes=yes)
    here.client().do(operations.remove("/v1/callers/{key_id}", key_id=key_id))
    here.voice.one({"key_id": key_id, "removed": True}, "It is gone.")


@click.group("signing-secrets", cls=Group)
def signing_secrets() -> None:
    """What deliveries are signed with, by which receivers know that they are kkbida's."""


@signing_secrets.command("list", examples="kkbida signing-secrets list")
@pass_here
def list_signing_secrets(here: Here) -> None:
    """All of them. Their keys are not shown."""
    found = members(here.client(), "/v1/signing-secrets", "signing_secrets")
    rows = [
        {
            "secret id": it["secret_id"],
            "app": it["source_app"],
            "fingerprint": it["fingerprint"],
            "made": at(it["created_at"]),
        }
        for it in found
    ]
    here.voice.many(found, rows, empty="No app has a signing secret: its deliveries are not signed.")


@signing_secrets.command("add", examples="kkbida signing-secrets add orders")
@click.argument("source_app", metavar="APP")
@pass_here
def add_signing_secret(here: Here, source_app: str) -> None:
    """Make one for an app, beside the one that it may have. It is shown this once."""
    made = here.client().do(operations.make("/v1/signing-secrets", {"source_app": source_app}, shows="secret"))
    here.voice.one(made, f"secret id  {made['secret_id']}", f"secret     {made['secret']}")
    say.note("The secret is not shown again.")


@signing_secrets.command("remove", examples="kkbida signing-secrets remove 1a2b3c4d-0000-4000-8000-0c0ffee0ace5 --yes")
@click.argument("secret_id")
@YES
@pass_here
def remove_signing_secret(here: Here, secret_id: str, yes: bool) -> None:
    """Remove one: within seconds nothing is signed with it."""
    confirmed(f"Remove the signing secret {secret_id}?", yes=yes)
    here.client().do(operations.remove("/v1/signing-secrets/{secret_id}", secret_id=secret_id))
    here.voice.one({"secret_id": secret_id, "removed": True}, "It is gone.")


# ── operators ────────────────────────────────────────────────────────────────────────────────────

ROLES = ["viewer", "operator", "admin"]


@click.group(cls=Group)
def operators() -> None:
    """Humans with a login."""


@operators.command("list", examples="kkbida operators list")
@pass_here
def list_operators(here: Here) -> None:
    """All operators."""
    found = members(here.client(), "/v1/operators", "operators")
    rows = [
        {"name": it["name"], "role": it["role"], "disabled": it["disabled"], "made": at(it.get("created_at"))}
        for it in found
    ]
    here.voice.many(found, rows, empty="There is no operator.")


@operators.command(
    "add",
    examples="""
    kkbida operators add ann --role operator
    pass generate kkbida/ann | kkbida operators add ann --role viewer
    """,
)
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What they may do.")
@pass_here
def add_operator(here: Here, name: str, role: str) -> None:
    """Make an operator. The password is asked for, or read from standard input."""
    body = {"name": name, "role": role, "password": secret_from(f"Password of {name}", twice=True)}
    made = here.client().do(operations.make("/v1/operators", body, shows="name"))
    here.voice.one(made, f"{name} may log in as {role}.")


@operators.command(
    "change",
    examples="""
    kkbida operators change ann --role admin
    kkbida operators change ann --disable
    kkbida operators change ann --new-password
    """,
)
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="What they may do.")
@click.option(
    "--disable/--enable", "disabled", default=None, help="Whether they may log in; --disable ends every login."
)
@click.option("--new-password", is_flag=True, help="Ask for another password, or read it from standard input.")
@pass_here
def change_operator(here: Here, /, name: str, new_password: bool, **given: Any) -> None:
    """Change an operator's role or password, or keep one out."""
    changes = chosen_members(given, ("role", "disabled"))
    if new_password:
        changes["password"] = secret_from(f"New password of {name}", twice=True)
    if not changes:
        raise click.UsageError("Say what to change: --role, --disable, --enable or --new-password.")
    here.voice.one(here.client().do(operations.change_operator(name, changes)), f"{name} is changed.")


@operators.command("remove", examples="kkbida operators remove ann --yes")
@click.argument("name")
@YES
@pass_here
def remove_operator(here: Here, name: str, yes: bool) -> None:
    """Remove an operator: every login of theirs is over. What they did stays in the audit trail."""
    confirmed(f"Remove the operator {name}?", yes=yes)
    here.client().do(operations.remove("/v1/operators/{name}", name=name))
    here.voice.one({"name": name, "removed": True}, f"{name} is gone.")


# ── the audit trail, and how kkbida is doing ─────────────────────────────────────────────────────

PAGE = 100


@click.command(
    cls=Command,
    examples="""
    kkbida audit
    kkbida audit --who operator:ann --since 7d
    kkbida audit --on 0b5e7c1e-5a3c-4d7e-9a2f-1c0ffee15bad --json
    """,
)
@click.option("--who", "actor", metavar="NAME", help="Only what this one did, such as operator:ann.")
@click.option("--on", "subject", metavar="ID", help="Only what was done to this: an id, a target, operator:ann.")
@click.option("--since", type=When(), metavar="WHEN", help="Then or later: a time, or how long ago (2h).")
@click.option("--until", type=When(), metavar="WHEN", help="Before.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="NUMBER", default=50, show_default=True, help="Entries to show, at most."
)
@pass_here
def audit(here: Here, /, limit: int, **given: Any) -> None:
    """What operators did: who, what, on what, from where, when."""
    found = list(islice(_audits(here.client(), given), limit))
    rows = [
        {
            "at": at(it["at"]),
            "who": it["actor"],
            "did": it["action"],
            "on": it["subject"],
            "result": it["result"],
            "from": it["address"],
            "detail": pairs(it["detail"]),
        }
        for it in found
    ]
    here.voice.many(found, rows, empty="Nothing was done yet.")


def _audits(client: Client, given: Mapping[str, Any]) -> Iterator[Mapping[str, Json]]:
    asked = {name: moment_text(it) if isinstance(it, datetime) else it for name, it in given.items()}
    cursor: str | None = None
    while True:
        page = client.do(operations.show("/v1/audit", query={**asked, "cursor": cursor, "limit": str(PAGE)}))
        yield from page["audits"]
        cursor = page["cursor"]
        if cursor is None:
            return


@click.command(cls=Command, examples="kkbida status\nkkbida status --json")
@pass_here
def status(here: Here) -> None:
    """How kkbida is doing: its health, its ledger, how many tasks stand where."""
    client = here.client()
    shown = {
        "health": client.do(operations.show("/v1/health")),
        "ledger": client.do(operations.show("/v1/ledger")),
        "totals": client.do(operations.show("/v1/stats", operations.member("totals"))),
    }
    if here.as_json:
        say.document(shown)
        return
    say.line(_state(shown), "bold")
    say.facts(shown["totals"])


def _state(shown: Mapping[str, Any]) -> str:
    balance = {True: "the ledger adds up", False: "the ledger does not add up", None: "the ledger was not checked yet"}
    accepted = counted(shown["totals"]["accepted"], "task")
    return f"kkbida is {shown['health']['status']}; {balance[shown['ledger']['balanced']]}; {accepted} accepted."
