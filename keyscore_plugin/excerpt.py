"""A part of a video, as a video of its own."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Frames
from keyscore_plugin.video import VideoSource

_CLOCK_NOISE = 1e-6  # seconds; 0.3 and 3 / 10 are the same time


class Excerpt:
    """The frames ``first`` to ``last`` of an open video; frame 0 of the excerpt is ``first``.

    Times stay those of the container. The video is not closed with the excerpt.

    Args:
        source: The video.
        first: Its first frame in the excerpt.
        last: Its last frame in the excerpt.

    Attributes: see `keyscore_plugin.video.VideoSource`.
    """

    def __init__(self, source: VideoSource, first: int, last: int) -> None:
        self._source = source
        self.first = first
        self.path = source.path
        self.decoder = source.decoder
        self.n_frames = last - first + 1
        self.n_frames_counted = source.n_frames_counted
        self.width, self.height, self.rotation = source.width, source.height, source.rotation
        self.mirrored, self.stream = source.mirrored, source.stream
        self._seconds = source.pts_seconds()[first : last + 1]
        self.duration_seconds = self._end(last) - float(self._seconds[0])
        self.average_fps = Fraction(self.n_frames / self.duration_seconds)

    @classmethod
    def between(
        cls, source: VideoSource, start_seconds: float | None, end_seconds: float | None
    ) -> "Excerpt":
        """The frames on or between two times of the container; None is no limit.

        Raises:
            InputError: Fewer than two frames lie there; what is less is a picture, and most
                Video-LLMs fold two frames into a token.
        """
        seconds = source.pts_seconds()
        inside = torch.ones(len(seconds), dtype=torch.bool)
        if start_seconds is not None:
            inside &= seconds >= start_seconds - _CLOCK_NOISE
        if end_seconds is not None:
            inside &= seconds <= end_seconds + _CLOCK_NOISE
        rows = inside.nonzero()[:, 0].tolist()
        if len(rows) < 2:
            raise InputError(
                f"{len(rows)} of the {source.n_frames} frames of {source.path} lie between "
                f"{start_seconds} and {end_seconds} s of the container's clock (it lasts "
                f"{source.duration_seconds:.2f} s); two are needed: widen the interval"
            )
        return cls(source, rows[0], rows[-1])

    @classmethod
    def beginning(cls, source: VideoSource, seconds: float) -> "Excerpt":
        """The frames that start less than ``seconds`` after the first one, which is among them."""
        times = source.pts_seconds()
        n_frames = max(1, int((times - times[0] < seconds).sum()))
        return cls(source, 0, n_frames - 1)

    def _end(self, last: int) -> float:
        """When the excerpt's last frame gives way to the next one, or the video ends."""
        source = self._source
        if last + 1 < source.n_frames:
            return float(source.pts_seconds([last + 1])[0])
        return float(source.pts_seconds([0])[0]) + source.duration_seconds

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the video."""
        return self._source.notes

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 presentation times of the given frames of the excerpt, or of all."""
        return self._seconds.clone() if indices is None else self._seconds[self._rows(indices)]

    def keyframes(self) -> Tensor:
        """``(n,)`` int64 the codec's own keyframes inside the excerpt."""
        keys = self._source.keyframes() - self.first
        return keys[(keys >= 0) & (keys < self.n_frames)]

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `keyscore_plugin.video.VideoSource`."""
        return self._own(self._source.read(self._rows(indices) + self.first, size=size))

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `keyscore_plugin.video.VideoSource`; no frame outside the excerpt stands in."""
        rows = self._rows(grid)
        for batch in self._source.thumbnails(rows + self.first, short_side=short_side):
            own = self._own(batch)
            yield own if self._is_inside(own.indices) else self._pulled_in(own, rows)

    def _pulled_in(self, batch: Frames, grid: Tensor) -> Frames:
        """The batch with the grid's own end points in place of frames from outside."""
        size = (batch.pixels.shape[1], batch.pixels.shape[2])
        exact = torch.where(batch.indices < 0, grid[0], batch.indices)
        exact = torch.where(batch.indices >= self.n_frames, grid[-1], exact)
        moved = (exact != batch.indices).nonzero()[:, 0]
        pixels = batch.pixels.clone()
        pixels[moved] = self.read(exact[moved], size=size).pixels.to(pixels.device)
        return Frames(pixels, exact, self.pts_seconds(exact))

    def _is_inside(self, indices: Tensor) -> bool:
        return bool(((indices >= 0) & (indices < self.n_frames)).all())

    def _own(self, frames: Frames) -> Frames:
        """Frames of the video, numbered as the excerpt's."""
        return Frames(frames.pixels, frames.indices - self.first, frames.pts_seconds)

    def _rows(self, indices: Sequence[int] | Tensor) -> Tensor:
        """The indices, if all lie in the excerpt."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        outside = rows[(rows < 0) | (rows >= self.n_frames)]
        if len(outside):
            raise InputError(
                f"frame {int(outside[0])} is not in this part of {self.path}, "
                f"which has frames 0 to {self.n_frames - 1}"
            )
        return rows

    def close(self) -> None:
        """Nothing to free: whoever opened the video closes it."""

    def __enter__(self) -> "Excerpt":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
