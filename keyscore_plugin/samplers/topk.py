"""Text cosine alone: the k grid frames nearest to the text; what most released selectors do."""

from dataclasses import replace

from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


class TopKSampler(TextSampler):
    """Eq. 2 as the only score and plain ranking as the only rule.

    A threshold is compared with the cosine itself.
    """

    name = "topk"
    ranks = True

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        return Picked(
            select(
                grid.cosines,
                grid.pts_seconds,
                num_frames=request.num_frames,
                threshold=request.threshold,
                config=replace(self.config.select, policy="top"),
            )
        )
