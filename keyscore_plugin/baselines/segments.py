"""The rule of framesieve: the best frame of each of the best segments of like content."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import PublishedSampler, require_range
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class SegmentsSettings:
    """Settings of `segments`.

    Attributes:
        per_frame: Number of segments for each frame of the budget.
    """

    per_frame: int = 8

    def __post_init__(self) -> None:
        require_range(self, "per_frame", low=1)


def segments(
    scores: Tensor, vectors: Tensor, *, num_frames: int, settings: SegmentsSettings
) -> Tensor:
    """The rule of framesieve 0.2.0 (Apache-2.0), from its description.

    The video is cut where neighbouring embeddings differ most, into ``per_frame`` segments for each
    frame of the budget. The best frame of each segment is ranked, and the k best are chosen.

    Args:
        scores: ``(n,)`` finite scores of any scale.
        vectors: ``(n, d)`` unit embeddings, in time order.
        num_frames: The budget k.
        settings: The number of segments.

    Returns:
        ``(min(k, n),)`` rising rows; of equal scores the earlier.
    """
    n = len(scores)
    change = 1 - (vectors[1:] * vectors[:-1]).sum(1)
    n_cuts = min(settings.per_frame * num_frames, n) - 1
    cuts = change.sort(descending=True, stable=True).indices[:n_cuts]
    starts = torch.zeros(n, dtype=torch.int64).index_fill(0, cuts + 1, 1)
    segment = starts.cumsum(0)
    # Sorted by score, then stably by segment: the first row of each segment is its best frame.
    by_score = scores.sort(descending=True, stable=True).indices
    by_segment = by_score[segment[by_score].sort(stable=True).indices]
    best = by_segment[torch.cat([torch.ones(1), segment[by_segment].diff()]) > 0]
    ranked = scores[best].sort(descending=True, stable=True).indices
    return best[ranked[:num_frames]].sort().values


class SegmentsSampler(PublishedSampler[SegmentsSettings], TextSampler):
    """The rule of framesieve on the cosines of frames and text."""

    name = "segments"
    defaults = SegmentsSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        rows = segments(
            grid.cosines, grid.vectors, num_frames=request.at_least, settings=self.settings
        )
        return Picked(rows)
