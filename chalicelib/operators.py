"""The rules of logins: passwords, the waits after failures, sessions.

    password   scrypt$<log2 n>$<r>$<p>$<salt>$<hash>     what is stored; salt and hash in base64url
    cookie     <name>.<token>                            in base64url; stored is a hash of the token only
    CSRF       an HMAC under the cookie                  whoever cannot read the page cannot send it
    mark       <nonce>.<HMAC under the device key>       what a device keeps from which the operator has logged in

Pure; what is by chance is given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import unicodedata
from dataclasses import dataclass

from chalicelib.task import Operator, Session, Tries, evolve

# ── names ────────────────────────────────────────────────────────────────────────────────────────

MOST_NAME = 40
"""Characters."""

_NAME = re.compile(r"\w[\w.@-]*")


def is_name(text: str) -> bool:
    """Whether an operator may be called so."""
    return len(text) <= MOST_NAME and _NAME.fullmatch(text) is not None


# ── passwords ────────────────────────────────────────────────────────────────────────────────────

LEAST_PASSWORD = 10
"""Characters."""

MOST_PASSWORD = 1024
"""Bytes in UTF-8."""

WORST = frozenset(
    """
    1234567890 0123456789 12345678910 123456789a 1q2w3e4r5t 1qaz2wsx3edc qwertyuiop qwerty12345 qwerty123456
    asdfghjkl1 zxcvbnm123 abcdefghij abcd1234567 a123456789 aa12345678 aa123456789 abc123456789 password12
    password123 password1234 password12345 passw0rd123 p@ssw0rd123 p@ssword123 letmein123 letmein1234 iloveyou123
    welcome123 welcome1234 admin12345 admin123456 administrator adminadmin rootroot123 changeme123 changeme1234
    1111111111 0000000000 9876543210 0987654321 1122334455 woaini1314 woaini1314520 5201314520 1234554321
    qazwsxedcrfv q1w2e3r4t5 trustno1trustno1 superman123 football123 monkey12345 dragon12345 sunshine123 kkbida1234
    kkbidakkbida
    """.split()  # noqa: SIM905 - it is read by people
)
"""What is tried first."""

COST = (15, 8, 3)
"""log2 of n, r and p: 32 MB, and 0.24 s on one core of the computer that it was measured on (docs/operators.md)."""

SALT_BYTES = 16
MOST_MEMORY = 64 * 1024 * 1024
"""Bytes that one hash may take, at most: n x r x 128, and some more."""


def password_fault(name: str, password: str) -> str | None:
    """What is wrong with a password that somebody has chosen; None when nothing is."""
    if len(password) < LEAST_PASSWORD:
        return f"must have {LEAST_PASSWORD} characters at least"
    if len(_bytes(password)) > MOST_PASSWORD:
        return f"must have {MOST_PASSWORD} bytes at most"
    plain = password.casefold()
    if plain == name.casefold() or plain in WORST:
        return "is the name, or one of the first that anybody would try"
    return None


def hash_password(password: str, salt: bytes, cost: tuple[int, int, int] | None = None) -> str:
    """The password as it is stored."""
    log_n, r, p = cost or COST
    made = hashlib.scrypt(_bytes(password), salt=salt, n=2**log_n, r=r, p=p, maxmem=MOST_MEMORY, dklen=32)
    return f"scrypt${log_n}${r}${p}${_text(salt)}${_text(made)}"


def is_password(password: str, stored: str) -> bool:
    """Whether this is the password that was stored so. It takes as long as the cost says that is stored with it."""
    _, log_n, r, p, salt, _ = stored.split("$")
    made = hash_password(password, _raw(salt), (int(log_n), int(r), int(p)))
    return hmac.compare_digest(made, stored)


def nobodys_password() -> str:
    """What is compared with where there is no such operator, so that it takes as long."""
    return "$".join(("scrypt", *map(str, COST), _text(bytes(SALT_BYTES)), _text(bytes(32))))


def _bytes(password: str) -> bytes:
    """The same for every way in which a keyboard composes the same characters."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


# ── the waits after failures ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Limit:
    """How many tries are free, and how long the waits grow after them, in seconds."""

    free: int
    longest: float


BY_NAME = Limit(free=5, longest=900)
"""Of a name, and of a device by itself: then waits of 1, 2, 4 ... 900 seconds."""

