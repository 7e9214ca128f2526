"""The protocol of a captioner, which describes a video if the caller gives no text."""

from typing import Protocol, runtime_checkable

from keyscore_plugin.types import Caption, Frames


@runtime_checkable
class Captioner(Protocol):
    """A model that describes frames in one sentence.

    A sampler asks it for the caption c of eq. 2 and 4 if the caller gives no text.

    Attributes:
        name: Name that `Caption.model` records.
    """

    name: str

    def caption(self, frames: Frames) -> Caption:
        """Describe frames in one sentence.

        Args:
            frames: STACFP's candidates, in time order. Their times are seconds from the video's
                first frame. Their pixels may lie on any device; `Frames.to` moves them.

        Returns:
            The sentence, with origin ``"generated"`` and the name of the model.

        Raises:
            InputError: There are no frames.
            ModelError: The model gives no sentence.
        """


@runtime_checkable
class FrameCaptioner(Protocol):
    """A captioner that describes frames one by one, for `keyscore_plugin.Importance`.

    Attributes:
        name: Name that `FrameCaptions.model` records.
    """

    name: str

    def caption_each(self, frames: Frames) -> list[str]:
        """Describe each frame in one sentence.

        Args:
            frames: Frames of one video. Their pixels may lie on any device.

        Returns:
            The sentence on each frame; ``""`` for a frame of which the model says nothing.
        """
