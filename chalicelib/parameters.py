"""Where the master key lies on AWS: in the Parameter Store, encrypted by the account's own key for it (`aws/ssm`)."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import cached_property
from typing import Any

from chalicelib import aws
from chalicelib.settings import Settings
from chalicelib.signing import MASTER_KEY_BYTES, master_keys_of, written

TOLD = "The master key of kkbida. Whoever deletes or changes it makes all signing secrets void."


class ParameterVault:
    """The port Vault: a SecureString. Nothing is asked of AWS before the first call."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.endpoint
        self._name = settings.master_key_parameter
        self.where = f"the parameter {self._name}"

    @cached_property
    def _ssm(self) -> Any:
        return aws.client("ssm", self._endpoint, aws.READ_TIMEOUT)

    def read(self) -> bytes | None:
        """See `Vault.read`. Raises SettingsError when the parameter holds something else."""
        return next(iter(self.read_all()), None)

    def read_all(self) -> tuple[bytes, ...]:
        """See `Vault.read_all`. Raises SettingsError when the parameter holds something else."""
        with aws.answering():
            try:
                reply = self._ssm.get_parameter(Name=self._name, WithDecryption=True)
            except self._ssm.exceptions.ParameterNotFound:
                return ()
        return master_keys_of(reply["Parameter"]["Value"], self._name)

    def make(self) -> None:
        """See `Vault.make`. Of several who come at once, the Parameter Store takes the first."""
        value = written(secrets.token_bytes(MASTER_KEY_BYTES))
        with aws.answering(), suppress(self._ssm.exceptions.ParameterAlreadyExists):
            self._ssm.put_parameter(
                Name=self._name, Value=value, Type="SecureString", Description=TOLD, Overwrite=False
            )

    def replace(self, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> bool:
        """See `Vault.replace`. The Parameter Store has no condition for it: one operator at a time rotates keys."""
        if self.read_all() != old:
            return False
        with aws.answering():
            self._ssm.put_parameter(Name=self._name, Value=written(*new), Type="SecureString", Overwrite=True)
        return True
