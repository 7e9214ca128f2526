"""Clips of a model that sees few frames, moved to the borders of scenes (ours)."""

import bisect
from collections.abc import Sequence

from keyscore_plugin.types import Clips


def snap(clips: Clips, scenes: Clips, *, within_seconds: float) -> Clips:
    """Move starts and ends of clips to borders of scenes that are near.

    A model that sees a frame every few seconds cannot know a border better than that; the cut is
    where the picture changes. A clip whose start and end would move to one border keeps its times.

    Args:
        clips: Clips as a model named them.
        scenes: Scenes, which together are the video, or the part of it that is chosen from.
        within_seconds: Longest way of a time to a border; times farther away stay.

    Returns:
        The clips, disjoint again, with their weights, priorities, reasons and model.

    Example:
        >>> scenes = Clips.from_intervals([0, 10], [10, 40], end_seconds=40, origin="segments")
        >>> clips = Clips.from_intervals([8.5], [22], end_seconds=40, origin="predicted")
        >>> moved = snap(clips, scenes, within_seconds=2)
        >>> moved.starts, moved.ends
        ((10.0,), (22.0,))
    """
    borders = [*scenes.starts, scenes.ends[-1]]
    intervals = []
    for start, end in zip(clips.starts, clips.ends, strict=True):
        moved = _nearest(start, borders, within_seconds), _nearest(end, borders, within_seconds)
        intervals.append(moved if moved[0] < moved[1] else (start, end))
    return Clips.from_intervals(
        [start for start, _ in intervals],
        [end for _, end in intervals],
        start_seconds=borders[0],
        end_seconds=borders[-1],
        weights=clips.weights,
        priorities=clips.priorities,
        reasons=clips.reasons,
        origin=clips.origin,
        model=clips.model,
    )


def _nearest(seconds: float, borders: Sequence[float], within_seconds: float) -> float:
    """The nearest border, or the time itself if it has none so near."""
    place = bisect.bisect_left(borders, seconds)
    nearest = min(borders[max(0, place - 1) : place + 1], key=lambda border: abs(border - seconds))
    return nearest if abs(nearest - seconds) <= within_seconds else seconds
