"""Ranks in a similarity matrix, in both directions; pure functions of arrays."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from evals.harness.figures import Floats, Ints
from keyscore_plugin.errors import InputError

Ties = Literal["optimistic", "pessimistic"]

# Ours: CLIP's logit scale, which dual softmax usually has.
DUAL_SOFTMAX_SCALE = 100.0
_BEATS: dict[Ties, Callable[[Floats, Floats | float], npt.NDArray[np.bool_]]] = {
    "optimistic": np.greater,
    "pessimistic": np.greater_equal,
}


def text_to_video_ranks(similarity: Floats, owner: Ints, *, ties: Ties) -> Ints:
    """The rank of each caption's video among all videos.

    Args:
        similarity: ``(n_queries, n_videos)`` similarities.
        owner: ``(n_queries,)`` column of the video that each caption belongs to.
        ties: ``"optimistic"``: 1 + the number of videos that are more similar; ``"pessimistic"``
            also counts those that are equally similar.

    Returns:
        ``(n_queries,)``, from 1.

    Raises:
        InputError: The shapes do not fit, or a similarity is not finite.
    """
    _require_fit(similarity, owner)
    queries = np.arange(len(owner))
    beats = _BEATS[ties](similarity, similarity[queries, owner][:, None])
    beats[queries, owner] = False
    ranks: Ints = 1 + beats.sum(axis=1)
    return ranks


def video_to_text_ranks(similarity: Floats, owner: Ints, *, ties: Ties) -> Ints:
    """The rank of the best of each video's captions among all captions.

    Args:
        similarity: ``(n_queries, n_videos)`` similarities.
        owner: ``(n_queries,)`` column of the video of each caption; every video has a caption.
        ties: Kind of ties, as in `text_to_video_ranks`; captions of the same video never count.

    Returns:
        ``(n_videos,)``, from 1.

    Raises:
        InputError: The shapes do not fit, or a similarity is not finite.
    """
    _require_fit(similarity, owner)
    own = owner[:, None] == np.arange(similarity.shape[1])
    best = np.where(own, similarity, -np.inf).max(axis=0)
    ranks: Ints = 1 + (_BEATS[ties](similarity, best) & ~own).sum(axis=0)
    return ranks


def dual_softmax(similarity: Floats, *, query_axis: int) -> Floats:
    """The similarity, weighted by a softmax over all queries of the test set.

    sim' = sim softmax(sim tau) (Cheng et al., 2021, arXiv 2109.04290, at inference). This is
    transductive: no query can be answered without the others.

    Args:
        similarity: ``(n_queries, n_videos)`` similarities.
        query_axis: Axis of the queries: 0 for captions (text to video), 1 for videos.
    """
    logits = similarity * DUAL_SOFTMAX_SCALE
    weights = np.exp(logits - logits.max(axis=query_axis, keepdims=True))
    prior: Floats = weights / weights.sum(axis=query_axis, keepdims=True)
    return similarity * prior


def _require_fit(similarity: Floats, owner: Ints) -> None:
    n_queries, n_videos = similarity.shape
    if owner.shape != (n_queries,) or set(owner.tolist()) != set(range(n_videos)):
        raise InputError(
            f"{n_queries} captions and {n_videos} videos do not fit: each caption needs a video, "
            "and each video a caption"
        )
    if not np.isfinite(similarity).all():
        raise InputError("a similarity is not finite; look for a broken embedding")
