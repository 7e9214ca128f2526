"""What turns frames and texts into one space."""

from typing import Protocol, runtime_checkable

import torch

from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding


@runtime_checkable
class Encoder(Protocol):
    """A dual encoder: frames and texts in, unit vectors of one space out."""

    @property
    def name(self) -> str:
        """What `Selection.encoder` records: the name by which it is loaded again."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def short_side(self) -> int:
        """Pixels of a frame's shorter side beyond which it sees no more detail."""

    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames, batched to the device; pixels on any device, vectors on `device`.

        Raises:
            InputError: There are no frames.
            MemoryEndedError: The memory of the device does not hold the work on one frame.
        """

    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text; what exceeds the encoder's limit is cut and counted.

        Raises:
            InputError: The text is empty, or no Unicode.
        """


def require_text(text: str) -> str:
    """The text, if it says something.

    Raises:
        InputError: It is empty or blank, or holds bytes that were no UTF-8 on a command line.
    """
    if not text.strip():
        raise InputError("the text to encode is empty; give a caption or a question")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"character {error.start + 1} of the text to encode, {text[error.start]!r}, is no "
            "Unicode character; give the text in UTF-8"
        ) from error
    return text


def require_frames(frames: Frames) -> Frames:
    """The frames, if there are any.

    Raises:
        InputError: There are none.
    """
    if len(frames) == 0:
        raise InputError("there are no frames to encode; give at least one")
    return frames
