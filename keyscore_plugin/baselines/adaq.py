"""AdaQ: draws from a softmax whose temperature follows the spread of the scores."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import (
    PublishedSampler,
    padded_by_score,
    require_range,
    stretched,
)
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class AdaqSettings:
    """Settings of `adaq`.

    Attributes:
        temperature: Temperature of the softmax, as a multiple of the variance of the scores.
        deviations: Number of standard deviations whose share of a normal distribution is drawn
            from.
        seed: Seed of the draws. Ours.
    """

    temperature: float = 0.5
    deviations: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_range(self, "temperature", low=1e-9)
        require_range(self, "deviations", low=0)
        require_range(self, "seed", low=0)


def adaq(scores: Tensor, *, num_frames: int, settings: AdaqSettings) -> Tensor:
    """AdaQ (arXiv 2606.24187), from its formula; its code was not seen.

    With s the scores stretched to [0, 1], p = softmax(s / (temperature Var s)). The most probable
    frames that hold the share of a normal distribution within ``deviations`` (.9973 within 3) are
    drawn from, without repeats.

    Args:
        scores: ``(n,)`` finite scores of any scale; constant ones weigh all frames alike.
        num_frames: The budget k.
        settings: The temperature, the share and the seed.

    Returns:
        At most ``num_frames`` rising rows: fewer frames may hold the whole share.
    """
    s = stretched(scores)
    spread = settings.temperature * s.var(correction=0)
    logits = torch.where(spread > 0, s / spread, torch.zeros_like(s))
    mass, ranked = logits.softmax(0).sort(descending=True, stable=True)
    share = torch.erf(torch.tensor(settings.deviations / 2**0.5, dtype=torch.float64))
    pool = ranked[: int((mass.cumsum(0) < share).sum()) + 1]
    generator = torch.Generator().manual_seed(settings.seed)
    # The largest of log p + Gumbel noise are draws without repeats.
    noise = -torch.empty(len(pool), dtype=torch.float64).exponential_(generator=generator).log()
    drawn = (logits[pool] + noise).sort(descending=True, stable=True).indices
    return pool[drawn[:num_frames]].sort().values


class AdaqSampler(PublishedSampler[AdaqSettings], TextSampler):
    """AdaQ; frames that its share does not hold are added by their score, with a note."""

    name = "adaq"
    defaults = AdaqSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        rows = adaq(grid.cosines, num_frames=request.at_least, settings=self.settings)
        return padded_by_score(
            rows,
            grid.cosines,
            request.at_least,
            reason="the other frames have no share of AdaQ's probability",
        )