BY_ADDRESS = Limit(free=50, longest=60)
"""Of an address, behind which may be many: then waits of 1, 2, 4 ... 60 seconds."""

BY_CLIENT = Limit(free=20, longest=60)
"""Of a user name at /api/addTask, and of an address there: programs start at the same moment, and do not try again."""

FORGOTTEN_AFTER = 86_400
"""Seconds after the last failure."""


MAX_CLOCK_SKEW_SECONDS = 5
"""By how much the clocks of two of our processes may differ. A moment further in the future says nothing."""


def seconds_to_wait(tries: Tries, limit: Limit, now: float) -> int:
    """Whole seconds until the next try is looked at, 0: now. It is what `Retry-After` says.

    `last_at` may be the moment of another writer, which is ahead of ours by milliseconds: that alone makes no one wait.
    """
    wait = wait_after(tries.failed, limit)
    if wait == 0 or tries.last_at > now + MAX_CLOCK_SKEW_SECONDS:
        return 0
    return max(0, math.ceil(tries.last_at + wait - now))


def wait_after(failed: int, limit: Limit) -> float:
    """Seconds to wait after so many failures."""
    over = failed - limit.free
    return 0 if over < 0 else min(2.0 ** min(over, 32), limit.longest)


def after_failure(tries: Tries, now: float) -> Tries:
    """The tries with one more that has failed. What is long ago counts no more."""
    failed = tries.failed if now < tries.expires_at else 0
    return _counted(tries, failed + 1, now)


def after_success(tries: Tries, now: float, *, left: int) -> Tries:
    """The tries after one that was right, of which so many are left as failed."""
    return _counted(tries, max(left, 0), now)


def _counted(tries: Tries, failed: int, now: float) -> Tries:
    return evolve(tries, failed=failed, last_at=now, expires_at=now + FORGOTTEN_AFTER, version=tries.version + 1)


def make_mark(operator: Operator, nonce: bytes) -> str:
    """What a device is given from which the operator has logged in."""
    text = _text(nonce)
    return f"{text}.{_keyed(operator.device_key, text)}"


def is_mark(operator: Operator, mark: str) -> bool:
    """Whether a device was given this because the operator has logged in there."""
    nonce, _, made = mark.partition(".")
    return hmac.compare_digest(_keyed(operator.device_key, nonce).encode(), made.encode("utf-8", "replace"))


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────

TOKEN_BYTES = 32

PROLONGED_EVERY = 300
"""Seconds: a session that is used is prolonged no more often, since that costs a write."""


def make_cookie(name: str, token: bytes) -> str:
    """What the browser keeps: the name finds the operator, and the token the session, by one look at the store."""
    return f"{_text(name.encode())}.{_text(token)}"


def read_cookie(cookie: str) -> tuple[str, str]:
    """The operator's name and the id of the session in a cookie. Raises ValueError when it is none."""
    name, _, token = cookie.partition(".")
    return _raw(name).decode(), session_id(_raw(token))


def session_id(token: bytes) -> str:
    """What a session is stored under: the token cannot be told from it."""
    return hashlib.sha256(token).hexdigest()


def csrf_token(cookie: str) -> str:
    """What a page of the session sends with what it changes."""
    return _keyed(cookie, "csrf")


def begin(operator: Operator, token: bytes, *, now: float, idle: float, longest: float) -> Session:
    """A new session."""
    return Session(
        session_id=session_id(token),
        operator=operator.name,
        era=operator.era,
        seen_at=now,
        expires_at=now + min(idle, longest),
        ends_at=now + longest,
    )


def is_live(session: Session, operator: Operator, now: float) -> bool:
    """Whether the session still is one of this operator, who may log in."""
    return session.era == operator.era and not operator.disabled and now < session.expires_at


def prolonged(session: Session, *, now: float, idle: float) -> Session | None:
    """The session as it goes on because it is used; None when that need not be written yet."""
    if now < session.seen_at + PROLONGED_EVERY:
        return None
    until = max(session.expires_at, min(now + idle, session.ends_at))
    return evolve(session, seen_at=now, expires_at=until, version=session.version + 1)


# ── texts of bytes ───────────────────────────────────────────────────────────────────────────────


def _keyed(key: str, text: str) -> str:
    return _text(hmac.digest(key.encode("utf-8", "replace"), text.encode("utf-8", "replace"), hashlib.sha256))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: str) -> bytes:
    """Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
