"""How clustering grows with the grid and with k, in time and memory.

``python -m evals.speed.grids HISTOGRAMS.npy K`` clusters once and says its peak memory.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evals.speed.child import answer
from evals.speed.features import long_histograms
from evals.speed.measure import in_turns
from evals.speed.memory import peak_megabytes
from evals.speed.table import Cell, Table
from keyscore_plugin import ProposalConfig
from keyscore_plugin.algorithm.stacfp import propose_features


def table(sizes: Sequence[int], k_maxes: Sequence[int], *, repeats: int, threads: int) -> Table:
    """All sizes in turns, so that their ratios hold on a busy machine."""
    torch.set_num_threads(threads)
    films = {n: long_histograms(n, seed=n) for n in sizes}
    jobs = {(n, k_max): partial(_cluster, films[n], k_max) for n in sizes for k_max in k_maxes}
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
                "peak MB": _peak(films[n], k_max, threads=threads),
            }
        )
    title = "STACFP over the frames of the grid and the clusters tried"
    idle = _peak(films[min(sizes)][:1], 2, threads=threads)
    note = (
        f"Peak MB: of a process that does this alone, imports included (imports alone: {idle:.0f})."
    )
    return Table("grids", title, lines, [note], key=("N", "k"))


def _cluster(histograms: Tensor, k_max: int) -> None:
    n = len(histograms)
    times = torch.arange(n, dtype=torch.float64) / 2
    propose_features(histograms, torch.arange(n), times, ProposalConfig(k_max=k_max))


def _peak(histograms: Tensor, k_max: int, *, threads: int) -> float:
    """Megabytes of a process that clusters ready-made ``(n, n_bins)`` histograms once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "histograms.npy")
        np.save(path, histograms.numpy())
        command = [sys.executable, "-m", "evals.speed.grids", str(path), str(k_max)]
        return float(answer(command, "", threads=threads)["peak_mb"])


if __name__ == "__main__":
    _cluster(torch.from_numpy(np.load(sys.argv[1], allow_pickle=False)), int(sys.argv[2]))
    print(json.dumps({"peak_mb": peak_megabytes()}))
