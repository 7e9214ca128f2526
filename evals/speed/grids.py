"""How clustering grows with the grid and with k, in time and memory."""

from collections.abc import Sequence
from functools import partial

import torch

from evals.speed.features import long_histograms
from evals.speed.measure import in_turns
from evals.speed.table import Cell, Table
from keyscore_plugin.config import ProposalConfig
from keyscore_plugin.stacfp import propose_features


def table(sizes: Sequence[int], k_maxes: Sequence[int], *, repeats: int, threads: int) -> Table:
    """All sizes in turns, so that their ratios hold on a busy machine."""
    torch.set_num_threads(threads)
    jobs = {}
    for n in sizes:
        histograms = long_histograms(n, seed=n)
        indices, times = torch.arange(n), torch.arange(n, dtype=torch.float64) / 2
        for k_max in k_maxes:
            config = ProposalConfig(k_max=k_max)
            jobs[n, k_max] = partial(propose_features, histograms, indices, times, config)
    done = in_turns({f"{n},{k}": job for (n, k), job in jobs.items()}, repeats=repeats)
    lines: list[dict[str, Cell]] = []
    for n, k_max in jobs:
        cost, _ = done[f"{n},{k_max}"]
        before, _ = done[f"{sizes[max(0, list(sizes).index(n) - 1)]},{k_max}"]
        lines.append(
            {
                "N": n,
                "k": f"2..{k_max}",
                "s": cost.wall,
                "s CPU": cost.cpu,
                "times the size before, CPU": cost.cpu / before.cpu,
            }
        )
    title = "STACFP over the frames of the grid and the clusters tried"
    return Table("grids", title, lines, key=("N", "k"))
