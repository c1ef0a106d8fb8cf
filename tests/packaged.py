"""The package, built once in a test run for all that look at it or deploy it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from infra.environments import ROOT
from infra.package import build, translate


@lru_cache(maxsize=1)
def package() -> Path:
    """The folder that holds what `make package` makes: `deployment.zip`, `template.json`, `translated.json`."""
    out = ROOT / "build" / "tested"
    build(out)
    translate(out)
    return out
