"""STACFP: spatio-temporal adaptive clustering for frame proposals (sec. 3.1, Algorithm 1)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.histogram import colour_features, hsv_histograms
from keyscore_plugin.algorithm.kmeans import Clustering, kmeans
from keyscore_plugin.algorithm.silhouette import mean_silhouettes
from keyscore_plugin.config import ProposalConfig
from keyscore_plugin.errors import InputError, require_kind
from keyscore_plugin.types import Candidates, Frames

__all__ = ["default_k_max", "hsv_histograms", "propose", "propose_features"]

# Ours: frames whose colours are this near to their mean are one picture. A still picture coded by
# x264 at crf 18 to 35 stays below .13; one thousandth of the pixels in a new colour makes .3.
_ALIKE_DISTANCE = 0.15

_TIE = 1e-5  # ours: largest difference of silhouettes or distances that is float32 rounding


def propose(frames: Frames, config: ProposalConfig | Mapping[str, Any] | None = None) -> Candidates:
    """Propose a few frames that stand for a video: Algorithm 1 on its sampled frames.

    Args:
        frames: The grid of n frames, in time order.
        config: Settings, or a dict of those that differ from the defaults.

    Returns:
        One representative per cluster, and the cluster of each of the n frames, on the device of
        ``frames.indices``.

    Raises:
        InputError: There is no frame, or they are not in time order.
    """
    config = ProposalConfig.of(config)
    require_kind(frames, Frames, name="frames")
    histograms = hsv_histograms(frames.pixels, bins=config.bins)
    return propose_features(histograms, frames.indices, frames.pts_seconds, config)


def propose_features(
    histograms: Tensor, indices: Tensor, pts_seconds: Tensor, config: ProposalConfig | None = None
) -> Candidates:
    """`propose` for a caller that made the histograms batch by batch.

    If all histograms are equal there is one candidate, the frame in the middle; clustered by time
    alone, k = 2 would win with a silhouette of .6. A grid of at most k_min frames is not clustered:
    each frame is a candidate.

    Args:
        histograms: ``(n, n_bins)`` float32 histograms whose rows sum to 1; the computation runs on
            their device.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64 times, not falling.
        config: Settings; None keeps the defaults.

    Returns:
        One representative per cluster, and the cluster of each of the n frames, on the device of
        ``indices``.

    Raises:
        InputError: There is no frame, or a time is not finite or falls.
    """
    config = config or ProposalConfig()
    _check(pts_seconds)
    n = len(histograms)
    colours = colour_features(histograms)  # v_i
    # Ours: t_i from the true times; equal to the paper's i / (N - 1) on an even grid.
    elapsed = pts_seconds - pts_seconds[0]
    times = (elapsed / elapsed[-1].clamp(min=torch.finfo(elapsed.dtype).tiny)).to(colours)

    silhouettes: dict[int, float] = {}
    if _are_alike(colours):
        rows = _nearest((times - 0.5).abs()[None])
        labels = torch.zeros_like(times, dtype=torch.int64)
    elif n <= config.k_min:
        rows = labels = torch.arange(n, device=colours.device)
    else:
        points = torch.cat((colours, config.gamma_time * times[:, None]), dim=1)  # x_i
        # The silhouette is defined up to k = N - 1.
        k_max = min(default_k_max(n) if config.k_max is None else config.k_max, n - 1)
        ks = range(config.k_min, max(k_max, config.k_min) + 1)
        with exact_arithmetic(points.device):  # a tie is one to float32's rounding
            clusterings = kmeans(points, ks=ks, n_init=config.n_init, seed=config.seed)
            means = mean_silhouettes(points, [clusterings[k].labels for k in ks])
        silhouettes = dict(zip(ks, means.tolist(), strict=True))
        best = max(silhouettes.values())
        k = next(k for k in ks if silhouettes[k] >= best - _TIE)  # ties: the fewest clusters
        rows, labels = _representatives(points, clusterings[k])

    rows, labels = rows.to(indices.device), labels.to(indices.device)
    return Candidates(
        rows=rows,
        cluster=labels[rows],
        indices=indices[rows],
        pts_seconds=pts_seconds[rows.to(pts_seconds.device)],
        labels=labels,
        k_silhouettes=silhouettes,
    )


def default_k_max(n: int) -> int:
    """Most clusters tried for a grid of n frames.

    Ours: a cluster for every four frames, which at 2 frames a second are a shot of 2 s; never more
    than 64, the largest usual budget of a Video-LLM.

    Example:
        >>> default_k_max(20), default_k_max(172), default_k_max(600)
        (5, 43, 64)
    """
    return max(2, min(64, n // 4))


def _check(pts_seconds: Tensor) -> None:
    if len(pts_seconds) == 0:
        raise InputError("the grid holds no frame; give at least one")
    if not bool(pts_seconds.isfinite().all() & (pts_seconds.diff() >= 0).all()):
        raise InputError("pts_seconds must be finite and in time order; sort the frames by time")


def _are_alike(colours: Tensor) -> bool:
    """Whether ``(n, d)`` colour features show one picture throughout."""
    from_mean = (colours - colours.mean(0)).square().sum(1).amax().sqrt()
    return bool(from_mean <= _ALIKE_DISTANCE)


def _representatives(points: Tensor, clustering: Clustering) -> tuple[Tensor, Tensor]:
    """The frame of each cluster that is nearest to its centroid.

    Returns:
        ``(k,)`` rows in time order, none for an empty cluster, and ``(n,)`` labels that number the
        clusters in that order.
    """
    labels, centroids = clustering.labels, clustering.centroids
    members = labels == torch.arange(len(centroids), device=points.device)[:, None]  # (k, n)
    distances = (points - centroids[labels]).norm(dim=1).where(members, torch.inf)
    rows = _nearest(distances)[members.any(1)].sort().values
    order = torch.empty(len(centroids), dtype=torch.int64, device=points.device)
    order[labels[rows]] = torch.arange(len(rows), device=points.device)
    return rows, order[labels]


def _nearest(distances: Tensor) -> Tensor:
    """``(k,)`` columns of the least of ``(k, n)`` distances; of equal ones (to rounding) the first.

    The two frames of a cluster of two are equally far from its centroid: rounding must not choose.
    """
    least = distances.amin(1, keepdim=True)
    return (distances <= least * (1 + _TIE) + _TIE).to(torch.uint8).argmax(1)
