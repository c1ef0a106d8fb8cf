"""Who is asking, and whether they may: a caller by its signature (`message_signature.py`), or at the predecessor's own
route by user name and password; an operator by the cookie of a session (`operators.py`); or, where the API is opened by
the setting `open_api`, anyone."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain

from chalicelib import lockout, log, message_signature, operators, signed_query
from chalicelib.call import Call
from chalicelib.errors import (
    CsrfTokenWrong,
    Forbidden,
    Refusal,
    Replayed,
    SessionOver,
    SignatureIncomplete,
    SignatureStale,
    SignatureWrong,
    Unauthorized,
    Unavailable,
    WrongNetwork,
)
from chalicelib.lockout import Counts
from chalicelib.message_signature import Signature
from chalicelib.operators import BY_CLIENT
from chalicelib.ports import World
from chalicelib.task import DONE, RIGHTS, Audit, Caller, Json, Right, Role, Session, Tries, evolve

WINDOW = 300
"""Seconds by which the clock of a caller may be wrong, and a request may be late."""

CLOCK_TOLERANCE_SECONDS = 60
"""By how much clocks may differ where a moment of one computer is compared with the clock of another."""

COOKIE = "kkbida_session"
"""The cookie of a session."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking.

    `name`: for the audit trail; `address`: where the request came from. `source_app`: the only one that it acts for,
    None for all. `nonce`: of a signed request. `role`, `session` and its `csrf_token`: of an operator.
    """

    name: str
    address: str
    rights: frozenset[Right] = frozenset()
    source_app: str | None = None
    nonce: str | None = None
    role: Role | None = None
    session: Session | None = None
    csrf_token: str | None = None

    @property
    def kind(self) -> str:
        """`operator`, `caller` or `anyone`; or `nobody`, where everybody may ask."""
        return self.name.partition(":")[0]

    @property
    def is_program(self) -> bool:
        """Whether it is an API key, which is not shown who the users are."""
        return self.kind == "caller"

    @property
    def account(self) -> str:
        """Whose idempotency and ordering keys these are: an app's, whichever of its keys it calls with."""
        return self.name if self.source_app is None else f"app:{self.source_app}"

    def only(self, source_app: str | None) -> str | None:
        """The app to look at when this one is asked for. Raises Forbidden for one of others."""
        if self.source_app is not None and source_app not in (None, self.source_app):
            raise Forbidden(f"{self.name} sees the tasks of {self.source_app} only.")
        return source_app if self.source_app is None else self.source_app

    def key_of(self, index: int | None = None) -> str | None:
        """The idempotency key of a signed submission that has none: the same request again is the same task.

        A nonce belongs to its key, though idempotency keys belong to the app: two callers may have the same one.
        """
        if self.nonce is None:
            return None
        of = f"nonce:{self.name}:{self.nonce}"
        return of if index is None else f"{of}:{index}"


NOBODY = Identity("nobody", "")
"""Who asks where everybody may ask."""


def identify(world: World, method: str, call: Call) -> Identity:
    """Who asks. Beside a cookie, a signature decides. Raises Unauthorized, one of its kinds, or WrongNetwork."""
    if call.headers.keys() & {"signature", "signature-input"}:
        return _caller(world, method, call, _checked(world, method, call))
    if cookie := cookies_of(call).get(COOKIE):
        return _operator(world, call, cookie)
    if not world.settings.open_api:
        raise Unauthorized(
            "Sign the request by RFC 9421 with the key of a caller (docs/signing.md), or log in (docs/operators.md)."
        )
    return Identity("anyone", call.address, frozenset(Right))


def admit(world: World, who: Identity, method: str, call: Call, right: Right | None, *, same_again: bool) -> None:
    """Let in who asks, or not; None: no right is needed.

    `same_again`: the same call again does no more than once, by its idempotency key. Others that change something, and
    are signed, are taken once. Raises Forbidden, one of its kinds, or Replayed.
    """
    if right is not None and right not in who.rights:
        raise Forbidden(f"This needs the right to {right}; {who.name} has {', '.join(sorted(who.rights)) or 'none'}.")
    if method == "GET":
        return
    if who.csrf_token is not None and not _is_same(who.csrf_token, call.headers.get("x-csrf-token", "")):
        raise CsrfTokenWrong("Send the csrf_token of POST /v1/login or GET /v1/me in the header X-CSRF-Token.")
    if who.nonce is not None and not same_again:
        _require_new(world, who)


def _is_same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))


# ── the audit trail ──────────────────────────────────────────────────────────────────────────────

MINUTE = 60
"""Seconds in which the same refusal of the same one is noted once: nobody fills the store with refusals."""


def entry(
    world: World,
    who: Identity,
    action: str,
    subject: str,
    detail: Mapping[str, Json] | None = None,
    *,
    result: str = DONE,
) -> Audit:
    """What somebody does, for the audit trail."""
    now = world.clock.now()
    return Audit(
        at=now,
        actor=who.name,
        action=action,
        subject=subject,
        address=who.address,
        detail=detail or {},
        result=result,
    )


