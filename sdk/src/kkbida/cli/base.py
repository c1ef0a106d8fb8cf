"""What all commands share: their common options, their examples, who asks, how they end."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import click

from kkbida import operations
from kkbida.cli import profiles, say
from kkbida.cli.ending import Exit, Failure
from kkbida.cli.profiles import BadProfile, Named, Profile, Profiles
from kkbida.client import Client
from kkbida.credentials import Credentials, Nobody
from kkbida.errors import Forbidden, KkbidaError, Refused, Unauthorized
from kkbida.talk import Patience
from kkbida.tasks import moment

Function = TypeVar("Function", bound=Callable[..., Any])


# ── what the options say ─────────────────────────────────────────────────────────────────────────

PATIENCE = Patience(total=20)
"""A person waits less long than a program."""


@dataclass
class Here:
    """This run of the command line: what the common options say, and what follows from it."""

    named: Named = field(default_factory=Named)
    as_json: bool = False

    @property
    def voice(self) -> say.Voice:
        """How results are put out."""
        return say.Voice(self.as_json)

    @property
    def profiles(self) -> Profiles:
        """The file of profiles. Raises Failure."""
        try:
            return Profiles(profiles.default_path(os.environ))
        except BadProfile as error:
            raise Failure(str(error), Exit.USAGE) from error

    def chosen(self) -> tuple[str, Profile]:
        """The profile that is used, and its name. Raises Failure."""
        try:
            return profiles.choose(self.named, os.environ, self.profiles)
        except BadProfile as error:
            raise Failure(str(error), Exit.USAGE) from error

    def client(self, *, first: str = "session") -> Client:
        """A client of the profile's API. Of two who may ask, `first` does: the `session`, or the `caller`."""
        profile = self._logged_in() if first == "session" else self.reachable()
        return self.as_one(profile, profile.who(first=first))

    def _logged_in(self) -> Profile:
        """The profile; at a local run, its user is logged in."""
        profile = self.reachable()
        return self._at_home(profile) if self.named.local else profile

    def _at_home(self, profile: Profile) -> Profile:
        """The profile of a local run, logged in with the password that the run has written down, if it wrote one."""
        access = profiles.read_access(profiles.folder_of_local_run(os.environ))
        if "operator" not in access or self._is_known(profile):
            return profile
        session = self.as_one(profile, Nobody()).do(
            operations.login(access["operator"], access["password"], profile.device)
        )
        self.keep(profiles.LOCAL, lambda known: known.at(profile.url).logged_in(session))
        return profile.logged_in(session)

    def _is_known(self, profile: Profile) -> bool:
        """Whether the session that was kept is still one: a local run may have been begun anew."""
        if profile.session is None:
            return False
        try:
            self.as_one(profile, profile.session).do(operations.show("/v1/me"))
        except Unauthorized:
            return False
        return True

    def reachable(self) -> Profile:
        """The profile, which has a URL. Raises Failure."""
        name, profile = self.chosen()
        if not profile.url:
            raise Failure(
                f"Where is kkbida? There is no profile {name!r}. Make one: kkbida profiles add {shlex.quote(name)} "
                "--url https://...; or say --url, or --local for a local run.",
                Exit.USAGE,
            )
        return profile

    def as_one(self, profile: Profile, who: Credentials) -> Client:
        """A client for somebody. Raises Failure for a URL that is none."""
        try:
            return Client(profile.url, credentials=who, patience=PATIENCE)
        except ValueError as error:
            raise Failure(str(error), Exit.USAGE) from error

    def to_keep(self) -> tuple[str, Profile]:
        """As `chosen`, where something is to be kept. Raises Failure when the profile would come to ask elsewhere, or
        has a name that no profile can have."""
        name, profile = self.chosen()
        try:
            known = self.profiles.find(profiles.checked_name(name))
        except BadProfile as error:
            raise Failure(str(error), Exit.USAGE) from error
        if known.url not in ("", profile.url) and not self.named.local:
            raise Failure(f"The profile {name} asks {known.url}. Name another one: --profile", Exit.USAGE)
        return name, profile

    def keep(self, name: str, change: Callable[[Profile], Profile]) -> Profile:
        """Change a profile from what it is at that moment, and keep it. Raises Failure."""
        try:
            return self.profiles.change(name, change)
        except BadProfile as error:
            raise Failure(str(error), Exit.USAGE) from error


