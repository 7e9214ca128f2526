"""A similarity matrix and numbers of frames as rows of the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import get_args

import numpy as np

from evals.harness.figures import N_UFP, Figure, Floats, Ints, bootstrap, frr
from evals.harness.result import Label, Row
from evals.retrieval.ranks import (
    Ties,
    dual_softmax,
    text_to_video_ranks,
    video_to_text_ranks,
)


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """The outcome of one cell in one setting.

    Attributes:
        labels: First columns of the rows.
        similarity: ``(n_queries, n_videos)`` similarities.
        owner: ``(n_queries,)`` video that each caption belongs to.
        n_selected: ``(n_videos,)`` chosen frames of each video.
        n_frames: ``(n_videos,)`` frames of each video.
        n_captions_cut: Number of captions that are longer than the encoder reads.
    """

    labels: Mapping[str, Label]
    similarity: Floats
    owner: Ints
    n_selected: Floats
    n_frames: Floats
    n_captions_cut: int


def rows_of(tried: Tried, *, seed: int) -> list[Row]:
    """The figures of both directions, without and with dual softmax, for both kinds of ties.

    Args:
        tried: Outcome of a cell.
        seed: Seed of the bootstrap.
    """
    frames = frame_figures(tried.n_selected, tried.n_frames, seed=seed)
    frames["captions cut %"] = Figure(100 * tried.n_captions_cut / len(tried.owner))
    rows = []
    for dual, ties in product((False, True), get_args(Ties)):
        labels: dict[str, Label] = {
            **tried.labels,
            "dual softmax": "yes, transductive" if dual else "no",
            "ties": ties,
        }
        figures = _both_ways(tried, dual=dual, ties=ties, seed=seed)
        rows.append(Row(labels, len(tried.owner), figures | frames))
    return rows


def _both_ways(tried: Tried, *, dual: bool, ties: Ties, seed: int) -> dict[str, Figure]:
    """The figures of both directions: ``"t2v R@1"``, ..., ``"v2t MeanR"``."""
    to_video = to_text = tried.similarity
    if dual:  # each direction over its own queries
        to_video = dual_softmax(tried.similarity, query_axis=0)
        to_text = dual_softmax(tried.similarity, query_axis=1)
    videos = np.arange(tried.similarity.shape[1])
    directions = {
        "t2v": (text_to_video_ranks(to_video, tried.owner, ties=ties), tried.owner),
        "v2t": (video_to_text_ranks(to_text, tried.owner, ties=ties), videos),
    }
    return {
        f"{direction} {name}": figure
        for direction, (ranks, video) in directions.items()
        for name, figure in rank_figures(ranks, video, seed=seed).items()
    }


_RECALLS = (1, 5, 10)


def rank_figures(ranks: Ints, video: Ints, *, seed: int) -> dict[str, Figure]:
    """R@K in percent, the median and the mean rank.

    The intervals resample videos, each with all its queries, because the captions of one video
    are not independent. The gallery is not resampled.

    Args:
        ranks: ``(n,)`` ranks from 1.
        video: ``(n,)`` video that each query belongs to; each of 0..m-1 occurs.
        seed: Seed of the bootstrap.
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
    """A function that gives the median rank of the queries of videos, which may repeat."""
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
        n_selected: ``(n_videos,)`` chosen frames of each video; a mean if frames were chosen
            several times.
        n_frames: ``(n_videos,)`` counted frames of each video.
        seed: Seed of the bootstrap.
    """

    def average(rows: Ints) -> float:
        return float(n_selected[rows].mean())

    statistics: dict[str, Callable[[Ints], float]] = {
        "ASF": average,
        "FRR-UFP": lambda rows: frr(average(rows), N_UFP),
        "FRR-Avg": lambda rows: frr(average(rows), float(n_frames[rows].mean())),
    }
    return {name: bootstrap(one, len(n_selected), seed=seed) for name, one in statistics.items()}
