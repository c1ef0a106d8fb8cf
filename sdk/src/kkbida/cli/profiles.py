"""Profiles: where an API is, and who asks there. One file of mode 600, written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass, replace
from pathlib import Path

from kkbida.credentials import CallerKey, Credentials, Nobody, OperatorSession

DEFAULT = "default"
"""The profile that is used unless another is named."""

LOCAL = "local"
"""The profile that keeps the login at a local run."""

VARIABLES: Mapping[str, str] = {
    "KKBIDA_PROFILE": "Name of the profile, unless --profile says it.",
    "KKBIDA_URL": "URL of the API, instead of the profile's.",
    "KKBIDA_KEY_ID": "A caller's key, instead of the profile's.",
    "KKBIDA_SECRET": "Its secret.",
    "DATA": "Folder of the local run that `--local` means; `.local` unless said, as `make run` has it.",
    "XDG_CONFIG_HOME": "Where `kkbida/profiles.ini` is; `~/.config` unless said.",
}


class BadProfile(Exception):
    """A profile cannot be used; the message says why, and what to do."""


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

    def logged_in(self, session: OperatorSession) -> Profile:
        """The profile with an operator's session."""
        named = {"cookie": session.cookie, "csrf_token": session.csrf_token, "device": session.device}
        return replace(self, operator=session.name, **named)

    def logged_out(self) -> Profile:
        """The profile without one. This device stays known."""
        return replace(self, operator="", cookie="", csrf_token="")


FIELDS = tuple(Profile.__dataclass_fields__)


def default_path(environment: Mapping[str, str]) -> Path:
    """Where profiles are kept."""
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".config"
    return Path(base) / "kkbida" / "profiles.ini"


@dataclass(frozen=True)
class Profiles:
    """The file of all profiles."""

    path: Path

    def all(self) -> dict[str, Profile]:
        """Each by its name. Raises BadProfile when the file cannot be read, or others can read it."""
        if not self.path.exists():
            return {}
        if os.name == "posix" and self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadProfile(f"{self.path} holds secrets, and others may read it: chmod 600 {self.path}")
        parser = RawConfigParser()
        try:
            parser.read(self.path, encoding="utf-8")
        except (Error, OSError, UnicodeDecodeError) as error:
            raise BadProfile(f"{self.path} cannot be read: {error}") from error
        return {
            name: Profile(**{it: parser[name][it] for it in FIELDS if it in parser[name]}) for name in parser.sections()
        }

    def find(self, name: str) -> Profile:
        """The profile of a name; an empty one when there is none. Raises BadProfile."""
        return self.all().get(name, Profile())

    def at(self, name: str, url: str) -> Profile:
        """The profile of a name if it is for that URL, else one that knows nobody there. Raises BadProfile."""
        known = self.find(name)
        return known if known.url == url else Profile(url=url)

    def put(self, name: str, profile: Profile) -> None:
        """Keep a profile under a name."""
        self._write({**self.all(), name: profile})

    def remove(self, name: str) -> bool:
        """Forget one; whether it was there."""
        kept = self.all()
        found = kept.pop(name, None)
        if found:
            self._write(kept)
        return found is not None

    def _write(self, profiles: Mapping[str, Profile]) -> None:
        parser = RawConfigParser()
        for name, profile in profiles.items():
            parser[name] = {it: value for it in FIELDS if (value := getattr(profile, it))}
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            parser.write(file)
        draft.replace(self.path)


@dataclass(frozen=True)
class Named:
    """What the options say about where to ask."""

    profile: str = ""
    api: str = ""
    local: bool = False


def choose(named: Named, environment: Mapping[str, str], profiles: Profiles) -> tuple[str, Profile]:
    """The profile to use, and its name. Raises BadProfile.

    `--url` is an API of which no profile knows: keys come from the environment alone, so that nobody's session goes
    where it does not belong.
    """
    if named.local:
        return LOCAL, _of_local_run(folder_of_local_run(environment), profiles)
    name = named.profile or environment.get("KKBIDA_PROFILE") or DEFAULT
    url = named.api or environment.get("KKBIDA_URL", "")
    own = profiles.at(name, url) if url else profiles.find(name)
    return name, _keyed(own, environment.get("KKBIDA_KEY_ID", ""), environment.get("KKBIDA_SECRET", ""))


def _keyed(profile: Profile, key_id: str, secret: str) -> Profile:
    return replace(profile, key_id=key_id, secret=secret) if key_id and secret else profile


ACCESS = "access.json"
"""What a local run writes into its folder: where it is, and a key."""


def folder_of_local_run(environment: Mapping[str, str]) -> Path:
    """Where a local run of this folder keeps its data: as `make run` has it."""
    return Path(environment.get("DATA") or ".local")


def read_access(folder: Path) -> dict[str, str]:
    """What a local run wrote. Raises BadProfile when it is not there."""
    try:
        return dict(json.loads((folder / ACCESS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadProfile(f"{folder / ACCESS} cannot be read. Is a local run there? (make run)") from error


def _of_local_run(folder: Path, profiles: Profiles) -> Profile:
    """The local run of a folder, with what is kept for it, if it is at the same address; else with the key it wrote."""
    access = read_access(folder)
    own = profiles.at(LOCAL, access["api"])
    return own if own.caller else _keyed(own, access.get("key_id", ""), access.get("secret", ""))
