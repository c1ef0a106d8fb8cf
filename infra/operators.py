"""Make an operator, or give one a new password, from where the store is: so the first admin comes to be.

python -m infra.operators add NAME --role admin      asks for the password; --random prints one by chance
python -m infra.operators reset NAME                 the same, for one that is there; its sessions are over

The store is the file in DATA (.local unless said), which nobody else may have open: stop the local run first. With
--stack NAME it is the table of that stack, with KKBIDA_TABLE that table, by the AWS credentials of the environment;
ENDPOINT names an emulator.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib import admin, aws, world
from chalicelib.auth import Identity
from chalicelib.embedded import EmbeddedStore
from chalicelib.errors import Refusal, SettingsError
from chalicelib.ports import World
from chalicelib.task import Operator, Role

WHO = Identity("command", "")

RANDOM_BYTES = 15
"""Of a password by chance: 20 characters."""


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Do what is asked. Raises SystemExit with a sentence when it cannot be done."""
    asked = _parser().parse_args(arguments)
    try:
        here = world.build(settings_of(asked.stack, environment))
        try:
            _do(here, asked)
        finally:
            if isinstance(here.store, EmbeddedStore):
                here.store.close()
    except (Refusal, SettingsError, OSError) as error:
        raise SystemExit(_told(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.operators", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("do", choices=("add", "reset"))
    parser.add_argument("name")
    parser.add_argument("--role", choices=tuple(Role), default=Role.ADMIN, help="of one that is added")
    parser.add_argument("--random", action="store_true", help="do not ask for a password, print one by chance")
    parser.add_argument("--stack", help="the stack on AWS whose table it is; else the file in DATA")
    return parser


def settings_of(stack: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings by which the store is found."""
    endpoint, table = environment.get("ENDPOINT", ""), environment.get("KKBIDA_TABLE", "")
    if stack:
        return {"KKBIDA_TABLE": _table_of(stack, endpoint), "KKBIDA_ENDPOINT": endpoint}
    if endpoint or table:
        return {"KKBIDA_TABLE": table or "kkbida", "KKBIDA_ENDPOINT": endpoint}
    return {"KKBIDA_EMBEDDED": str(Path(environment.get("DATA") or ".local") / "kkbida.db")}


def _table_of(stack: str, endpoint: str) -> str:
    import boto3  # noqa: PLC0415 - slow, and of no use for a file
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    way = {"endpoint_url": endpoint or None, "region_name": aws.region(endpoint), **aws.credentials(endpoint)}
    try:
        cloudformation: Any = boto3.client("cloudformation", **way)
        found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="Table")
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"The table of the stack {stack} cannot be found. {error}") from error
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def _do(here: World, asked: argparse.Namespace) -> None:
    password = secrets.token_urlsafe(RANDOM_BYTES) if asked.random or not sys.stdin.isatty() else _ask()
    done = _add(here, asked, password) if asked.do == "add" else _reset(here, asked, password)
    shown = f" Its password: {password}" if asked.random or not sys.stdin.isatty() else ""
    print(f"{done.name} is {done.role} and can log in.{shown}")


def _ask() -> str:
    """A password that was typed twice without being shown."""
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise SettingsError("These were two passwords. Nothing was changed.")
    return password


def _add(here: World, asked: argparse.Namespace, password: str) -> Operator:
    return admin.create_operator(here, WHO, {"name": asked.name, "role": asked.role, "password": password})


def _reset(here: World, asked: argparse.Namespace, password: str) -> Operator:
    """One that was disabled may log in again: whoever has the store may decide that."""
    return admin.change_operator(here, WHO, asked.name, {"password": password, "disabled": False})


def _told(error: Refusal | SettingsError | OSError) -> str:
    faults = error.faults if isinstance(error, Refusal) else ()
    return "\n".join((str(error), *(f"  {fault.pointer} {fault.detail}" for fault in faults)))


if __name__ == "__main__":
    os.environ.setdefault(
        "POWERTOOLS_LOG_LEVEL", "WARNING"
    )  # what is done is said below, and stands in the audit trail
    main(sys.argv[1:])
