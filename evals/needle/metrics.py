"""Precision, hit and coverage of a selection that should find what a caption describes."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

from evals.needle.asks import Ask
from keyscore_plugin.video.samples.joined import Needle

REACHES_SECONDS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one selection, or the mean of many. Every field lies in [0, 1].

    Attributes:
        precision: Share of the chosen frames that lie in a span of the needle.
        hit: 1 if at least one of them does, else 0; `judge` says what it is for several spans.
        coverage_1s: Share of the needle's half-seconds with a chosen frame within 1 s.
        coverage_2s: Share of the needle's half-seconds with a chosen frame within 2 s.
        coverage_5s: Share of the needle's half-seconds with a chosen frame within 5 s.
    """

    precision: float
    hit: float
    coverage_1s: float
    coverage_2s: float
    coverage_5s: float


def judge(pts_seconds: Sequence[float], needle: Needle, *, ask: Ask = "one") -> Figures:
    """Compare a selection with the needle it should find.

    Args:
        pts_seconds: Times of the chosen frames from the video's first frame on, at least one.
        needle: Caption and spans of the query.
        ask: Kind of query. With ``"two"`` and ``"three"`` the hit is 1 if every span has
            a frame, with ``"every"`` it is the share of the spans that have one, else it is 1 if
            any span has one.

    Example:
        >>> judge([1.0, 9.0], Needle("a cat", spans=((0.0, 4.0),)))
        Figures(precision=0.5, hit=1.0, coverage_1s=0.5, coverage_2s=0.75, coverage_5s=1.0)
    """
    n_inside = needle.n_inside(pts_seconds)
    near, wide, far = (needle.share_within(pts_seconds, seconds=reach) for reach in REACHES_SECONDS)
    return Figures(n_inside / len(pts_seconds), _hit(pts_seconds, needle, ask), near, wide, far)


def _hit(times: Sequence[float], needle: Needle, ask: Ask) -> float:
    hits = [any(start <= time < end for time in times) for start, end in needle.spans]
    if ask in ("two", "three"):
        return float(all(hits))
    return fmean(hits) if ask == "every" else float(any(hits))


def mean_figures(rows: Sequence[Figures]) -> Figures:
    """The mean over queries, field by field."""
    columns = zip(*(astuple(row) for row in rows), strict=True)
    return Figures(*(fmean(column) for column in columns))
