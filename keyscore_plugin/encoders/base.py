"""The protocol of an encoder, and the base class of those that run a pretrained network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Lock
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.encoders.batching import Batching
from keyscore_plugin.encoders.reading import reading_of
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

# A tokenizer of transformers keeps the padding and the cut of the last call in itself, so that two
# threads would cut each other's texts. A lock of the module leaves encoders free to be copied.
_ONE_TEXT = Lock()
# Ours: frames per forward pass; on CUDA the free memory decides. On a CPU a multiple of 12: without
# AVX-512, MKL rounds the rows of a product beyond a multiple of 6 (of 4 in larger products) in
# another way than the rest, and a frame's bits would depend on its place in the batch.
_BATCH = {"cpu": 12, "mps": 15}


@runtime_checkable
class Encoder(Protocol):
    """A dual encoder, which embeds frames and texts as unit vectors of one space.

    `keyscore_plugin.score` compares the vectors by their cosine (eq. 2-4). The dimension d is the
    same for frames and texts.
    """

    @property
    def name(self) -> str:
        """Name by which `load_encoder` loads it again; `Selection.encoder` records it."""

    @property
    def device(self) -> torch.device:
        """Device on which the encoder runs and its vectors lie."""

    @property
    def short_side(self) -> int:
        """Pixels of a frame's shorter side; a larger frame shows the encoder no more detail."""

    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames, in batches that suit the device.

        Args:
            frames: Frames whose pixels may lie on any device.

        Returns:
            Vectors ``(n_frames, d)`` float32 of unit length on `device`, with the frames' indices
            and times.

        Raises:
            InputError: There are no frames.
            MemoryEndedError: The memory of the device is too small for one frame.
        """

    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text; tokens beyond the encoder's limit are cut off and counted.

        Args:
            text: A text that is not blank.

        Returns:
            A vector ``(d,)`` float32 of unit length on `device`, with the number of tokens and
            the words that the encoder cannot read.

        Raises:
            InputError: The text is blank, or is not Unicode.
        """


class DualEncoder(ABC):
    """Base class of the encoders that run a pretrained network of a library.

    The network runs in half precision on a GPU and in float32 on a CPU. The vectors are float32
    and are scaled to unit length in float32; cosines, pooling and scores are float64
    (`keyscore_plugin.algorithm.scoring`).

    Args:
        name: Name by which `load_encoder` loads it again.
        device: Device on which the network runs.
        dtype: Number format of the weights; None takes float32 on a CPU and `half_precision`
            elsewhere.

    Attributes:
        half_precision: Number format of the weights on a GPU.
        short_side: Pixels of the shorter side to which a frame is resized.
    """

    half_precision = torch.float16
    short_side: int
    _max_tokens: int

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype | None) -> None:
        self.name = name
        self.device = device
        self._dtype = dtype or (torch.float32 if device.type == "cpu" else self.half_precision)
        self._batching = Batching.of(device, n_frames=_BATCH.get(device.type, 1))

    @torch.inference_mode()
    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames with the network's image tower.

        Args:
            frames: Frames whose pixels may lie on any device.

        Returns:
            Vectors ``(n_frames, d)`` float32 of unit length on `device`, with the frames' indices
            and times.

        Raises:
            InputError: There are no frames.
            ModelError: A vector is not finite.
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        batches = self._batching.run(self._embed_pixels, require_frames(frames).pixels)
        vectors = torch.cat(list(progress.track("encode", batches, total=len(frames))))
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    @torch.inference_mode()
    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text with the network's text tower; tokens beyond its limit are cut off.

        Args:
            text: A text that is not blank.

        Returns:
            A vector ``(d,)`` float32 of unit length on `device`, with the number of tokens and
            the words that the tokenizer does not know.

        Raises:
            InputError: The text is blank, or is not Unicode.
            ModelError: The vector is not finite.
        """
        require_text(text)
        with _ONE_TEXT, exact_arithmetic(self.device):
            return TextEmbedding(
                vector=self._unit(self._text_features(text))[0],
                model=self.name,
                n_tokens=self._count_tokens(text),
                max_tokens=self._max_tokens,
                reading=reading_of(text, self._reader()),
            )

    def _embed_pixels(self, pixels: Tensor) -> Tensor:
        """Map ``(n, h, w, 3)`` uint8 pixels to ``(n, d)`` unit vectors."""
        with exact_arithmetic(self.device):
            return self._unit(self._image_features(pixels))

    def _unit(self, features: Tensor) -> Tensor:
        """Scale ``(n, d)`` features to unit length, in float32.

        Raises:
            ModelError: A feature is not finite; the largest number in half precision is 65,504.
        """
        if not features.isfinite().all():
            raise ModelError(
                f"{shown(self.name)} gives vectors that are not finite in {features.dtype}; give "
                "device='cpu', where it runs in float32"
            )
        return F.normalize(features.float(), dim=-1)

    @abstractmethod
    def _image_features(self, pixels: Tensor) -> Tensor:
        """Map ``(n, h, w, 3)`` uint8 pixels on any device to ``(n, d)`` features."""

    @abstractmethod
    def _text_features(self, text: str) -> Tensor:
        """Map a text, cut to `_max_tokens`, to ``(1, d)`` features."""

    @abstractmethod
    def _count_tokens(self, text: str) -> int:
        """Count the tokens of the whole text."""

    @abstractmethod
    def _reader(self) -> Callable[[str], bool]:
        """Return a function that says for one word whether the tokenizer knows it."""


def require_text(text: str) -> str:
    """Return the text if it can be encoded.

    Raises:
        InputError: The text is blank, or holds bytes of a command line that are not UTF-8.
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
    """Return the frames if there are any.

    Raises:
        InputError: There are no frames.
    """
    if len(frames) == 0:
        raise InputError("there are no frames to encode; give at least one")
    return frames
