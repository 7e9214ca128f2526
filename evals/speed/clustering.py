"""STACFP's clustering: against scikit-learn, and how it grows with the grid and with k.

``python -m evals.speed.clustering HISTOGRAMS.npy K`` clusters once and prints its peak memory.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evals.speed.child import answer
from evals.speed.features import long_histograms
from evals.speed.measure import in_turns, peak_megabytes
from evals.speed.table import Cell, Table
from keyscore_plugin import ProposalConfig
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.hosts import require

# The feature of `keyscore_plugin.algorithm.stacfp`: 10 sqrt(p), and time times gamma.
_PERCENT = 100.0


def against_sklearn(
    sizes: Sequence[int], k_maxes: Sequence[int], *, repeats: int, threads: int
) -> Table:
    """Time and best silhouette of STACFP and scikit-learn, for every grid size and k."""
    torch.set_num_threads(threads)
    lines: list[dict[str, Cell]] = []
    with require("threadpoolctl", extra="evals").threadpool_limits(threads):
        for n in sizes:
            histograms = long_histograms(n, seed=n)
            for k_max in k_maxes:
                lines.append(_line(histograms, k_max, repeats=repeats))
    return Table(
        "clustering",
        "STACFP, all k, against scikit-learn's KMeans(n_init=1) and silhouette_score for each k",
        lines,
        ("s CPU: seconds of all cores; silhouette: the best over all k. STACFP is the whole "
         "`propose_features`, with 8 k-means restarts.",),
        ("N", "k"),
    )  # fmt: skip


def _line(histograms: Tensor, k_max: int, *, repeats: int) -> dict[str, Cell]:
    cluster = require("sklearn.cluster", extra="evals")
    metrics = require("sklearn.metrics", extra="evals")
    jobs = {
        "ours": partial(_best_of_stacfp, histograms, k_max),
        "sklearn": partial(_best_of_sklearn, histograms, k_max, cluster, metrics),
    }
    done = in_turns(jobs, repeats=repeats)
    (ours, our_best), (theirs, their_best) = done["ours"], done["sklearn"]
    return {
        "N": len(histograms),
        "k": f"2..{k_max}",
        "STACFP s": ours.wall,
        "scikit-learn s": theirs.wall,
        "STACFP s CPU": ours.cpu,
        "scikit-learn s CPU": theirs.cpu,
        "times faster": theirs.wall / ours.wall,
        "times faster CPU": theirs.cpu / ours.cpu,
        "STACFP silhouette": our_best,
        "scikit-learn silhouette": their_best,
    }


def _silhouettes(histograms: Tensor, k_max: int) -> Mapping[int, float]:
    """The mean silhouette of every k that STACFP tries on ``(n, n_bins)`` histograms."""
    n = len(histograms)
    times = torch.arange(n, dtype=torch.float64) / 2
    config = ProposalConfig(k_max=k_max)
    return propose_features(histograms, torch.arange(n), times, config).k_silhouettes


def _best_of_stacfp(histograms: Tensor, k_max: int) -> float:
    return max(_silhouettes(histograms, k_max).values())


def _best_of_sklearn(histograms: Tensor, k_max: int, cluster: Any, metrics: Any) -> float:
    gamma = ProposalConfig().gamma_time
    time = torch.linspace(0, gamma, len(histograms))[:, None]
    points = torch.cat([(_PERCENT * histograms).sqrt(), time], dim=1).numpy()
    best = -1.0
    for k in range(2, min(k_max, len(points) - 1) + 1):
        labels = cluster.KMeans(k, n_init=1, random_state=0).fit_predict(points)
        best = max(best, float(metrics.silhouette_score(points, labels)))
    return best


def growth(sizes: Sequence[int], k_maxes: Sequence[int], *, repeats: int, threads: int) -> Table:
    """Time and memory of STACFP; all sizes take turns, so their ratios hold on a busy machine."""
    torch.set_num_threads(threads)
    films = {n: long_histograms(n, seed=n) for n in sizes}
    jobs = {(n, k_max): partial(_silhouettes, films[n], k_max) for n in sizes for k_max in k_maxes}
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


def _peak(histograms: Tensor, k_max: int, *, threads: int) -> float:
    """Peak megabytes of a process that clusters ready-made ``(n, n_bins)`` histograms once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "histograms.npy")
        np.save(path, histograms.numpy())
        command = [sys.executable, "-m", "evals.speed.clustering", str(path), str(k_max)]
        return float(answer(command, "", threads=threads)["peak_mb"])


if __name__ == "__main__":
    _silhouettes(torch.from_numpy(np.load(sys.argv[1], allow_pickle=False)), int(sys.argv[2]))
    print(json.dumps({"peak_mb": peak_megabytes()}))
