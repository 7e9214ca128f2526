"""Write your own sampler: the rule alone is yours, everything before and after it is ready.

python examples/own_sampler.py
"""

import torch

from keyscore_plugin import sample_video
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


class BestOfParts(TextSampler):
    """The frame nearest to the text in each of k equal parts of the grid."""

    name = "best-of-parts"

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        k = min(request.num_frames or 8, len(grid.cosines))
        rows = torch.arange(len(grid.cosines)).tensor_split(k)
        return Picked(torch.stack([part[grid.cosines[part].argmax()] for part in rows]))


if __name__ == "__main__":
    sampler = BestOfParts(encoder="conse")
    print(sampler(sample_video("bikes"), num_frames=4, caption="people riding bicycles"))
