"""Overlap of clips with the stretches that a query describes."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyscore_plugin import Clips
from keyscore_plugin.video.samples.joined import Needle

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """Figures of the clips of one query. Every field lies in [0, 1].

    Attributes:
        precision: Share of the clips' seconds that lie in a span of the needle.
        recall: Share of the needle's seconds that lie in a clip.
        iou: Seconds in both, as a share of the seconds in either.
        r1_30: 1 if the first clip overlaps a span of the needle with an IoU of .3 or more, else 0.
        r1_50: The same for an IoU of .5.
        share: Share of the video that is in a clip. Clips that are the whole video are uniform
            sampling.
    """

    precision: float
    recall: float
    iou: float
    r1_30: float
    r1_50: float
    share: float


def judge_clips(clips: Clips, needle: Needle, *, duration_seconds: float) -> ClipFigures:
    """Compare clips with the needle that they should be.

    The first clip is that of the best priority, of equal ones that of the largest weight, then the
    earliest.

    Args:
        clips: Clips of the query, at least one.
        needle: Caption and spans of the query; its spans do not overlap.
        duration_seconds: Duration of the video.

    Example:
        >>> clips = Clips.from_intervals([0, 6], [4, 8], end_seconds=10, origin="scored")
        >>> judge_clips(clips, Needle("a cat", spans=((2.0, 6.0),)), duration_seconds=10)
        ClipFigures(precision=0.333..., recall=0.5, iou=0.25, r1_30=1.0, r1_50=0.0, share=0.6)
    """
    spans = list(zip(clips.starts, clips.ends, strict=True))
    both = sum(_overlap(clip, span) for clip in spans for span in needle.spans)
    n_clips, n_needle = _seconds(spans), _seconds(needle.spans)
    order = zip(clips.priorities, [-weight for weight in clips.weights], spans, strict=True)
    _, _, first = min(order)
    best = max(_iou(first, span) for span in needle.spans)
    return ClipFigures(
        precision=both / n_clips,
        recall=both / n_needle,
        iou=both / (n_clips + n_needle - both),
        r1_30=float(best >= 0.3),
        r1_50=float(best >= 0.5),
        share=n_clips / duration_seconds,
    )


def _seconds(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _overlap(one: Span, other: Span) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def _iou(one: Span, other: Span) -> float:
    both = _overlap(one, other)
    return both / (_seconds([one, other]) - both)
