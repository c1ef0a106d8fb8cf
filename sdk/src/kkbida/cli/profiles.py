"""Profiles: where an API is, and who asks there, and which of them a command line means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kkbida.cli.ending import TRACEBACK
from kkbida.cli.profiles_file import BadProfile, Profile, Profiles, checked_name

__all__ = ["BadProfile", "Named", "Profile", "Profiles", "checked_name", "choose", "default_path"]

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
    TRACEBACK: "If set, a failure also shows where in the program it arose.",
}


def default_path(environment: Mapping[str, str]) -> Path:
    """Where profiles are kept. Raises BadProfile when nobody knows where the home is."""
    try:
        home = Path(environment.get("HOME") or "~").expanduser()
    except RuntimeError as error:
        raise BadProfile("Where are profiles to be kept? Set HOME or XDG_CONFIG_HOME.") from error
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kkbida" / "profiles.ini"


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
        access = json.loads((folder / ACCESS).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in access.items()} | {"api": str(access["api"])}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadProfile(f"{folder / ACCESS} cannot be read. Is a local run there? (make run)") from error


def _of_local_run(folder: Path, profiles: Profiles) -> Profile:
    """The local run of a folder, with what is kept for it, if it is at the same address; else with the key it wrote."""
    access = read_access(folder)
    own = profiles.at(LOCAL, access["api"])
    return own if own.caller else _keyed(own, access.get("key_id", ""), access.get("secret", ""))
