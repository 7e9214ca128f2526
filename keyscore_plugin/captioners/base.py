"""What writes a sentence about a video when the caller has none."""

from typing import Protocol, runtime_checkable

from keyscore_plugin.types import Caption, Frames


@runtime_checkable
class Captioner(Protocol):
    """Describes frames in one sentence.

    Attributes:
        name: What `Caption.model` records.
    """

    name: str

    def caption(self, frames: Frames) -> Caption:
        """One sentence about these frames (STACFP's candidates, in time order).

        Their times count from the video's first frame. Their pixels may lie on any device:
        `Frames.to` brings them to another.
        """
