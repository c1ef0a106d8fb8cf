"""Folders whose names survive a power failure: a new name is on disk only once its folder was synced (fsync(2))."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o700
"""The mode of a folder that kkbida makes: what is in it holds secrets."""


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, each with its name on disk. Raises OSError."""
    if folder.is_dir():
        return
    parent = folder.absolute().parent
    make_folder(parent)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
