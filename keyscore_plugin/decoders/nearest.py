"""From the frames that come out of a decoder to one frame a grid point, as a stream."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from keyscore_plugin.decoders.table import Ints

T = TypeVar("T")


def nearest(frames: Iterable[tuple[int, T]], grid: Ints, pts: Ints) -> Iterator[tuple[int, T]]:
    """For each grid point the nearest frame in time, once each, holding two at most.

    A frame stands in for a grid point only when it is no further than half-way to the next grid
    point; where nothing decodes, the grid point stays empty.

    Args:
        frames: Frame index and frame, rising; those that were decoded.
        grid: ``(m,)`` rising frame indices that are wanted.
        pts: ``(n,)`` times of all frames of the video, in any unit.

    Returns:
        Frame index and frame, rising, no frame twice.
    """
    times = pts[grid].astype(np.float64)
    reach = _reach(times)
    point, given = 0, -1
    before: tuple[int, T] | None = None
    for index, frame in frames:
        while point < len(grid) and grid[point] <= index:
            best = _closer(before, (index, frame), pts, times[point])
            if abs(pts[best[0]] - times[point]) <= reach[point] and best[0] > given:
                yield best
                given = best[0]
            point += 1
        before = (index, frame)
        if point == len(grid):
            return
    # The stream ended before the last grid points.
    for left in range(point, len(grid)):
        if before and abs(pts[before[0]] - times[left]) <= reach[left] and before[0] > given:
            yield before
            given = before[0]


def _closer(
    before: tuple[int, T] | None, after: tuple[int, T], pts: Ints, time: float
) -> tuple[int, T]:
    if before is None or abs(pts[after[0]] - time) <= abs(time - pts[before[0]]):
        return after
    return before


def _reach(times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Half the distance to the nearer neighbour on the grid; endless for a single point."""
    if len(times) == 1:
        return [float("inf")]
    gaps = np.diff(times)
    left, right = np.append(gaps[:1], gaps), np.append(gaps, gaps[-1:])
    return [float(gap) / 2 for gap in np.minimum(left, right)]
