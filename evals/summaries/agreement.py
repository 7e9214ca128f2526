"""Agreement of a ranking with the annotators: Kendall's tau, Spearman's rho, the older F-score.

The rank correlations are those of Otani et al., "Rethinking the Evaluation of Video Summaries",
CVPR 2019; the details follow the code of CSTA and LLMVS.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.harness.figures import Floats, Mask
from keyscore_plugin.hosts import require


@dataclass(frozen=True, slots=True)
class Agreement:
    """The mean correlations of one video.

    Attributes:
        tau: Kendall's tau-b.
        rho: Spearman's rho.
        undefined: Number of correlations that do not exist, because one side gives every frame the
            same value. They count as 0 in the means.
        compared: Number of all correlations.
    """

    tau: float
    rho: float
    undefined: int
    compared: int


def with_each_user(scores: Floats, users: Floats) -> Agreement:
    """TVSum: the scores of the picks against those of each user, averaged.

    Args:
        scores: ``(n_steps,)`` scores of the picks.
        users: ``(n_users, n_steps)`` scores that the users gave.
    """
    return _mean([_correlate(scores, user) for user in users])


def with_mean_summary(summary: Mask, user_summary: Mask) -> Agreement:
    """SumMe: a summary against the share of users who chose each frame.

    Args:
        summary: ``(n_frames,)`` True for the frames in the summary.
        user_summary: ``(n_users, n_frames)`` summaries of the users.
    """
    return _mean([_correlate(summary.astype(np.float64), user_summary.mean(axis=0))])


def of_users_with_each_other(users: Floats) -> Agreement:
    """TVSum, humans: the scores of each user against those of each other one.

    Args:
        users: ``(n_users, n_steps)`` scores that the users gave.
    """
    # Both correlations are symmetric: one of (a, b) and (b, a) is enough.
    return _mean([_correlate(users[b], users[a]) for a in range(len(users)) for b in range(a)])


def of_users_with_the_rest(user_summary: Mask) -> Agreement:
    """SumMe, humans: the summary of each user against the mean of the others'.

    Args:
        user_summary: ``(n_users, n_frames)`` summaries of the users.
    """
    agreements = []
    for left_out in range(len(user_summary)):
        rest = np.delete(user_summary, left_out, axis=0).mean(axis=0)
        agreements.append(_correlate(user_summary[left_out].astype(np.float64), rest))
    return _mean(agreements)


def f_scores(summary: Mask, user_summary: Mask) -> Floats:
    """``(n_users,)`` F-scores of a summary against each user's; 0 if they share no frame.

    SumMe reports their maximum, TVSum their mean (PGL-SUM).
    """
    shared = (summary & user_summary).sum(axis=1).astype(np.float64)
    frames = summary.sum() + user_summary.sum(axis=1)
    # 2 P R / (P + R) with P = shared / |summary| and R = shared / |user|
    scores: Floats = 2 * shared / np.maximum(1, frames)
    return scores


def _correlate(a: Floats, b: Floats) -> tuple[float, float] | None:
    """Tau and rho; None if one side is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    stats = require("scipy.stats", extra="evals")
    return float(stats.kendalltau(a, b).statistic), float(stats.spearmanr(a, b).statistic)


def _mean(found: Sequence[tuple[float, float] | None]) -> Agreement:
    tau, rho = np.mean([pair or (0.0, 0.0) for pair in found], axis=0).tolist()
    return Agreement(tau, rho, undefined=found.count(None), compared=len(found))
