"""The beginning of a video as a video of its own."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Frames
from keyscore_plugin.video import VideoSource


class CutSource:
    """A `VideoSource` that ends early: what lies behind its end does not exist.

    Every sampler then sees the same short video, whatever it looks at: a grid, all frames, or the
    keyframes. Frame indices and times stay those of the whole video.

    Args:
        source: The whole video; closing this closes it.
        seconds: How much of it is kept, from its first frame's start. A frame belongs to it when
            it starts earlier.
    """

    def __init__(self, source: VideoSource, seconds: float) -> None:
        self._source = source
        times = source.pts_seconds()
        self._seconds = times[times - times[0] < seconds]
        self.path: str = source.path
        self.decoder: str = source.decoder
        self.n_frames: int = len(self._seconds)
        self.n_frames_counted: bool = source.n_frames_counted
        self.width: int = source.width
        self.height: int = source.height
        self.rotation: int = source.rotation
        is_cut = self.n_frames < len(times)
        self.duration_seconds: float = seconds if is_cut else source.duration_seconds
        self.average_fps: Fraction = (
            self.n_frames / Fraction(seconds) if is_cut else source.average_fps
        )
        self._notes = (f"only the first {seconds:g} s are used",) if is_cut else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """See `VideoSource.notes`."""
        return self._source.notes + self._notes

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """See `VideoSource.pts_seconds`."""
        return self._seconds.clone() if indices is None else self._seconds[self._inside(indices)]

    def keyframes(self) -> Tensor:
        """See `VideoSource.keyframes`."""
        keyframes = self._source.keyframes()
        return keyframes[keyframes < self.n_frames]

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `VideoSource.read`."""
        return self._source.read(self._inside(indices), size=size)

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `VideoSource.thumbnails`; a frame behind the end stands in for none."""
        for batch in self._source.thumbnails(self._inside(grid), short_side=short_side):
            inside = batch[batch.indices < self.n_frames]
            if len(inside):
                yield inside

    def close(self) -> None:
        """Free the decoder."""
        self._source.close()

    def __enter__(self) -> "CutSource":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _inside(self, indices: Sequence[int] | Tensor) -> Tensor:
        """The indices, if none lies behind the end; the source checks the rest."""
        rows = torch.as_tensor(indices)
        behind = rows[rows >= self.n_frames]
        if len(behind):
            raise InputError(
                f"frame {int(behind[0])} is not in the first {self.duration_seconds:g} s of "
                f"{self.path}, which have frames 0 to {self.n_frames - 1}"
            )
        return rows
