"""Where the master key lies when all runs on one computer: in a file beside the data. On AWS see `parameters.py`."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from chalicelib.folders import sync_folder
from chalicelib.signing import MASTER_KEY_BYTES, master_keys_of, written


class FileVault:
    """The port Vault: a file of mode 600, a key a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)

    def read(self) -> bytes | None:
        """See `Vault.read`. Raises SettingsError when the file holds something else."""
        return next(iter(self.read_all()), None)

    def read_all(self) -> tuple[bytes, ...]:
        """See `Vault.read_all`. Raises SettingsError when the file holds something else."""
        try:
            return master_keys_of(self._path.read_text(), self.where)
        except FileNotFoundError:
            return ()

    def make(self) -> None:
        """See `Vault.make`. The key is on disk before its file has its name."""
        draft = self._draft(secrets.token_bytes(MASTER_KEY_BYTES))
        with suppress(FileExistsError):  # the one that is there stays
            os.link(draft, self._path)
        draft.unlink()
        sync_folder(self._path.parent)

    def replace(self, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> bool:
        """See `Vault.replace`. One process at a time does it: the one that has the store."""
        if self.read_all() != old:
            return False
        self._draft(*new).replace(self._path)
        sync_folder(self._path.parent)
        return True

    def _draft(self, *master_keys: bytes) -> Path:
        """A file with these keys, on disk, under another name."""
        draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(written(*master_keys))
            file.flush()
            os.fsync(file.fileno())
        return draft


class MemoryVault:
    """The port Vault in this process only, for a database that lives in memory."""

    where = "this process"

    def __init__(self) -> None:
        self._keys: tuple[bytes, ...] = ()

    def read(self) -> bytes | None:
        """See `Vault.read`."""
        return next(iter(self._keys), None)

    def read_all(self) -> tuple[bytes, ...]:
        """See `Vault.read_all`."""
        return self._keys

    def make(self) -> None:
        """See `Vault.make`."""
        self._keys = self._keys or (secrets.token_bytes(MASTER_KEY_BYTES),)

    def replace(self, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> bool:
        """See `Vault.replace`."""
        if self._keys != old:
            return False
        self._keys = new
        return True
