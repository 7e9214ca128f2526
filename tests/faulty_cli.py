"""``python -m tests.faulty_cli`` is the command line with one more sampler, ``faulty``."""

import sys

from keyscore_plugin import cli
from keyscore_plugin.samplers.base import SAMPLERS

# Not only where this is the main module: a worker process imports it under another name.
SAMPLERS["faulty"] = "tests.faulty:FaultySampler"

if __name__ == "__main__":
    sys.exit(cli.main())
