"""``python -m tests.support.colour_cli`` is the command line with one more encoder, ``colour``."""

import sys
from typing import Any

from keyscore_plugin.cli import main as cli
from keyscore_plugin.registries import ENCODERS
from tests.support.colour_encoder import ColourEncoder


def make(device: Any) -> ColourEncoder:
    """The encoder; it computes on the CPU."""
    return ColourEncoder()


# The second is what a worker process calls the main module.
if __name__ in ("__main__", "__mp_main__"):
    ENCODERS["colour"] = "tests.support.colour_cli:make"

if __name__ == "__main__":
    sys.exit(cli.main())
