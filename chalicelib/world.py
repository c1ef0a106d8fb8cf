"""The World of this process, built once: on AWS, or embedded in one file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import SystemRandom
from typing import Any

from chalicelib.ports import Mail, NoMail, Queues, Store, Vault, World
from chalicelib.settings import Settings, load


class SystemClock:
    """The operating system's time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()


def build(environment: Mapping[str, str]) -> World:
    """The World that the settings in `environment` ask for. Raises SettingsError."""
    from chalicelib.keyring import DerivedKeys
    from chalicelib.outbound import Outbound
    from chalicelib.sealing import Sealer

    settings = load(environment)
    clock = SystemClock()
    store, queues, vault = _adapters(settings, clock)
    http = Outbound(settings)
    return World(
        settings=settings,
        store=store,
        queues=queues,
        http=http,
        keyring=DerivedKeys(store, vault, clock),
        mail=_mail(settings, http.vetted, Sealer(vault).open),
        clock=clock,
        random=SystemRandom(),
    )


def _mail(settings: Settings, vetted: Callable[[str, float], Sequence[str]], opened: Callable[[str, str], str]) -> Mail:
    """The way for e-mail that is set up: a server of the operator's own, or SES where kkbida is on AWS."""
    if not settings.mail_from or (settings.embedded and not settings.smtp):
        return NoMail()
    if settings.smtp:
        from chalicelib.smtp import SmtpMail
        from chalicelib.tls import client_context

        return SmtpMail(settings, vetted, lambda: client_context(settings.ca_bundle), opened)
    from chalicelib.mail import SesMail

    return SesMail(settings)


def _adapters(settings: Settings, clock: SystemClock, *, reseals: bool = True) -> tuple[Store, Queues, Vault]:
    if settings.embedded:
        from chalicelib.database_file import MEMORY
        from chalicelib.embedded import open_embedded
        from chalicelib.vault import FileVault, MemoryVault

        beside = Path(settings.embedded).with_name("master.key")
        own: Vault = MemoryVault() if settings.embedded == MEMORY else FileVault(beside)
        return *open_embedded(settings.embedded, settings, clock, own, reseals=reseals), own
    from chalicelib.parameters import ParameterVault
    from chalicelib.queues import SqsQueues
    from chalicelib.store import DynamoStore

    vault = ParameterVault(settings)
    return DynamoStore(settings, vault), SqsQueues(settings), vault


def store_and_vault(settings: Settings, *, reseals: bool) -> tuple[Store, Vault]:
    """The store, and the master keys, for the commands about these. Raises SettingsError, Unavailable."""
    store, _, vault = _adapters(settings, SystemClock(), reseals=reseals)
    return store, vault


@lru_cache(maxsize=1)
def current() -> World:
    """The World of this process, from its environment variables."""
    return build(os.environ)


@lru_cache(maxsize=1)
def counter() -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """What counts the records of the table's stream, as Lambda delivers them. The embedded store needs none."""
    from chalicelib.store import DynamoStore

    return DynamoStore(load(os.environ)).count
