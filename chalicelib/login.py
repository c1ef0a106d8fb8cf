"""Logging in and out.

    too many failures of late? ──> 429          by name and by address; a device that is known has a count of its own
    one more, should it fail
    name and password right?   ──> 401          as slowly when there is no such name
    a session, the count begins anew

A failure is counted before the password is looked at, so that many tries at a time gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib import lockout, log, operators, user_names
from chalicelib.admin import Decided, new_password, save_operator
from chalicelib.auth import Identity, cookies_of, entry, note_refusal, operator_named
from chalicelib.call import Call
from chalicelib.errors import Forbidden, LoginFailed, SessionOver
from chalicelib.lockout import Counts, digest, network_of
from chalicelib.operators import BY_ADDRESS, BY_NAME
from chalicelib.ports import World
from chalicelib.task import Operator, Roster, Session, evolve

DEVICE = "kkbida_device"
"""The cookie of a device from which somebody has logged in. It opens nothing: it sets the tries there apart."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has just begun, and the values of its two cookies."""

    operator: Operator
    session: Session
    cookie: str
    mark: str


def login(world: World, call: Call, name: str, password: str) -> Opened:
    """Begin a session. Raises LoginFailed or LockedOut."""
    operator = _find(world, name)
    _require_right(world, call, name, operator, password=password, action="login")
    assert operator is not None, "the password is right"
    log.event("login.done", metrics={"Logins": 1}, operator=operator.name, address=call.address)
    return open_session(world, operator, call, "login")


def logout(world: World, who: Identity) -> None:
    """End a session. Raises Forbidden when there is none."""
    session = _session_of(who)
    world.store.end_session(session.session_id, entry(world, who, "logout", who.name))
    log.event("login.ended", operator=session.operator)


def change_password(world: World, call: Call, who: Identity, current: str, new: str) -> Opened:
    """Change one's own password: all sessions are over, and a new one begins.

    Raises LoginFailed, LockedOut, InvalidRequest, SessionOver, or Forbidden when who asks has no password.
    """
    name = _session_of(who).operator
    operator = world.store.operator(name)
    _require_right(world, call, name, operator, password=current, action="change-password")
    changes = new_password(world, name, new, "/new")

    def changed(roster: Roster) -> Decided:
        there = roster.find(name)
        if there is None or operator is None or there.password != operator.password:
            raise SessionOver("Somebody else has changed or removed this operator; log in again.")
        return evolve(there, **changes), entry(world, who, "change-password", who.name)

    saved = save_operator(world, changed)
    log.event("operator.password_changed", operator=name)
    return open_session(world, saved, call)


def open_session(world: World, operator: Operator, call: Call, action: str | None = None) -> Opened:
    """Begin a session without a word; with an action, it is audited."""
    token = world.random.randbytes(operators.TOKEN_BYTES)
    settings, now = world.settings, world.clock.now()
    session = operators.begin(operator, token, now=now, idle=settings.session_idle, longest=settings.session_longest)
    named = operator_named(operator.name)
    world.store.add_session(session, entry(world, Identity(named, call.address), action, named) if action else None)
    mark = operators.make_mark(operator, world.random.randbytes(16))
    return Opened(operator, session, operators.make_cookie(operator.name, token), mark)


def _session_of(who: Identity) -> Session:
    if who.session is None:
        raise Forbidden("Only an operator who has logged in can do this.")
    return who.session


def _require_right(
    world: World, call: Call, name: str, operator: Operator | None, *, password: str, action: str
) -> None:
    """Look at a password, unless too many were wrong. Raises LoginFailed or LockedOut."""
    counts = _counts(call, name, operator)
    with lockout.one_at_a_time(counts):
        lockout.count(world, counts)
        if not _is_right(operator, password):
            raise _failed(world, call, operator, counts, action)
        lockout.forgive(world, counts)


def _find(world: World, name: str) -> Operator | None:
    """The operator of that name, as it is stored or normalised; all are read only for names of before that rule."""
    for spelling in dict.fromkeys((name, user_names.normalised(name))):
        if operators.is_name(spelling) and (found := world.store.operator(spelling)):
            return found
    return user_names.find(world.store.roster().operators, name) if operators.is_name(name) else None


def _is_right(operator: Operator | None, password: str) -> bool:
    """Whether it is the operator's password. It takes as long when there is no such operator, or it is disabled."""
    right = operators.is_password(password, operator.password if operator else operators.nobodys_password())
    return right and operator is not None and not operator.disabled


# ── tries ────────────────────────────────────────────────────────────────────────────────────────


def _counts(call: Call, name: str, operator: Operator | None) -> Counts:
    """A device from which this operator has logged in has a count of its own, which nobody else can raise."""
    mark = cookies_of(call).get(DEVICE, "")
    if operator is not None and operators.is_mark(operator, mark):
        return [(f"device:{digest(mark)}", BY_NAME)]
    return [
        (f"name:{digest(user_names.normalised(name))}", BY_NAME),
        (f"address:{network_of(call.address)}", BY_ADDRESS),
    ]


def _failed(world: World, call: Call, operator: Operator | None, counts: Counts, action: str) -> LoginFailed:
    """What is answered to a try that has failed, once it is noted. A name that nobody has is left out: it may be a
    password."""
    who = Identity(operator_named(operator.name) if operator else "nobody", call.address)
    wait = lockout.wait_of(world, counts)
    refusal = LoginFailed("The name or the password is wrong.")
    note_refusal(world, who, action, who.name if operator else "login", refusal, locked_for=wait)
    log.event("login.failed", metrics={"LoginsFailed": 1}, actor=who.name, address=call.address, locked_for=wait)
    return refusal