def _name(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep what an option says about where to ask, wherever in the command line it stood."""
    here = context.find_root().ensure_object(Here)
    if value:
        here.named = replace(here.named, **{str(option.name): value})


def _as_json(context: click.Context, _: click.Parameter, value: Any) -> None:
    here = context.find_root().ensure_object(Here)
    here.as_json = here.as_json or bool(value)


def _profile_names(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """For completion."""
    try:
        return [name for name in Here().profiles.all() if name.startswith(begun)]
    except BadProfile:
        return []


COMMON = (
    click.Option(
        ["--profile"],
        expose_value=False,
        callback=_name,
        shell_complete=_profile_names,
        metavar="NAME",
        help="The profile to use (KKBIDA_PROFILE).",
    ),
    click.Option(
        ["--url", "api"],
        expose_value=False,
        callback=_name,
        metavar="URL",
        help="The API to ask, of which no profile knows (KKBIDA_URL).",
    ),
    click.Option(
        ["--local"],
        expose_value=False,
        callback=_name,
        is_flag=True,
        help="The local run of this folder, whose data is in .local, or in DATA.",
    ),
    click.Option(
        ["--json"],
        expose_value=False,
        callback=_as_json,
        is_flag=True,
        help="For programs: a JSON document, or a JSON line for each of many.",
    ),
)
"""The options that every command has."""


class Command(click.Command):
    """A command with the common options, whose help ends with examples."""

    def __init__(self, *given: Any, examples: str = "", **more: Any) -> None:
        more["params"] = [*(more.get("params") or []), *COMMON]
        super().__init__(*given, **more)
        self.examples = [it.strip() for it in examples.strip().splitlines()]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        with formatter.section("Examples"):
            formatter.write("".join(f"  {example}\n" for example in self.examples))
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


def explained(error: KkbidaError, here: Here) -> str:
    """What went wrong, and what to do about it where that is known."""
    told = [str(error)]
    if isinstance(error, Refused) and error.faults:
        told = [error.detail, *(f"  {fault.pointer}: {fault.detail}" for fault in error.faults)]
    if isinstance(error, (Unauthorized, Forbidden)) and error.code not in EXPLAINED:
        told.append(_remedy(error, here))
    return "\n".join(told)


EXPLAINED = frozenset({"login_failed", "signature_stale", "wrong_network"})
"""Codes whose detail says all that is to be said."""


def _remedy(error: Refused, here: Here) -> str:
    """What to do when kkbida does not know who asks, or that one may not."""
    name, profile = here.chosen()
    login = (
        f"kkbida login --profile {shlex.quote(name)}"
        if name not in (profiles.DEFAULT, profiles.LOCAL)
        else "kkbida login"
    )
    if isinstance(error, Forbidden):
        return f"Ask as an operator who may: {login}"
    if profile.session:
        return f"The login of {profile.operator} is over. Log in again: {login}"
    if profile.caller:
        return f"The key {profile.key_id} was not accepted. Ask as an operator: {login}"
    return (
        f"Log in as an operator: {login}; or give the profile a caller's key: kkbida profiles add {shlex.quote(name)}"
    )


# ── what commands take ───────────────────────────────────────────────────────────────────────────

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class When(click.ParamType):  # type: ignore[type-arg]  # older versions of click have none
    """A moment: RFC 3339, or how long ago: `30m`, `2h`, `7d`. With `ahead`, in how long instead."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self.sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment. Fails when it is none."""
        if isinstance(value, datetime):
            return value
        try:
            return self._read(value)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is neither a time such as 2026-12-01T08:00:00Z nor a span such as 2h", param, ctx)

    def _read(self, text: str) -> datetime:
        """The moment in a text; without a zone it is this computer's. Raises ValueError, OverflowError."""
        number, unit = text[:-1], text[-1:]
        if number.isdecimal() and unit in UNITS:
            return datetime.now(timezone.utc) + self.sign * timedelta(seconds=int(number) * UNITS[unit])
        found = moment(text)
        return found.astimezone(timezone.utc)  # as it is sent: this fails at both ends of the calendar


class Number(click.FloatRange):
    """A number that is one: neither NaN nor infinite, which JSON has not and no clock reaches."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails when it is none."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Pair(click.ParamType):  # type: ignore[type-arg]  # as above
    """A name and a value, such as `order=42`."""

    def __init__(self, between: str, name: str) -> None:
        self.between = between
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Both. Fails when the sign between them is missing."""
        if isinstance(value, tuple):
            return value
        name, found, rest = value.partition(self.between)
        if not found or not name.strip():
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return name.strip(), rest.strip()


def options(*given: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Several options at once, in the order in which help shows them."""

    def decorate(function: Function) -> Function:
        for option in reversed(given):
            function = option(function)
        return function

    return decorate


pass_here = click.make_pass_decorator(Here, ensure=True)


def secret_from(prompt: str, *, twice: bool = False) -> str:
    """A password or a secret: asked for without echo, or a line of standard input where that is no terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
    try:
        secret = sys.stdin.readline().removeprefix("\ufeff").rstrip("\r\n")
        secret.encode()
    except UnicodeError as error:
        raise Failure(f"{prompt}: standard input is not UTF-8.", Exit.USAGE) from error
    if not secret:
        raise Failure(f"{prompt}: standard input has no line for it, or an empty one.", Exit.USAGE)
    return secret


def confirmed(question: str, *, yes: bool) -> None:
    """Ask, unless it is said already. Ends the command when the answer is no, or when nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("Nobody can be asked here. Say --yes.", Exit.USAGE)
    click.confirm(question, abort=True, err=True)


YES = click.option("--yes", is_flag=True, help="Do not ask.")


def chosen_members(given: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What was given of some options."""
    return {name: given[name] for name in names if given[name] not in (None, ())}
