"""An encoder for worker processes that waits for a file before it encodes a text.

It makes a second file, of that name and ``.reached``, when it waits.
The text ``die`` ends its process at once, as a decoder does that crashes.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

from typing_extensions import override

from keyscore_plugin.errors import ModelError
from keyscore_plugin.registries import ENCODERS
from keyscore_plugin.types import TextEmbedding
from keyscore_serving import FrameChooser, ServerSettings
from tests.support.colour_encoder import ColourEncoder

GATE = "KEYSCORE_TEST_GATE"  # names the file that is waited for


class GatedEncoder(ColourEncoder):
    """Encodes a text when the gate is open."""

    @override
    def encode_text(self, text: str) -> TextEmbedding:
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        gate = Path(os.environ[GATE])
        while not gate.exists():
            gate.with_suffix(".reached").touch()
            time.sleep(0.01)
        return super().encode_text(text)


def encoder(device: Any) -> GatedEncoder:
    """The encoder; it computes on the CPU."""
    return GatedEncoder()


def make_gated() -> FrameChooser:
    """A chooser with the encoder, for a worker process."""
    ENCODERS["gated"] = f"{__name__}:encoder"
    return FrameChooser(ServerSettings(encoder="gated"))


def make_once(starts: Path) -> FrameChooser:
    """A chooser for the first process that asks; the file gets one byte for each that does."""
    with starts.open("ab") as file:
        file.write(b"1")
    if starts.stat().st_size > 1:
        raise ModelError("the model is gone; bring it back")
    return make_gated()
