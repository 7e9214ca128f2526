"""What ranks and numbers of frames amount to, with intervals over the videos."""

from collections.abc import Callable

import numpy as np

from evals.harness.arrays import Floats, Ints
from evals.harness.figures import Figure, bootstrap
from evals.harness.reduction import N_UFP, frr

_RECALLS = (1, 5, 10)


def rank_figures(ranks: Ints, video: Ints, *, seed: int) -> dict[str, Figure]:
    """R@K in percent, the median and the mean rank.

    The intervals resample videos, each with all its queries: the captions of one video are no
    independent queries. The gallery stays as it is.

    Args:
        ranks: ``(n,)`` from 1.
        video: ``(n,)`` the video each query belongs to; every one of 0..m-1 occurs.
        seed: Of the bootstrap.
    """
    n_videos = int(video.max()) + 1
    n_queries = np.bincount(video, minlength=n_videos)

    def mean_of(values: Floats) -> Callable[[Ints], float]:
        sums = np.bincount(video, weights=values, minlength=n_videos)
        return lambda rows: float(sums[rows].sum() / n_queries[rows].sum())

    statistics = {f"R@{k}": mean_of(np.where(ranks <= k, 100.0, 0.0)) for k in _RECALLS}
    statistics["MedR"] = _median_of(ranks, video, n_videos)
    statistics["MeanR"] = mean_of(ranks.astype(np.float64))
    return {name: bootstrap(one, n_videos, seed=seed) for name, one in statistics.items()}


def _median_of(ranks: Ints, video: Ints, n_videos: int) -> Callable[[Ints], float]:
    """The median rank of the queries of some videos, which may repeat."""
    order = ranks.argsort(kind="stable")
    ordered, owner = ranks[order], video[order]

    def median(rows: Ints) -> float:
        times = np.bincount(rows, minlength=n_videos)
        drawn = np.repeat(ordered, times[owner])
        return float(drawn[(len(drawn) - 1) // 2] + drawn[len(drawn) // 2]) / 2

    return median


def frame_figures(n_selected: Floats, n_frames: Floats, *, seed: int) -> dict[str, Figure]:
    """ASF and the two frame reduction rates of sec. 4.1.4.

    Args:
        n_selected: ``(n_videos,)`` frames that stand for each video, a mean where it was selected
            several times.
        n_frames: ``(n_videos,)`` frames of each video, counted.
        seed: Of the bootstrap.
    """

    def average(rows: Ints) -> float:
        return float(n_selected[rows].mean())

    statistics: dict[str, Callable[[Ints], float]] = {
        "ASF": average,
        "FRR-UFP": lambda rows: frr(average(rows), N_UFP),
        "FRR-Avg": lambda rows: frr(average(rows), float(n_frames[rows].mean())),
    }
    return {name: bootstrap(one, len(n_selected), seed=seed) for name, one in statistics.items()}
