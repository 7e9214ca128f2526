"""``python -m tests.support.faulty_cli`` is the command line with one more sampler, ``faulty``."""

import sys

from keyscore_plugin.cli import main as cli
from keyscore_plugin.registries import SAMPLERS

# The second is what a worker process calls the main module. Whoever merely imports this, such as
# the collector of doctests, must not find the sampler among the real ones.
if __name__ in ("__main__", "__mp_main__"):
    SAMPLERS["faulty"] = "tests.support.faulty:FaultySampler"

if __name__ == "__main__":
    sys.exit(cli.main())
