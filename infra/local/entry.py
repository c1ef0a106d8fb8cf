"""How whoever has started it gets in: an admin, a caller, and a session for curl, made where they are not there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from chalicelib import admin, login, operators
from chalicelib.auth import COOKIE, Identity
from chalicelib.call import Call
from chalicelib.errors import NameTaken, Unavailable
from chalicelib.ports import World
from chalicelib.task import Caller, Operator

NAME = "admin"
"""The operator that is made when there is none."""

APP = "default"
"""The source app of the caller."""

WHO = Identity("local run", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Entry:
    """The ways in. `access`: what goes into access.json; `curl`: a configuration of curl, None when nobody may log in.

    `is_new`: the admin was made just now.
    """

    access: Mapping[str, str]
    curl: str | None
    is_new: bool = False


def ensure(world: World, known: Mapping[str, str]) -> Entry:
    """The ways in, of which those that are `known` from the last start stay as long as they are right."""
    return _first(world) or _again(world, known)


def _first(world: World) -> Entry | None:
    """The first admin, where there is no operator. None: there is; or another run, at the same emulator, was faster."""
    if world.store.roster().operators:
        return None
    password = secrets.token_urlsafe(15)
    with suppress(NameTaken):
        made = admin.create_operator(world, WHO, {"name": NAME, "role": "admin", "password": password})
        return _entry(world, made, password, is_new=True)
    return None


def _again(world: World, known: Mapping[str, str]) -> Entry:
    name, password = known.get("operator", NAME), known.get("password", "")
    there = world.store.roster().find(name)
    is_right = there is not None and password != "" and operators.is_password(password, there.password)
    return _entry(world, there, password if is_right else "", is_new=False)


def _entry(world: World, operator: Operator | None, password: str, *, is_new: bool) -> Entry:
    """A password that somebody has changed is not known here any more."""
    access = {"operator": operator.name, "password": password} if operator and password else {}
    curl = _curl(world, operator) if operator and not operator.disabled else None
    return Entry({**_caller(world), **access}, curl, is_new)


def _curl(world: World, operator: Operator) -> str:
    """The cookie and the header of a new session, as `curl -K` reads them."""
    opened = login.open_session(world, operator, Call(address=WHO.address), "login")
    return (
        f"# A session of the operator {operator.name}, made when the local run was started.\n"
        f'cookie = "{COOKIE}={opened.cookie}"\n'
        f'header = "X-CSRF-Token: {operators.csrf_token(opened.cookie)}"\n'
    )


def _caller(world: World) -> dict[str, str]:
    """The caller of an earlier start, or a new one; none at an emulator without a Parameter Store."""
    with suppress(Unavailable):
        there = next((it for it in world.store.callers() if _is_ours(it)), None)
        if there is not None and there.key_id in world.keyring.callers():
            return {"key_id": there.key_id, "secret": world.keyring.make_secret(there.key_id)}
        made, secret = admin.create_caller(world, WHO, {"source_app": APP, "memo": "made by the local run"})
        return {"key_id": made.key_id, "secret": secret}
    return {}


def _is_ours(caller: Caller) -> bool:
    return (caller.source_app, caller.created_by) == (APP, WHO.name)
