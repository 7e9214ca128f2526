"""The longest stretch without a chosen frame: how many frames bound it, and which ones.

A moment is any time from the start of the video to its end. It is within reach of a chosen frame if
it is at most `Bound.seconds` away. All moments are within reach if no gap between two chosen frames
is longer than twice the bound, and no gap at either end is longer than the bound itself.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

# Times are seconds of a video, whose clocks have ticks of a microsecond or more.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Bound:
    """The longest time from any moment to a chosen frame.

    Attributes:
        times: ``(n,)`` float64 times of the frames that can be chosen, in seconds, not falling.
        listed: The same times on the host, where the gaps are counted.
        span: Start and end of the video, in seconds.
        seconds: The bound.
    """

    times: Tensor
    listed: Sequence[float]
    span: tuple[float, float]
    seconds: float

    @classmethod
    def where_possible(
        cls, times: Tensor, listed: Sequence[float], span: tuple[float, float], seconds: float
    ) -> "Bound":
        """A bound for the moments that have a frame within reach.

        Frames may be farther apart than a bound allows: keyframes are, and the pictures of a screen
        at rest. Such a gap is closed to the longest one that the bound allows, and likewise at the
        ends, so that it does not lift the bound from the rest of the video.

        Args:
            times: ``(n,)`` float64 times of the frames, in seconds, not falling.
            listed: The same times on the host.
            span: Start and end of the video, in seconds.
            seconds: The bound.
        """
        # On the host: a GPU would have to be waited for once more.
        too_long = (max(0.0, later - earlier - 2 * seconds) for earlier, later in pairwise(listed))
        at = [
            time - lost
            for time, lost in zip(listed, accumulate(too_long, initial=0.0), strict=True)
        ]
        closed = torch.tensor(at, dtype=times.dtype, device=times.device)
        start = max(span[0], at[0] - seconds)
        end = min(span[1] - (listed[-1] - at[-1]), at[-1] + seconds)
        return cls(closed, at, (start, end), seconds)

    @property
    def fences(self) -> tuple[float, float]:
        """Times of two frames outside of the video that leave each end one bound."""
        return self.span[0] - self.seconds, self.span[1] + self.seconds

    def missing(self, rows: Sequence[int]) -> list[int] | None:
        """The fewest further frames with which every moment is within reach.

        Each added frame is the latest one that leaves no moment before it out of reach. No choice
        needs fewer frames.

        Args:
            rows: Rows that are chosen already, rising.

        Returns:
            Rising rows; None if even all frames leave a gap that is too long.
        """
        times = self.listed
        start, end = self.fences
        farthest = 2 * self.seconds + _ROUNDING
        more: list[int] = []
        for place, later in pairwise([start, *(times[row] for row in rows), end]):
            while later - place > farthest:
                row = bisect_right(times, place + farthest) - 1
                if row < 0 or times[row] <= place:
                    return None
                more.append(row)
                place = times[row]
        return more

    def kept(self, ranked: Sequence[int], num_frames: int) -> list[int] | None:
        """Keep as many of the ranked frames as possible, and add those that the bound needs.

        One more kept frame saves at most one added frame, so the sum of both never falls, and
        bisection finds the largest number of kept frames.

        Args:
            ranked: ``num_frames`` different rows, the most important first.
            num_frames: Number of rows to return.

        Returns:
            Rising rows; None if ``num_frames`` frames cannot keep the bound.
        """
        low, high, found = 0, num_frames, None
        while low <= high:
            n_kept = (low + high) // 2
            rows = sorted(ranked[:n_kept])
            more = self.missing(rows)
            if more is not None and n_kept + len(more) <= num_frames:
                low, found = n_kept + 1, sorted([*rows, *more])
            else:
                high = n_kept - 1
        return found

    def allows(self, earlier: Tensor, later: Tensor) -> Tensor:
        """``(n,)`` bool mask of the frames that may stand between two chosen ones.

        Args:
            earlier: ``(n,)`` times of the chosen frames before each frame; -inf where there is
                none.
            later: ``(n,)`` times of the chosen frames after each frame; inf where there is none.
        """
        start, end = self.fences
        farthest = 2 * self.seconds + _ROUNDING
        before = self.times - earlier.clamp_min(start)
        after = later.clamp_max(end) - self.times
        return (before <= farthest) & (after <= farthest)


def span_of(times: Sequence[float]) -> tuple[float, float]:
    """Start and end of a video: half a gap beyond the first frame and the last.

    Args:
        times: ``(n,)`` times of its frames, not falling.
    """
    if len(times) == 1:
        return times[0], times[0]
    return 1.5 * times[0] - 0.5 * times[1], 1.5 * times[-1] - 0.5 * times[-2]
