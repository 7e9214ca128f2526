"""The frames that a selection was chosen from: how many were decoded, and the scores of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """One scored frame of a video, with its scores; a score that the sampler lacks is None.

    Attributes:
        index: Frame index, 0-based in display order.
        pts_seconds: Presentation time in seconds, from the container.
        cluster: STACFP cluster of the frame.
        semantic: Cosine of frame and text (eq. 2); KeyScore normalises it by min-max over the
            scored frames, other samplers do not.
        temporal: Cosine of frame and whole video (eq. 3), min-max normalised.
        drop: Fall of the video-text cosine without the frame (eq. 4), min-max normalised.
        total: Score that ranks the frames; KeyScore's is eq. 1.
        by_text: Score by each of `Selection.texts`, 0 to 1, if several texts score; else empty.
    """

    index: int
    pts_seconds: float
    cluster: int | None = None
    semantic: float | None = None
    temporal: float | None = None
    drop: float | None = None
    total: float | None = None
    by_text: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class GridInfo:
    """The grid of a selection: the frames that were decoded, small, to choose from.

    Attributes:
        kind: Kind of the first grid: `GridConfig.kind`, or ``"all"``, every frame of the video.
        n_first: Number of frames in the first grid; most samplers have no other.
        n_closer: Number of further frames around those of the first grid that score.
    """

    kind: str
    n_first: int
    n_closer: int = 0
