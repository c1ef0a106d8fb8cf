"""The master keys: which there are, what needs each, and how one is changed for another.

python -m infra.keys status     the keys, the current one first, and what needs each
python -m infra.keys rotate     a new key comes first, and the channels are encrypted under it; older keys stay
python -m infra.keys reseal     the channels are encrypted under the first key, as after a rotation that was cut off
python -m infra.keys drop       removes older keys that nothing needs; one that is in use stays, and is named
python -m infra.keys seal       reads a password from standard input, prints it encrypted, for KKBIDA_SMTP_PASSWORD
python -m infra.keys forget     removes channels whose key is lost

The store is found as `python -m infra.operators` finds it; on AWS, KKBIDA_MASTER_KEY_PARAMETER names the parameter
(/STACK/master-key with --stack). A process on one server is stopped first.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from chalicelib import master_keys, world
from chalicelib.embedded import EmbeddedStore
from chalicelib.errors import KkbidaError
from chalicelib.ports import Store, Vault
from chalicelib.sealing import Sealer
from chalicelib.settings import load
from chalicelib.smtp import OWNER
from infra.operators import settings_of

STACK_PARAMETER = "/{}/master-key"


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
    """Do what is asked. Raises SystemExit with a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m infra.keys", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("do", choices=("status", "rotate", "reseal", "drop", "seal", "forget"))
    parser.add_argument("--stack", help="the stack on AWS whose table it is; else the file in DATA")
    asked = parser.parse_args(arguments)
    try:
        found = settings_of(asked.stack, environment)
        if asked.stack:
            found["KKBIDA_MASTER_KEY_PARAMETER"] = STACK_PARAMETER.format(asked.stack)
        elif name := environment.get("KKBIDA_MASTER_KEY_PARAMETER"):
            found["KKBIDA_MASTER_KEY_PARAMETER"] = name
        store, vault = world.store_and_vault(load(found), reseals=asked.do != "forget")
        try:
            _do(asked.do, store, vault)
        finally:
            if isinstance(store, EmbeddedStore):
                store.close()
    except KkbidaError as error:
        raise SystemExit(str(error)) from error


def _do(what: str, store: Store, vault: Vault) -> None:
    if what == "status":
        for key, needs in master_keys.uses(store, vault).items():
            print(f"{key}: {', '.join(needs) or 'nothing needs it'}")
    elif what == "rotate":
        print(f"The current master key is {master_keys.rotate(store, vault)}. Restart what runs on this store.")
    elif what == "reseal":
        print(f"{store.reseal()} channels were encrypted anew.")
    elif what == "drop":
        _drop(store, vault)
    elif what == "seal":
        print(Sealer(vault).seal(sys.stdin.readline().rstrip("\r\n"), OWNER))
    else:
        print(f"{store.forget_unreadable_channels()} channels were removed, whose key is lost.")


def _drop(store: Store, vault: Vault) -> None:
    dropped, kept = master_keys.drop(store, vault)
    print(f"{len(dropped)} keys were removed.")
    if kept:
        raise SystemExit("\n".join(f"Key {key} is still needed by {', '.join(needs)}." for key, needs in kept.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
