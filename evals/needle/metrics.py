"""Does a selection find what a caption describes, and how much of it?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from evals.needle.data import Needle

MOMENT_SECONDS = 0.5
REACHES_SECONDS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one selection, or the mean of many, is worth. Every field lies in [0, 1].

    Attributes:
        precision: Share of the chosen frames that lie in a span of the needle.
        hit: 1 when at least one does.
        coverage_1s: Share of the needle's half-seconds with a chosen frame within 1 s.
        coverage_2s: The same within 2 s.
        coverage_5s: The same within 5 s.
    """

    precision: float
    hit: float
    coverage_1s: float
    coverage_2s: float
    coverage_5s: float

    def to_dict(self) -> dict[str, float]:
        """The figures as plain JSON values."""
        return asdict(self)


def judge(pts_seconds: Sequence[float], needle: Needle) -> Figures:
    """Compare a selection with what it was to find.

    Args:
        pts_seconds: Times of the chosen frames from the video's first frame on, at least one.
        needle: What was asked for.

    Example:
        >>> judge([1.0, 9.0], Needle("a cat", spans=((0.0, 4.0),)))
        Figures(precision=0.5, hit=1.0, coverage_1s=0.5, coverage_2s=0.75, coverage_5s=1.0)
    """
    inside = [any(start <= t < end for start, end in needle.spans) for t in pts_seconds]
    gaps = [min(abs(t - moment) for t in pts_seconds) for moment in moments(needle)]
    near, wide, far = (fmean(gap <= reach for gap in gaps) for reach in REACHES_SECONDS)
    return Figures(fmean(inside), float(any(inside)), near, wide, far)


def moments(needle: Needle) -> list[float]:
    """The middles of every span's half-seconds; what is left over at its end counts as none."""
    return [
        start + MOMENT_SECONDS * (i + 0.5)
        for start, end in needle.spans
        for i in range(max(1, int((end - start) / MOMENT_SECONDS + 1e-9)))
    ]


def mean_figures(rows: Sequence[Figures]) -> Figures:
    """The mean over queries, field by field."""
    columns = zip(*(row.to_dict().values() for row in rows), strict=True)
    return Figures(*(fmean(column) for column in columns))
