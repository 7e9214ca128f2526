"""STACFP without scores: the proposals are the selection, so it needs no text and no encoder."""

from dataclasses import replace

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.config import ProposalConfig
from keyscore_plugin.samplers.choice import Choice, frame_rows
from keyscore_plugin.samplers.pad_selection import pad_evenly
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types import GridInfo


class StacfpSampler(SamplerTemplate):
    """Sec. 3.1: as many frames as the silhouette finds clusters, or exactly the budget.

    With a budget of k, k-means runs for that k alone instead of searching for k*.
    """

    name = "stacfp"
    default_num_frames = None  # k* of Algorithm 1, line 11

    def _fill(self, run: Run) -> None:
        grid, histograms = run.histograms(self.config.grid)
        run.propose(grid, histograms, self._proposal(len(grid), None))

    def _choose(self, run: Run) -> Choice:
        num_frames = run.request.num_frames
        grid, histograms = run.histograms(self.config.grid)
        candidates = run.propose(grid, histograms, self._proposal(len(grid), num_frames))
        with stage("select"):
            rows = pad_evenly(candidates.rows.cpu(), grid.pts_seconds, num_frames)
            if num_frames == 1:  # k-means needs two clusters: keep the larger one's frame
                rows = rows[candidates.labels.bincount().argmax().cpu()].unsqueeze(0)
        return Choice(
            indices=grid.indices[rows],
            pts_seconds=grid.pts_seconds[rows],
            looked_at=GridInfo(self.config.grid.kind, len(grid)),
            candidates=frame_rows(
                candidates.indices, candidates.pts_seconds, cluster=candidates.cluster
            ),
            curves=frame_rows(grid.indices, grid.pts_seconds, cluster=candidates.labels),
        )

    def _proposal(self, n_grid: int, num_frames: int | None) -> ProposalConfig:
        """The settings, with a budget as the only number of clusters that is tried."""
        if num_frames is None:
            return self.config.proposal
        k = max(2, min(num_frames, n_grid))
        return replace(self.config.proposal, k_min=k, k_max=k)
