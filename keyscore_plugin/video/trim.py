"""A part of a video, as a video."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import Frames, ScoredFrame, Selection
from keyscore_plugin.types.numbers import is_real
from keyscore_plugin.video.base import ForwardedVideo, VideoSource, checked_indices

_CLOCK_NOISE = 1e-6  # seconds; 0.3 and 3 / 10 are the same time


def check_part(start_seconds: Any, end_seconds: Any) -> None:
    """Refuse bounds that no part of any video can have. None sets no bound.

    Raises:
        InputError: A bound is not a number of seconds from 0 on, or they are reversed.
    """
    for name, seconds in (("start", start_seconds), ("end", end_seconds)):
        if seconds is not None and not (is_real(seconds) and 0 <= seconds < math.inf):
            raise InputError(
                f"the {name} of a part of a video must be a number of seconds, 0 or more, counted "
                f"from the first frame, got {shown(seconds)}"
            )
    if start_seconds is not None and end_seconds is not None and start_seconds >= end_seconds:
        raise InputError(
            f"a part of a video must end after it starts, got start {start_seconds} s and "
            f"end {end_seconds} s; swap or change them"
        )


class TrimmedVideo(ForwardedVideo):
    """The frames ``first`` to ``last`` of an open video; frame 0 of the part is ``first``.

    Times remain those of the container. Closing the part does not close the video.

    Args:
        source: Video to take a part of.
        first: Index of the part's first frame in the video.
        last: Index of the part's last frame in the video.
        start_seconds: Start of the part that was asked for, in seconds from the first frame.
        end_seconds: End of the part that was asked for.

    Attributes:
        whole: The whole video.
    """

    def __init__(
        self,
        source: VideoSource,
        first: int,
        last: int,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> None:
        super().__init__(source)
        self.whole = source
        self.first = first
        self.start_seconds, self.end_seconds = start_seconds, end_seconds
        seconds = source.pts_seconds()
        self._seconds = seconds[first : last + 1]
        n_frames = last - first + 1
        if n_frames < source.n_frames:
            ends = [*seconds[1:].tolist(), float(seconds[0]) + source.duration_seconds]
            duration = ends[last] - float(seconds[first])
            self.facts = replace(
                source.facts,
                n_frames=n_frames,
                duration_seconds=duration,
                average_fps=Fraction(n_frames / duration),
            )

    @classmethod
    def between(
        cls, source: VideoSource, start_seconds: float | None, end_seconds: float | None
    ) -> "TrimmedVideo":
        """The frames that begin on or between two times; if none does, the one on show there.

        Args:
            source: Video to take a part of.
            start_seconds: Start in seconds from the video's first frame; None sets no bound.
            end_seconds: End in the same seconds; it may lie after the video's end.

        Raises:
            InputError: `check_part` refuses the bounds, or no frame is on show between them.
        """
        check_part(start_seconds, end_seconds)
        seconds = source.pts_seconds() - source.start_pts_seconds
        start = 0.0 if start_seconds is None else float(start_seconds)
        end = math.inf if end_seconds is None else float(end_seconds)
        first = int(torch.searchsorted(seconds, start - _CLOCK_NOISE))
        last = int(torch.searchsorted(seconds, end + _CLOCK_NOISE, right=True)) - 1
        lasts = float(seconds[0]) + source.duration_seconds
        if last < 0 or start >= lasts:
            until = "its end" if end_seconds is None else f"{end} s"
            raise InputError(
                f"no frame of {source.path} is on show from {start} s to {until}, counted from its "
                f"first frame: it lasts {lasts:.2f} s; give another start or end"
            )
        return cls(
            source,
            min(first, last),
            last,
            start_seconds=None if start_seconds is None else start,
            end_seconds=None if end_seconds is None else end,
        )

    @classmethod
    def beginning(cls, source: VideoSource, seconds: float) -> "TrimmedVideo":
        """The frames that start less than ``seconds`` after the first one, which is among them."""
        times = source.pts_seconds()
        n_frames = max(1, int((times - times[0] < seconds).sum()))
        return cls(source, 0, n_frames - 1)

    @override
    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        return self._seconds.clone() if indices is None else self._seconds[self._rows(indices)]

    @override
    def keyframes(self) -> Tensor:
        keys = self.whole.keyframes() - self.first
        return keys[(keys >= 0) & (keys < self.n_frames)]

    @override
    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        return self._own(self.whole.read(self._rows(indices) + self.first, size=size))

    @override
    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        rows = self._rows(grid)
        for batch in self.whole.thumbnails(rows + self.first, short_side=short_side):
            own = self._own(batch)
            yield own if self._is_inside(own.indices) else self._pulled_in(own, rows)

    @override
    def close(self) -> None:
        """Do nothing: the caller who opened the video closes it."""

    def of_whole(self, selection: Selection) -> Selection:
        """A selection from this part, with the frame indices and the facts of the whole video."""
        return replace(
            selection,
            indices=[self.first + index for index in selection.indices],
            candidates=self._moved(selection.candidates),
            curves=self._moved(selection.curves),
            start_pts_seconds=self.start_pts_seconds,
            start_seconds=self.start_seconds,
            end_seconds=self.end_seconds,
            duration_seconds=self.whole.duration_seconds,
            average_fps=float(self.whole.average_fps),
            n_frames=self.whole.n_frames,
        )

    def _moved(self, frames: Sequence[ScoredFrame]) -> tuple[ScoredFrame, ...]:
        return tuple(replace(frame, index=self.first + frame.index) for frame in frames)

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
        """Frames of the video, with their indices in the part."""
        return Frames(frames.pixels, frames.indices - self.first, frames.pts_seconds)

    @override
    def _rows(self, indices: Sequence[int] | Tensor) -> Tensor:
        name = f"this part of {self.path}"
        return checked_indices(indices, n_frames=self.n_frames, path=name)
