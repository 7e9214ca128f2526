"""From the frames that come out of a decoder to one frame a grid point, as a stream."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from keyscore_plugin.video.decoders.frame_index import Ints


class _Decoded(Protocol):
    @property
    def index(self) -> int: ...

    @property
    def is_clean(self) -> bool: ...


T = TypeVar("T", bound=_Decoded)


def nearest(frames: Iterable[T], grid: Ints, pts: Ints) -> Iterator[T]:
    """For each grid point the nearest frame in time, once each, holding one beside the last.

    A frame stands in for a grid point only when it is no further than half-way to the next grid
    point; where nothing decodes, the grid point stays empty. A frame that may be smeared is taken
    only where no clean one is as near as that.

    Args:
        frames: Those that were decoded, rising.
        grid: ``(m,)`` rising frame indices that are wanted.
        pts: ``(n,)`` times of all frames of the video, in any unit.

    Returns:
        Frames, rising, none twice.
    """
    times = pts[grid].astype(np.float64)
    reach = _reach(times)
    point = 0
    best: T | None = None
    for frame in frames:
        while point < len(grid):
            distance = float(pts[frame.index]) - times[point]
            if abs(distance) <= reach[point] and _is_better(frame, best, pts, times[point]):
                best = frame
            # Frames rise: those to come are further off than this one, once it is past the point.
            bound = abs(pts[best.index] - times[point]) if best and best.is_clean else reach[point]
            if distance < bound:
                break
            given, best, point = best, None, point + 1
            if given is not None:
                yield given
            if given is frame:
                break
        if point == len(grid):
            return
    if best is not None:
        yield best


def _is_better(frame: T, best: T | None, pts: Ints, time: float) -> bool:
    """Whether a frame serves a time better than an earlier one."""
    if best is None or frame.is_clean != best.is_clean:
        return best is None or frame.is_clean
    return bool(abs(pts[frame.index] - time) <= abs(time - pts[best.index]))


def _reach(times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Half the distance to the nearer neighbour on the grid; endless for a single point."""
    if len(times) == 1:
        return [float("inf")]
    gaps = np.diff(times)
    left, right = np.append(gaps[:1], gaps), np.append(gaps, gaps[-1:])
    return [float(gap) / 2 for gap in np.minimum(left, right)]