def note_refusal(world: World, who: Identity, action: str, subject: str, refusal: Refusal, **detail: Json) -> None:
    """Put it into the audit trail that somebody was refused an action, once a minute for each sort of refusal."""
    now = world.clock.now()
    once = f"refusal:{who.name}:{action}:{refusal.code}:{int(now // MINUTE)}"
    if world.store.use_once(once, now + 2 * MINUTE):
        world.store.note(entry(world, who, action, subject, {"why": refusal.detail, **detail}, result=refusal.code))


# ── a session ────────────────────────────────────────────────────────────────────────────────────


def cookies_of(call: Call) -> dict[str, str]:
    """The cookies of a request; of several with one name, the first."""
    pairs = (part.strip().partition("=") for part in call.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in reversed([*pairs])}


def operator_named(name: str) -> str:
    """An operator, as the audit trail names one."""
    return f"operator:{name}"


def _operator(world: World, call: Call, cookie: str) -> Identity:
    """The operator whose session it is, which goes on by that. Raises SessionOver."""
    try:
        name, session_id = operators.read_cookie(cookie)
    except ValueError as error:
        raise SessionOver("The cookie is none of kkbida's; log in again.") from error
    session, operator = world.store.session(session_id, name)
    now = world.clock.now()
    if session is None or operator is None or not operators.is_live(session, operator, now):
        raise SessionOver("It has expired, or was ended; log in again.")
    if later := operators.prolonged(session, now=now, idle=world.settings.session_idle):
        with suppress(Unavailable):  # the next request will do it
            world.store.save_session(later)
    return Identity(
        operator_named(operator.name),
        call.address,
        RIGHTS[operator.role],
        role=operator.role,
        session=later or session,
        csrf_token=operators.csrf_token(cookie),
    )


# ── a signed request ─────────────────────────────────────────────────────────────────────────────


def _checked(world: World, method: str, call: Call) -> Signature:
    """The signature, as far as anybody can check it: it is recent, covers what it must, and the digest is the body's.

    Raises SignatureIncomplete, SignatureStale or DigestWrong.
    """
    signature = message_signature.read(call.headers)
    if missing := [name for name in _must_cover(call) if name not in signature.covered]:
        raise SignatureIncomplete(f"The signature of this {method} must cover {', '.join(missing)} as well.")
    now = world.clock.now()
    if abs(now - signature.created) > WINDOW or _is_over(signature.expires, now):
        raise SignatureStale(
            f"It was made at {signature.created}, and now is {int(now)}; {WINDOW} seconds are let pass."
        )
    if "content-digest" in signature.covered:
        message_signature.check_digest(call.headers.get("content-digest", ""), call.body)
    return signature


def _is_over(expires: int | None, now: float) -> bool:
    """Whether the signature's own end has passed, with tolerance: the signer's clock may be behind ours."""
    return expires is not None and expires + CLOCK_TOLERANCE_SECONDS < now


def _must_cover(call: Call) -> Iterator[str]:
    yield from ("@method", "@path", "@query")
    if call.body:
        yield from ("content-digest", "content-type")
    if "idempotency-key" in call.headers:  # else whoever saw a request could make a second task of it
        yield "idempotency-key"


_NOBODYS_SECRET = secrets.token_urlsafe(32)
"""What signatures of unknown keys are compared with, so that they take as long as others."""


def _caller(world: World, method: str, call: Call, signature: Signature) -> Identity:
    """The caller whose signature it is. Raises SignatureIncomplete, SignatureWrong or WrongNetwork."""
    values = {**call.headers, "@method": method, "@path": call.url_path, "@authority": call.headers.get("host", "")}
    bases = (
        message_signature.base_of(signature, {**values, "@query": query})
        for query in signed_query.spellings(call.query)
    )
    usual = next(bases)
    caller, secret = world.keyring.caller(signature.key_id) or (None, _NOBODYS_SECRET)
    signed = (message_signature.sign(secret, base) for base in chain((usual,), bases))
    if not any(hmac.compare_digest(each, signature.value) for each in signed) or caller is None:
        lines = usual.decode("utf-8", "replace")
        raise SignatureWrong(f"No key of that id has signed what came. It was compared over these lines:\n{lines}")
    if not _is_within(call.address, caller.networks):
        raise WrongNetwork(f"The key {caller.key_id} may not be used from {call.address or 'an unknown address'}.")
    return _identity(caller, call, signature.nonce)


def _identity(caller: Caller, call: Call, nonce: str | None = None) -> Identity:
    rights = frozenset(Right(scope) for scope in caller.scopes)
    return Identity(f"caller:{caller.key_id}", call.address, rights, caller.only_app, nonce)


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the networks; where there is none, any does."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in ipaddress.ip_network(network) for network in networks)


# ── a client of the predecessor ──────────────────────────────────────────────────────────────────


def names_itself(call: Call) -> bool:
    """Whether a request says by a user name or a password who asks."""
    return bool(call.headers.keys() & {"username", "password"})


