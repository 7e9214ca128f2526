"""STACFP's clustering against the loop that everybody would write with scikit-learn."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from evals.speed.features import long_histograms
from evals.speed.measure import in_turns
from evals.speed.table import Cell, Table
from keyscore_plugin import ProposalConfig
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.hosts import require

# The feature of `keyscore_plugin.algorithm.stacfp`: 10 sqrt(p), and time times gamma.
_PERCENT = 100.0


def table(sizes: Sequence[int], k_maxes: Sequence[int], *, repeats: int, threads: int) -> Table:
    """Time and best silhouette of both, for every number of frames and of clusters."""
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
        "ours": partial(_ours, histograms, k_max),
        "sklearn": partial(_theirs, histograms, k_max, cluster, metrics),
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


def _ours(histograms: Tensor, k_max: int) -> float:
    n = len(histograms)
    times = torch.arange(n, dtype=torch.float64) / 2
    config = ProposalConfig(k_max=k_max)
    candidates = propose_features(histograms, torch.arange(n), times, config)
    return _best(candidates.k_silhouettes)


def _best(silhouettes: Mapping[int, float]) -> float:
    return max(silhouettes.values())


def _theirs(histograms: Tensor, k_max: int, cluster: Any, metrics: Any) -> float:
    gamma = ProposalConfig().gamma_time
    time = torch.linspace(0, gamma, len(histograms))[:, None]
    points = torch.cat([(_PERCENT * histograms).sqrt(), time], dim=1).numpy()
    best = -1.0
    for k in range(2, min(k_max, len(points) - 1) + 1):
        labels = cluster.KMeans(k, n_init=1, random_state=0).fit_predict(points)
        best = max(best, float(metrics.silhouette_score(points, labels)))
    return best
