"""A similarity matrix as rows of the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import get_args

import numpy as np

from evals.harness.arrays import Floats, Ints
from evals.harness.figures import Figure
from evals.harness.result import Label, Row
from evals.retrieval.figures import frame_figures, rank_figures
from evals.retrieval.ranks import (
    Ties,
    dual_softmax,
    text_to_video_ranks,
    video_to_text_ranks,
)


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """What one cell gave in one setting.

    Attributes:
        labels: Its first columns.
        similarity: ``(n_queries, n_videos)``.
        owner: ``(n_queries,)`` the video each caption belongs to.
        n_selected: ``(n_videos,)`` frames that stand for each video.
        n_frames: ``(n_videos,)`` frames of each video.
        n_captions_cut: Captions longer than the encoder reads.
    """

    labels: Mapping[str, Label]
    similarity: Floats
    owner: Ints
    n_selected: Floats
    n_frames: Floats
    n_captions_cut: int


def rows_of(tried: Tried, *, seed: int) -> list[Row]:
    """Both directions, without and with dual softmax, with ties for us and against us.

    Args:
        tried: What a cell gave.
        seed: Of the bootstrap.
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
