"""``llamafactory-cli train`` after `register`: ``python -m keyscore_llamafactory train.yaml``."""

import sys
from typing import Any

from keyscore_llamafactory.plugins import register
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.hosts import require


def main() -> int:
    """Train; the arguments are those of ``llamafactory-cli train``.

    Returns:
        The exit code: 0, or 2 if LLaMA-Factory is missing or a row cannot be used.
    """
    try:
        register()
        tuner: Any = require("llamafactory.train.tuner", extra=None)
        tuner.run_exp()
    except KeyScoreError as error:
        print(f"keyscore_llamafactory: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
