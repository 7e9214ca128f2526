"""``python -m tests.support.colour_cli`` is the command line with one more encoder, ``colour``."""

import sys
from typing import Any

from keyscore_plugin.cli import main as cli
from keyscore_plugin.registries import ENCODERS
from tests.support.colour_encoder import ColourEncoder


def make(device: Any) -> ColourEncoder:
    """The encoder; it computes on the CPU."""
    return ColourEncoder()


if __name__ == "__main__":
    ENCODERS["colour"] = "tests.support.colour_cli:make"
    sys.exit(cli.main())
