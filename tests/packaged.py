"""The package, built once in a test run for all that look at it or deploy it."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from infra.environments import ROOT, locked
from infra.package import build, translate


@lru_cache(maxsize=1)
def package() -> Path:
    """The folder that holds what `make package` makes: `deployment.zip`, `template.json`, `translated.json`."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # of all processes of a test run
    out = ROOT / "build" / "tested"
    with locked(ROOT / ".envs" / "tested.lock"):
        if not run or not (out / run).exists():
            build(out)
            translate(out)
            (out / run).touch()
    return out
