"""Notes every name that a process looks up and every address that it connects to. PYTHONPATH puts it in there."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any


def note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and is_name(arguments[0]):
        tell(f"looked up {arguments[0]!r}")
    elif event == "socket.connect":
        tell(f"connected to {arguments[1]!r}")


def is_name(host: Any) -> bool:
    """An address is looked up without asking anybody."""
    try:
        ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return True
    return False


def tell(line: str) -> None:
    with Path(os.environ["FUZZ_WATCHED"]).open("a") as file:
        file.write(f"{line}\n")


sys.addaudithook(note)
