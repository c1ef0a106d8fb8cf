"""The file of profiles: mode 600, written whole or not at all, by one process at a time.

It is an INI file of which no section lends its values to another (`configparser` does that with `[DEFAULT]`), and in
which no value is more than its text.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from configparser import Error, RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kkbida.credentials import CallerKey, Credentials, Nobody, OperatorSession


class BadProfile(Exception):
    """A profile cannot be used or kept; the message says why, and what to do."""


@dataclass(frozen=True)
class Profile:
    """Where an API is, and who asks there: a caller's key, an operator's session, both or none."""

    url: str = ""
    key_id: str = ""
    secret: str = ""
    operator: str = ""
    cookie: str = ""
    csrf_token: str = ""
    device: str = ""

    @property
    def caller(self) -> Credentials | None:
        """The caller, if there is one."""
        return CallerKey(self.key_id, self.secret) if self.key_id and self.secret else None

    @property
    def session(self) -> OperatorSession | None:
        """The operator who is logged in, if there is one."""
        return OperatorSession(self.operator, self.cookie, self.csrf_token, self.device) if self.cookie else None

    def who(self, *, first: str) -> Credentials:
        """Who asks: of both, the one that is named first, `caller` or `session`."""
        both = (self.caller, self.session) if first == "caller" else (self.session, self.caller)
        return next((it for it in both if it is not None), Nobody())

    def at(self, url: str) -> Profile:
        """The profile if it is for that URL, else one that knows nobody there."""
        return self if self.url == url else Profile(url=url)

    def logged_in(self, session: OperatorSession) -> Profile:
        """The profile with an operator's session."""
        named = {"cookie": session.cookie, "csrf_token": session.csrf_token, "device": session.device}
        return replace(self, operator=session.name, **named)

    def logged_out(self) -> Profile:
        """The profile without one. This device stays known."""
        return replace(self, operator="", cookie="", csrf_token="")


FIELDS = tuple(Profile.__dataclass_fields__)

MAX_NAME_LENGTH = 64


def checked_name(name: str) -> str:
    """The name, if a profile may have it. Raises BadProfile."""
    if re.fullmatch(r"\w[\w.@+-]*", name) is None or len(name) > MAX_NAME_LENGTH:
        raise BadProfile(
            f"{name!r} is no name of a profile: it has 1 to {MAX_NAME_LENGTH} letters, digits and . _ - @ +, "
            "and begins with a letter or a digit."
        )
    if name == "DEFAULT":
        raise BadProfile("No profile can be named DEFAULT: to other readers of the file its values are those of all.")
    return name


def _check_values(profile: Profile) -> None:
    """Raise BadProfile for a value that the file would not give back as it is. The message does not tell it."""
    for field in FIELDS:
        value: str = getattr(profile, field)
        if value != value.strip() or not value.isprintable():
            raise BadProfile(f"The {field} of a profile holds a space at an end, or a character that cannot be seen.")


@dataclass(frozen=True)
class Profiles:
    """The file of all profiles."""

    path: Path

    def all(self) -> dict[str, Profile]:
        """Each by its name. Raises BadProfile when the file cannot be read, or others can read it."""
        return {name: _profile(section) for name, section in self._read().items() if name}

    def find(self, name: str) -> Profile:
        """The profile of a name; an empty one when there is none. Raises BadProfile."""
        return self.all().get(name, Profile())

    def at(self, name: str, url: str) -> Profile:
        """The profile of a name if it is for that URL, else one that knows nobody there. Raises BadProfile."""
        return self.find(name).at(url)

    def put(self, name: str, profile: Profile) -> None:
        """Keep a profile under a name. Raises BadProfile."""
        self.change(name, lambda _: profile)

    def change(self, name: str, change: Callable[[Profile], Profile]) -> Profile:
        """Change a profile, or make one, from what it is at that moment. Raises BadProfile."""
        checked_name(name)
        with self._alone():
            parser = self._read()
            changed = change(_profile(parser[name]) if parser.has_section(name) else Profile())
            _check_values(changed)
            parser[name] = {field: value for field in FIELDS if (value := getattr(changed, field))}
            self._write(parser)
        return changed

    def remove(self, name: str) -> bool:
        """Forget one; whether it was there. Raises BadProfile."""
        with self._alone():
            parser = self._read()
            found = parser.remove_section(name)
            if found:
                self._write(parser)
        return found

    # ── the file itself ──────────────────────────────────────────────────────────────────────────

    def _read(self) -> RawConfigParser:
        parser = RawConfigParser(default_section="")  # no section can have that name: none is inherited
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise BadProfile(f"{self.path} holds secrets, and others may read it: chmod 600 {self.path}")
                parser.read_file(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise BadProfile(f"{self.path} cannot be read: {error.strerror}.") from error
        except (Error, UnicodeDecodeError) as error:
            raise BadProfile(
                f"{self.path} cannot be read: {_where(error)} is not understood. Correct it, or remove the file and "
                "add the profiles again."
            ) from None  # the error quotes the line, and a secret may stand in it
        return parser

    def _write(self, parser: RawConfigParser) -> None:
        """Replace the file by another one. After a crash at any moment it is either of them."""
        path = Path(os.path.realpath(self.path))  # a link stays one
        with _refused(self.path):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
            draft = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    parser.write(file)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the file until the block ends."""
        with _refused(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with _refused(self.path):
                _lock(handle)
            yield
        finally:
            os.close(handle)  # which also releases the lock


def _profile(section: Mapping[str, str]) -> Profile:
    return Profile(**{field: section[field] for field in FIELDS if field in section})


def _where(error: Error | UnicodeDecodeError) -> str:
    """Where in the file an error is, without what stands there."""
    listed = getattr(error, "errors", None)
    number = getattr(error, "lineno", None) or (listed[0][0] if listed else None)
    return f"byte {error.start + 1}" if isinstance(error, UnicodeDecodeError) else f"line {number}" if number else "it"


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Raises BadProfile for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        raise BadProfile(f"{path} cannot be written: {error.strerror}.") from error


def _sync_folder(folder: Path) -> None:
    """Let the new name of the file last, where folders can be synchronised."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        """Wait until nobody else holds the lock of this file. Windows tries for ten seconds."""
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        """Wait until nobody else holds the lock of this file."""
        fcntl.flock(handle, fcntl.LOCK_EX)
