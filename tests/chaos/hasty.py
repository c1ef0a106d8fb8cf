"""The local run with less patience: what takes minutes after a death takes seconds. `python -m tests.chaos.hasty`

Only how long it waits is changed, so that a run of kills ends in a minute.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from chalicelib import consume, settings
from chalicelib.notify import notify
from infra.local.__main__ import main

COMMAND = (sys.executable, "-m", "tests.chaos.hasty")

VISIBILITY = 8
"""Seconds that the queues hide a message in hand: longer than a lease, as in the template."""

VARIABLES = {"KKBIDA_MAX_TIMEOUT": "3", "KKBIDA_GRACE": "4"}
"""The settings that belong to this haste. So short a grace is allowed nowhere else."""

HASTE = (
    (settings, "LEASE_MARGIN", 4),
    (settings, "SETTINGS", tuple(replace(it, read=int) if it.name == "grace" else it for it in settings.SETTINGS)),
    (consume, "WAIT_FOR_A_PORT", 2),
    (consume, "WAIT_AFTER_A_FAULT", 4),
    (notify, "LEASE", 5),
    (notify, "WAITS", (1,) * len(notify.WAITS)),
)
"""What is put in the place of the product's own: module, name, value."""


if __name__ == "__main__":
    for module, name, value in HASTE:
        setattr(module, name, value)
    main()
