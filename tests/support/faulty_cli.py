"""``python -m tests.support.faulty_cli`` is the command line with one more sampler, ``faulty``."""

import sys

from keyscore_plugin.cli import main as cli
from keyscore_plugin.registries import SAMPLERS

# The second is what a worker process calls the main module. A plain import, such as that of
# the collector of doctests, must not add the sampler to the real ones.
if __name__ in ("__main__", "__mp_main__"):
    SAMPLERS["faulty"] = "tests.support.faulty_sampler:FaultySampler"

if __name__ == "__main__":
    sys.exit(cli.main())
