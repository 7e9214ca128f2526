"""Q-Frame, fixed frames: Gumbel draws without replacement by text similarity (ICCV 2025)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import PublishedSampler, require_range
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class QFrameSettings:
    """Settings of `qframe`.

    Attributes:
        temperature: Temperature tau of the released code.
        logit_scale: Scale of the cosines. Ours: the paper multiplies features that are not
            normalised; an encoder here gives a cosine, and CLIP's own scale of 100 stands for the
            lost norms.
        seed: Seed of the draws. Ours: the released code draws from an unseeded generator.
    """

    temperature: float = 0.8
    logit_scale: float = 100.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_range(self, "temperature", low=1e-6)
        require_range(self, "logit_scale", low=0)


def qframe(scores: Tensor, *, num_frames: int, settings: QFrameSettings) -> Tensor:
    """Q-Frame (Zhang et al., ICCV 2025) with all frames at full size: high = k, mid = low = 0.

    The k largest keys log p - log(-log u), p = softmax(logits / tau) and u uniform: a draw of k
    frames without replacement (Gumbel top-k). The multi-resolution setting, which spends the same
    tokens on more and smaller frames, does not choose frames and is left out.

    Args:
        scores: ``(n,)`` cosines.
        num_frames: The budget k.
        settings: The temperature, the scale and the seed.

    Returns:
        ``(min(k, n),)`` rising rows.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    uniform = torch.rand(len(scores), generator=generator, dtype=torch.float64)
    logits = settings.logit_scale * scores.double() / settings.temperature
    keys = torch.log_softmax(logits, dim=0) - torch.log(-torch.log(uniform))
    return keys.argsort(descending=True, stable=True)[:num_frames].sort().values


class QFrameSampler(PublishedSampler[QFrameSettings], TextSampler):
    """Q-Frame in its fixed-frame setting, seeded."""

    name = "qframe"
    defaults = QFrameSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        return Picked(qframe(grid.cosines, num_frames=request.at_least, settings=self.settings))
