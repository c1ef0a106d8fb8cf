"""Check the ledger: count every task again, and say whether all that were accepted still stand (invariant 6)."""

from __future__ import annotations

from chalicelib import log, show
from chalicelib.ledger import Ledger
from chalicelib.ports import World

MOST_PARTS = 10
"""Parts of a recount that one run does, at most. It bounds what a table of any size costs on AWS."""


def check(world: World, *, seconds: float) -> Ledger | None:
    """Go on with the recount for about `seconds`, at most. Says what the last one found, so that its silence alarms.

    It is said at every run, however long a recount takes, so that an alarm stands as long as its reason does.
    """
    until = world.clock.now() + seconds
    for _ in range(MOST_PARTS):
        more = world.store.recount(world.clock.now(), world.settings.retention)
        if not more or world.clock.now() >= until:
            break
    ledger = world.store.checked()
    _tell(ledger, more=more)
    return ledger


def _tell(ledger: Ledger | None, *, more: bool) -> None:
    if ledger is None:
        log.event("ledger.checked", metrics={"LedgerChecks": 1}, more=more)
    else:
        verdict = {"LedgerUnbalanced": int(not ledger.balanced), "LedgerGap": ledger.gap}
        log.event("ledger.checked", metrics={"LedgerChecks": 1, **verdict}, more=more, **show.ledger(ledger))
