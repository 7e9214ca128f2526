"""A video as the rest of the project sees it: facts, true times, frames on demand."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Protocol, runtime_checkable

from torch import Tensor

from keyscore_plugin._optional import load
from keyscore_plugin.types import Frames

DECODERS = {
    "pyav": "keyscore_plugin.decoders.pyav:PyAVSource",
    "decord": "keyscore_plugin.decoders.decord:DecordSource",
    "torchcodec": "keyscore_plugin.decoders.torchcodec:TorchCodecSource",
}


@runtime_checkable
class VideoSource(Protocol):
    """An open video. Frame i is the i-th in display order; its time is the container's pts.

    Attributes:
        path: The video, as the caller named it.
        decoder: Name of the decoder, a key of `DECODERS`.
        duration_seconds: From the first frame's start to the last frame's end.
        average_fps: Mean frame rate, n_frames / duration.
        n_frames: Frames in the video.
        n_frames_counted: True when they were counted, False when estimated.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        rotation: Clockwise degrees that were applied to show the video upright.
        notes: What a reader must know: a stream that ended early, frames that do not decode ...
    """

    path: str
    decoder: str
    duration_seconds: float
    average_fps: Fraction
    n_frames: int
    n_frames_counted: bool
    width: int
    height: int
    rotation: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What came to light so far; may grow while frames are decoded."""

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 presentation times of the given frames, or of all."""

    def keyframes(self) -> Tensor:
        """``(n,)`` int64 indices of the codec's own keyframes (I-frames one can seek to)."""

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """Full-quality frames in the order asked for, duplicates included.

        Args:
            indices: Frame indices.
            size: ``(height, width)`` to scale to while decoding; None keeps the video's own.
        """

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """Low-resolution frames near the grid points, streamed in one pass in small batches.

        A frame next to a grid point may stand in for it when it is cheaper to decode; its own
        index and pts are what is reported. Unique, in time order; never upscaled.

        Args:
            grid: Rising frame indices.
            short_side: Pixels of the shorter side.
        """

    def close(self) -> None:
        """Free the decoder."""

    def __enter__(self) -> "VideoSource": ...

    def __exit__(self, *exc: object) -> None: ...


def open_video(path: str | os.PathLike[str], decoder: str = "auto") -> VideoSource:
    """Open a video file.

    Args:
        path: A local file.
        decoder: ``"pyav"``, ``"decord"``, ``"torchcodec"``; ``"auto"`` is PyAV, which decodes
            all we tried. What was used stands in `VideoSource.decoder`.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that decodes.
        InputError: The decoder is unknown.
        MissingDependencyError: The decoder asked for is not installed.
    """
    name = "pyav" if decoder == "auto" else decoder
    source: VideoSource = load("decoder", name, DECODERS)(os.fspath(path))
    return source
