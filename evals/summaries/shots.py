"""From the scores of the picks to a summary of 15 %: mean scores of shots, a 0/1 knapsack."""

import numpy as np

from evals.harness.figures import Floats, Ints, Mask
from evals.summaries.h5 import Annotation

# "floor(0.15 n_frames)" in whole numbers, as in LLMVS. CSTA takes 15 % up to the end of the last
# shot, which is the same if the shots end with the video.
CAPACITY_RULE = "floor(0.15 n_frames), as LLMVS"
_PERCENT = 15


def capacity_of(n_frames: int) -> int:
    """The number of frames that a summary may hold."""
    return n_frames * _PERCENT // 100


def summarise(scores: Floats, annotation: Annotation) -> Mask:
    """The summary of a ranking: the shots that fit and have the largest sum of scores.

    Args:
        scores: ``(n_steps,)`` score of each pick, in [0, 1]; a shot of score 0 is never taken.
        annotation: Annotation of the video.

    Returns:
        ``(n_frames,)`` True for the frames in the summary.
    """
    shots = annotation.shots
    means = shot_means(held(scores, annotation.picks, annotation.n_frames), shots)
    taken = knapsack(means, shots[:, 1] - shots[:, 0] + 1, capacity_of(annotation.n_frames))
    summary = np.zeros(annotation.n_frames, dtype=np.bool_)
    for first, last in shots[taken]:
        summary[first : last + 1] = True
    return summary


def held(scores: Floats, picks: Ints, n_frames: int) -> Floats:
    """``(n_frames,)`` score of the last pick at or before each frame; 0 before the first pick."""
    row = np.searchsorted(picks, np.arange(n_frames), side="right")
    return np.concatenate([np.zeros(1), scores])[row]


def shot_means(frame_scores: Floats, shots: Ints) -> Floats:
    """``(n_shots,)`` mean score of the frames of each shot."""
    return np.array([frame_scores[first : last + 1].mean() for first, last in shots])


def knapsack(values: Floats, weights: Ints, capacity: int) -> list[int]:
    """The items whose weights fit and whose values have the largest sum: exact, O(n * capacity).

    An item is taken only if it makes the sum larger. So of equal sums the choice is that of the
    released code, which fills a table and reads it back.

    Args:
        values: ``(n,)`` values of the items, at least 0.
        weights: ``(n,)`` weights of the items, at least 1.
        capacity: Largest sum of weights.

    Returns:
        Numbers of the items, rising.

    Example:
        >>> knapsack(np.array([3.0, 4.0, 5.0]), np.array([3, 4, 6]), 7)
        [0, 1]
    """
    best = np.zeros(capacity + 1)  # best[w]: of the items so far, with room for w
    taken = np.zeros((len(values), capacity + 1), dtype=np.bool_)
    for item, (value, weight) in enumerate(zip(values, weights, strict=True)):
        if weight <= capacity:
            with_item = best[: capacity + 1 - weight] + value
            taken[item, weight:] = with_item > best[weight:]
            best[weight:] = np.maximum(with_item, best[weight:])
    chosen, room = [], capacity
    for item in reversed(range(len(values))):
        if taken[item, room]:
            chosen.append(item)
            room -= int(weights[item])
    return chosen[::-1]
