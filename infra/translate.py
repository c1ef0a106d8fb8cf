"""What CloudFormation makes of a SAM template: read as JSON from stdin, written to stdout. Runs outside our own venv.

On stderr and with exit code 1: what the translator finds wrong.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform

NO_MANAGED_POLICIES = SimpleNamespace(load=dict)
"""The translator asks IAM for them; every role here has its policy written out."""


def main() -> None:
    """Translate stdin to stdout."""
    try:
        json.dump(transform(json.load(sys.stdin), {}, NO_MANAGED_POLICIES), sys.stdout, indent=1, sort_keys=True)
    except InvalidDocumentException as invalid:
        sys.exit("\n".join(cause.message for cause in invalid.causes))


if __name__ == "__main__":
    main()
