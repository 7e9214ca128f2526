"""GIFT: frames that are relevant, and far from every frame that is more relevant."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import PublishedSampler, require_range, stretched
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class GiftSettings:
    """Settings of `gift`.

    Attributes:
        at_once: Number of frames that are chosen before the distances are computed again.
    """

    at_once: int = 9

    def __post_init__(self) -> None:
        require_range(self, "at_once", low=1)


def gift(scores: Tensor, vectors: Tensor, *, num_frames: int, settings: GiftSettings) -> Tensor:
    """GIFT (CVPR 2026, arXiv 2603.25072), from its formula.

    A frame is worth r_i d_i^2, with r_i its relevance and d_i the distance of its embedding from
    that of the nearest frame that is more relevant; the most relevant frame takes its largest
    distance. The best frames are chosen, a few at a time; then every chosen frame counts as more
    relevant than all others.

    Args:
        scores: ``(n,)`` finite scores of any scale; ours: stretched to [0, 1].
        vectors: ``(n, d)`` unit embeddings.
        num_frames: The budget k.
        settings: The number of frames at a time.

    Returns:
        ``(min(k, n),)`` rising rows; of equal worth the earlier.
    """
    relevance = stretched(scores)
    unit = vectors.double()
    apart = (2 - 2 * unit @ unit.T).clamp_min(0)  # squared distances of unit vectors
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    while (n_missing := min(num_frames, len(scores)) - int(chosen.sum())) > 0:
        above = (relevance[None, :] > relevance[:, None]) | chosen[None, :]
        nearest = apart.masked_fill(~above, torch.inf).min(dim=1).values
        distance = torch.where(nearest.isinf(), apart.max(dim=1).values, nearest)
        worth = (relevance * distance).masked_fill(chosen, -torch.inf)
        ranked = worth.sort(descending=True, stable=True).indices
        chosen[ranked[: min(settings.at_once, n_missing)]] = True
    return chosen.nonzero().flatten()


class GiftSampler(PublishedSampler[GiftSettings], TextSampler):
    """GIFT on the cosines of frames and text."""

    name = "gift"
    defaults = GiftSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        rows = gift(grid.cosines, grid.vectors, num_frames=request.at_least, settings=self.settings)
        return Picked(rows)
