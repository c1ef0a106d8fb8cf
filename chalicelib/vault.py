"""Where the master key lies when all runs on one computer: in a file beside the data. On AWS see `parameters.py`."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from chalicelib.folders import sync_folder
from chalicelib.signing import MASTER_KEY_BYTES, master_key_of, written


class FileVault:
    """The port Vault: a file of mode 600."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        """See `Vault.read`. Raises SettingsError when the file holds something else."""
        try:
            return master_key_of(self._path.read_text(), str(self._path))
        except FileNotFoundError:
            return None

    def make(self) -> None:
        """See `Vault.make`. The key is on disk before its file has its name."""
        draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(written(secrets.token_bytes(MASTER_KEY_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # the one that is there stays
            os.link(draft, self._path)
        draft.unlink()
        sync_folder(self._path.parent)


class MemoryVault:
    """The port Vault in this process only, for a database that lives in memory."""

    def __init__(self) -> None:
        self._key: bytes | None = None

    def read(self) -> bytes | None:
        """See `Vault.read`."""
        return self._key

    def make(self) -> None:
        """See `Vault.make`."""
        self._key = self._key or secrets.token_bytes(MASTER_KEY_BYTES)