def identify_by_name(world: World, call: Call) -> Identity:
    """Who asks by the headers `username` and `password`.

    As with the predecessor, an address outside the networks of all these callers is refused before anything else.
    Raises WrongNetwork, Unauthorized or LockedOut.
    """
    networks = [caller.networks for caller, _ in world.keyring.callers().values() if caller.user_name]
    if networks and not any(_is_within(call.address, it) for it in networks):
        raise WrongNetwork(f"Nobody may call from {call.address or 'an unknown address'}.")
    caller, password = world.keyring.caller_named(_read_header(call, "username")), _read_header(call, "password")
    if caller is not None and not _is_within(call.address, caller.networks):
        raise WrongNetwork(f"The user {caller.user_name} may not call from {call.address or 'an unknown address'}.")
    if caller is None or not RECENT.knows(password, caller.password, world.clock.now()):
        caller = _with_right_password(world, call, caller, password)
    return _identity(caller, call)


KNOWN_SECONDS = 30 * 86_400
"""For how long it is remembered that a caller has sent its password from an address."""


def _with_right_password(world: World, call: Call, caller: Caller | None, password: str) -> Caller:
    """The caller, if that is its password. Raises Unauthorized or LockedOut.

    Tries are counted by caller and by address. An address from which the caller has sent its password before has a
    count of its own, which others cannot raise: an attack from elsewhere does not keep the caller out. A password is
    hashed for a caller that exists only: an unknown name costs no hash, and the count of the address limits how many
    names can be tried.
    """
    counts, pair = _counts(world, call, caller)
    lockout.count(world, counts)
    if caller is None or not operators.is_password(password, caller.password):
        raise _refused_by_name(world, call, caller, counts)
    now = world.clock.now()
    RECENT.remember(password, caller.password, now)
    lockout.forgive(world, counts)
    lockout.change(world, pair, partial(_known, now=now))
    return caller


def _counts(world: World, call: Call, caller: Caller | None) -> tuple[Counts, str]:
    """Under what a try is counted, and under what a caller is known at an address."""
    network = lockout.network_of(call.address)
    if caller is None:
        return [(f"add-task:{network}", BY_CLIENT)], ""
    pair = f"add-task:{caller.key_id}:{network}"
    there = world.store.tries(pair)
    if there.version > 0 and world.clock.now() < there.expires_at:
        return [(pair, BY_CLIENT)], pair
    return [(f"add-task:{caller.key_id}", BY_CLIENT), (f"add-task:{network}", BY_CLIENT)], pair


def _known(tries: Tries, now: float) -> Tries:
    return evolve(operators.after_success(tries, now, left=0), expires_at=now + KNOWN_SECONDS)


def _refused_by_name(world: World, call: Call, caller: Caller | None, counts: Counts) -> Unauthorized:
    """What is answered to a wrong user name or password, once it is in the audit trail. An unknown name is left out:
    it may be a password."""
    who = Identity(f"caller:{caller.key_id}" if caller else "nobody", call.address)
    named: dict[str, Json] = {"user_name": caller.user_name} if caller else {}
    wait = lockout.wait_of(world, counts)
    refusal = Unauthorized("The user name or the password is wrong.")
    subject = caller.key_id if caller else "addTask"
    note_refusal(world, who, "add-task", subject, refusal, **named, locked_for=wait)
    log.event("add_task.refused", metrics={"LoginsFailed": 1}, actor=who.name, address=call.address, locked_for=wait)
    return refusal


def _read_header(call: Call, name: str) -> str:
    """A header as its client meant it: one that is written in UTF-8 may have come as Latin-1."""
    value = call.headers.get(name, "")
    try:
        return value.encode("latin-1").decode()
    except ValueError:
        return value


class Recent:
    """Passwords that were right of late: those that come with every task must not cost the hash each time.

    What is remembered is a mark that nobody else can make, for `SECONDS`, in this process only.
    """

    SECONDS = 600

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._until: dict[bytes, float] = {}

    def knows(self, given: str, kept: str, now: float) -> bool:
        """Whether the password that was given was the one that is kept, of late."""
        return 0 < self._until.get(self._mark(given, kept), 0) - now <= self.SECONDS

    def remember(self, given: str, kept: str, now: float) -> None:
        """The password that was given is the one that is kept."""
        fresh = {mark: until for mark, until in self._until.items() if until > now}
        self._until = {**fresh, self._mark(given, kept): now + self.SECONDS}

    def _mark(self, given: str, kept: str) -> bytes:
        return hmac.digest(self._key, f"{kept} {given}".encode("utf-8", "surrogatepass"), "sha256")


RECENT = Recent()


def _require_new(world: World, who: Identity) -> None:
    """Raises Replayed when this nonce was used by this key before."""
    until = world.clock.now() + 2 * WINDOW + CLOCK_TOLERANCE_SECONDS  # by then it is stale for every process
    if not world.store.use_once(f"{who.name}:{who.nonce}", until):
        raise Replayed
