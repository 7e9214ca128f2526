"""The k grid frames nearest to the text by cosine, as most released selectors choose."""

from dataclasses import replace

from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


class TopKSampler(TextSampler):
    """The k grid frames with the highest cosine to the text: eq. 2 and plain ranking.

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
                config=replace(self.config.select, policy="top", max_gap_seconds=None),
            )
        )
