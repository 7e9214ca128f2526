"""BOLT: inverse transform sampling of the sharpened scores, so peaks get more (CVPR 2025)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import PublishedSampler, require_range, stretched
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class BoltSettings:
    """Settings of `bolt`.

    Attributes:
        power: Power alpha on the stretched scores. The release has 3 for VideoMME, MLVU and the
            demo, and 2.5 for LongVideoBench; the default of its code is no power.
    """

    power: float = 3.0

    def __post_init__(self) -> None:
        require_range(self, "power", low=0)


def bolt_draws(scores: Tensor, *, num_frames: int, settings: BoltSettings) -> Tensor:
    """The draws of BOLT (Liu et al., CVPR 2025) as released: frames may repeat.

    p = minmax(s)^alpha / sum; the draws are the first t whose cumulated p reaches u, for k values
    u evenly from 1/k to 1 - 1/k. With k = 2 both are 1/2, so that one frame is drawn twice.

    Args:
        scores: ``(n,)`` finite scores of any scale. Constant ones weigh all frames alike
            (released: NaN, then frame 0 every time).
        num_frames: The budget k. Ours: for k = 1, where the released grid of u degenerates to {1},
            u is 1/2.
        settings: The power.

    Returns:
        ``(k,)`` rows, not falling.
    """
    return _draw(_mass(scores, settings), num_frames)


def bolt(scores: Tensor, *, num_frames: int, settings: BoltSettings) -> Tensor:
    """`bolt_draws` without repeats: exactly min(k, n) rows.

    Ours: a draw that fell on a taken frame is repeated, by the same rule from the frames that are
    left, until the budget is full. Once all the mass is taken, the rest are drawn evenly.

    Returns:
        ``(min(k, n),)`` rising rows.
    """
    mass = _mass(scores, settings)
    rows = _different(_draw(mass, num_frames))
    while (missing := min(num_frames, len(scores)) - len(rows)) > 0:
        left = mass.index_fill(0, rows, 0)
        if not bool(left.sum() > 0):
            left = torch.ones_like(mass).index_fill(0, rows, 0)
        rows = torch.cat([rows, _different(_draw(left, missing))])
    return torch.sort(rows).values


def _mass(scores: Tensor, settings: BoltSettings) -> Tensor:
    mass = stretched(scores) ** settings.power
    return mass if bool(mass.sum() > 0) else torch.ones_like(mass)


def _draw(mass: Tensor, num_frames: int) -> Tensor:
    """Inverse transform of evenly spaced probabilities; never a frame without mass."""
    cumulated = mass.cumsum(0)
    step = 1 / num_frames if num_frames > 1 else 0.5
    levels = torch.linspace(step, 1 - step, num_frames, dtype=mass.dtype) * cumulated[-1]
    return torch.searchsorted(cumulated, levels).clamp(max=len(mass) - 1)


def _different(rows: Tensor) -> Tensor:
    """The rows without repeats, rising."""
    return rows.bincount().nonzero().squeeze(1)


class BoltSampler(PublishedSampler[BoltSettings], TextSampler):
    """BOLT; draws of a frame that is taken are repeated, and a note counts them."""

    name = "bolt"
    defaults = BoltSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        draws = bolt_draws(grid.cosines, num_frames=request.at_least, settings=self.settings)
        rows = bolt(grid.cosines, num_frames=request.at_least, settings=self.settings)
        n_repeated = len(rows) - len(_different(draws))
        note = f"{n_repeated} of {len(rows)} draws of BOLT repeated a frame and were made again"
        return Picked(rows, (note,) if n_repeated > 0 else ())
