"""Commands about who asks: login, logout, whoami, password, profiles; and completion for shells."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click
from click.shell_completion import get_completion_class

from kkbida import operations
from kkbida.cli import say
from kkbida.cli.base import Command, Group, Here, pass_here, secret_from
from kkbida.cli.ending import Exit, Failure
from kkbida.cli.profiles import BadProfile, Profile, checked_name
from kkbida.credentials import Nobody
from kkbida.errors import Unauthorized


@click.command(
    cls=Command,
    examples="""
    kkbida login
    kkbida login --name ann --profile prod
    pass show kkbida/ann | kkbida login --name ann
    """,
)
@click.option("--name", metavar="NAME", help="Who you are; asked for unless said.")
@pass_here
def login(here: Here, name: str | None) -> None:
    """Log in as an operator. The password is asked for, or read from standard input; the profile keeps the session."""
    here.reachable()
    known, profile = here.to_keep()
    who = name or str(click.prompt("Name", err=True))
    session = here.as_one(profile, Nobody()).do(
        operations.login(who, secret_from(f"Password of {who}"), profile.device)
    )
    here.keep(known, lambda kept: kept.at(profile.url).logged_in(session))
    here.voice.one({"profile": known, "name": session.name}, f"You are {session.name} in the profile {known}.")


@click.command(cls=Command, examples="kkbida logout")
@pass_here
def logout(here: Here) -> None:
    """End the session, here and at kkbida."""
    name, profile = here.chosen()
    if profile.session is None:
        raise Failure(f"Nobody is logged in with the profile {name}.", Exit.USAGE)
    try:
        here.as_one(profile, profile.session).do(operations.logout())
    except Unauthorized:
        say.note("The session was over already.")
    here.keep(name, Profile.logged_out)
    here.voice.one({"profile": name, "name": None}, "You are logged out.")


@click.command(cls=Command, examples="kkbida whoami")
@pass_here
def whoami(here: Here) -> None:
    """Who asks, and where: the operator who is logged in, or the caller's key."""
    name, profile = here.chosen()
    me = here.client().do(operations.show("/v1/me"))
    if here.as_json:
        say.document({"profile": name, "url": profile.url, **{it: me[it] for it in me if it != "csrf_token"}})
        return
    rights = ", ".join(me["rights"])
    app = me["source_app"]
    say.facts({"profile": name, "url": profile.url, "name": me["name"], "role": me["role"], "app": app, "may": rights})


@click.command(cls=Command, examples="kkbida password")
@pass_here
def password(here: Here) -> None:
    """Change your own password. Both are asked for, or read from standard input, a line each."""
    name, profile = here.chosen()
    if profile.session is None:
        raise Failure(f"Nobody is logged in with the profile {name}.", Exit.USAGE)
    current = secret_from("Current password")
    change = operations.change_password(profile.session, current, secret_from("New password", twice=True))
    session = here.as_one(profile, profile.session).do(change)
    me = here.as_one(profile, session).do(operations.show("/v1/me"))
    here.keep(name, lambda kept: kept.logged_in(replace(session, csrf_token=me["csrf_token"])))
    here.voice.one({"changed": True}, "Your password is changed, and your logins elsewhere are over.")


@click.group("profiles", cls=Group)
def profiles() -> None:
    """Where kkbida is, and who asks there, under names of your own. Kept in ~/.config/kkbida/profiles.ini, mode 600."""


@profiles.command("list", examples="kkbida profiles list")
@pass_here
def list_profiles(here: Here) -> None:
    """All profiles. Their secrets are not shown."""
    found = _all(here)
    shown = [{"profile": name, **_shown(profile)} for name, profile in found.items()]
    here.voice.many(shown, shown, empty="There is none yet: kkbida profiles add default --url https://...")


def _shown(profile: Profile) -> dict[str, Any]:
    told = asdict(profile)
    return {name: told[name] or None for name in ("url", "key_id", "operator")}


def _all(here: Here) -> dict[str, Profile]:
    try:
        return here.profiles.all()
    except BadProfile as error:
        raise Failure(str(error), Exit.USAGE) from error


@profiles.command(
    "add",
    examples="""
    kkbida profiles add default --url https://kkbida.example
    kkbida profiles add prod --url https://kkbida.example --key-id key_4f1c0ffee0ace5bad0000001
    """,
)
@click.argument("name")
@click.option("--key-id", metavar="KEY", help="A caller's key. Its secret is asked for, or read from standard input.")
@pass_here
def add_profile(here: Here, name: str, key_id: str | None) -> None:
    """Make a profile, or change one: its URL (--url), its caller's key."""
    try:
        known = here.profiles.find(checked_name(name))
    except BadProfile as error:
        raise Failure(str(error), Exit.USAGE) from error
    if not (url := here.named.api or known.url):
        raise click.UsageError("Say where it is: --url https://...")
    here.as_one(Profile(url), Nobody())
    key = {"key_id": key_id, "secret": secret_from(f"Secret of {key_id}")} if key_id else {}
    changed = here.keep(name, lambda kept: replace(kept.at(url), **key))
    here.voice.one({"profile": name, **_shown(changed)}, f"The profile {name} asks {changed.url}.")


@profiles.command("remove", examples="kkbida profiles remove prod")
@click.argument("name")
@pass_here
def remove_profile(here: Here, name: str) -> None:
    """Forget a profile, with its key and its session."""
    try:
        found = here.profiles.remove(name)
    except BadProfile as error:
        raise Failure(str(error), Exit.USAGE) from error
    if not found:
        raise Failure(f"There is no profile {name}.", Exit.NOT_FOUND)
    here.voice.one({"profile": name, "removed": True}, "It is forgotten.")


@click.command(
    cls=Command,
    examples="""
    eval "$(kkbida completion bash)"
    kkbida completion fish > ~/.config/fish/completions/kkbida.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """The script that lets a shell complete commands, options and profiles."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these three"
    click.echo(kind(context.find_root().command, {}, "kkbida", "_KKBIDA_COMPLETE").source())
