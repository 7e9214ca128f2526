"""STACFP alone: the proposals as the selection. Reads no text and needs no encoder."""

from dataclasses import replace

import torch
from torch import Tensor

from keyscore_plugin.config import ProposalConfig
from keyscore_plugin.samplers.call import Request, StageClock
from keyscore_plugin.samplers.look import look_at_colours
from keyscore_plugin.samplers.template import Choice, SamplerTemplate
from keyscore_plugin.stacfp import propose_features
from keyscore_plugin.types import ScoredFrame
from keyscore_plugin.video import VideoSource, uniform_indices


class StacfpSampler(SamplerTemplate):
    """Sec. 3.1: as many frames as the silhouette finds clusters, or exactly the budget.

    With a budget of k, k-means runs for that k alone instead of searching for k*.
    """

    name = "stacfp"

    def _default_num_frames(self) -> int | None:
        return None  # k* of Algorithm 1, line 11

    def _choose(self, source: VideoSource, request: Request, clock: StageClock) -> Choice:
        grid, histograms = look_at_colours(
            source,
            self.config.grid,
            at_least=request.at_least,
            short_side=self.config.grid.short_side,
            bins=self.config.proposal.bins,
            clock=clock,
        )
        with clock.stage("propose"):
            candidates = propose_features(
                histograms.to(self.tensor_device),
                grid.indices,
                grid.pts_seconds,
                self._proposal(len(grid), request.num_frames),
            )
        with clock.stage("select"):
            rows = fill_up(candidates.rows.cpu(), grid.pts_seconds, request.num_frames)
            if request.num_frames == 1:  # k-means needs two clusters: keep the larger one's frame
                rows = rows[candidates.labels.bincount().argmax().cpu()].unsqueeze(0)
        return Choice(
            indices=grid.indices[rows],
            pts_seconds=grid.pts_seconds[rows],
            n_grid=len(grid),
            candidates=unscored(candidates.indices, candidates.pts_seconds, candidates.cluster),
            curves=unscored(grid.indices, grid.pts_seconds, candidates.labels),
        )

    def _proposal(self, n_grid: int, num_frames: int | None) -> ProposalConfig:
        """The settings, with the one k that a budget leaves."""
        if num_frames is None:
            return self.config.proposal
        k = max(2, min(num_frames, n_grid))
        return replace(self.config.proposal, k_min=k, k_max=k)


def unscored(indices: Tensor, pts_seconds: Tensor, cluster: Tensor) -> tuple[ScoredFrame, ...]:
    """Frames as rows of a `Selection`, without scores; all arguments are ``(n,)``."""
    columns = (indices, pts_seconds, cluster)
    return tuple(ScoredFrame(*row) for row in zip(*(c.tolist() for c in columns), strict=True))


def fill_up(rows: Tensor, pts_seconds: Tensor, num_frames: int | None) -> Tensor:
    """Add frames evenly in time where there are fewer clusters than the budget.

    Args:
        rows: ``(n,)`` rows already chosen, rising.
        pts_seconds: ``(n_grid,)`` times of the grid.
        num_frames: The budget, or None for no addition.

    Returns:
        ``(max(n, min(num_frames, n_grid)),)`` rows, rising.

    Example:
        >>> import torch
        >>> fill_up(torch.tensor([5]), torch.arange(10.0), 3)
        tensor([2, 5, 7])
    """
    missing = min(num_frames or 0, len(pts_seconds)) - len(rows)
    if missing <= 0:
        return rows
    free = torch.ones(len(pts_seconds), dtype=torch.bool)
    free[rows] = False
    free_rows = free.nonzero().squeeze(1)
    added = free_rows[uniform_indices(pts_seconds[free_rows], missing)]
    return torch.cat([rows, added]).sort().values
