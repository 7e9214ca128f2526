"""From scores to a selection: exactly k frames, or those above a threshold, in time order.

A policy is a function from a `_Task` to rows; `_POLICIES` lists them. ``"top"`` is the paper's
plain ranking, which spends the budget on neighbours of the best frame that show the same.
``"coverage"`` is ours, relevance-weighted temporal coverage: what scores wants a frame right there,
and every moment wants one not far away.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from torch import Tensor

from keyscore_plugin._coverage import Moments, most_coverage
from keyscore_plugin._numeric import min_max, require_finite
from keyscore_plugin.config import Policy, SelectConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import FrameScores

# Scores whose spread is below this share of their size are constant (float32 noise).
_SCORE_NOISE = 1e-6
_DEFAULT = SelectConfig()


@dataclass(frozen=True, slots=True)
class _Task:
    """What a policy gets. It returns ``(num_frames,)`` different eligible rows, in any order.

    Attributes:
        scores: ``(n,)`` finite.
        times: ``(n,)`` float64 seconds, not falling.
        eligible: ``(n,)`` bool, the rows that may be chosen; at least ``num_frames``.
        num_frames: How many to choose.
        duration_seconds: Of the video.
        config: The settings.
    """

    scores: Tensor
    times: Tensor
    eligible: Tensor
    num_frames: int
    duration_seconds: float
    config: SelectConfig


def select(
    scores: FrameScores | Tensor,
    pts_seconds: Tensor,
    *,
    num_frames: int | None = None,
    threshold: float | None = None,
    duration_seconds: float | None = None,
    config: SelectConfig = _DEFAULT,
) -> Tensor:
    """Choose frames by a budget or by a threshold.

    Args:
        scores: `FrameScores` (their total ranks) or ``(n,)`` scores of any scale.
        pts_seconds: ``(n,)`` times of the frames, not falling.
        num_frames: The budget k: exactly min(k, n) rows are returned.
        threshold: Instead of a budget, the least score of a chosen frame (the paper's adaptive
            thresholding). At least one row, the best, is returned, and at most
            ``config.max_frames``, which the policy then chooses among those above the threshold.
        duration_seconds: Of the video; None takes what the times span.
        config: The policy and its settings.

    Returns:
        ``(k,)`` int64 rows, unique and rising, on the device of the scores.

    Raises:
        InputError: Both or none of ``num_frames`` and ``threshold`` are given, one of them is out
            of range, or scores and times do not fit each other or are not finite.
    """
    values = scores.total if isinstance(scores, FrameScores) else scores
    values = values if values.is_floating_point() else values.double()
    times = pts_seconds.to(device=values.device, dtype=torch.float64)
    _require_scored_times(values, times)
    if (num_frames is None) == (threshold is None):
        raise InputError(
            "select needs exactly one of num_frames and threshold, "
            f"got num_frames={num_frames} and threshold={threshold}"
        )
    if threshold is not None:
        eligible = _at_least(values, threshold)
        budget = min(int(eligible.sum()), config.max_frames)
    else:
        eligible = torch.ones_like(values, dtype=torch.bool)
        budget = min(_positive_integer(num_frames), len(values))
    duration = _video_seconds(times, duration_seconds)
    task = _Task(values, times, eligible, budget, duration, config)
    return _POLICIES[config.policy](task).sort().values


def _top(task: _Task) -> Tensor:
    """The highest scores; of equal ones the earlier."""
    ranked = task.scores.masked_fill(~task.eligible, -torch.inf)
    return ranked.sort(descending=True, stable=True).indices[: task.num_frames]


def _coverage(task: _Task) -> Tensor:
    """The set of frames that covers relevance in time best; O(k n log n) time, O(n) memory.

    Maximises the sum over moments i of max_{j chosen} cover_i(|t_i - t_j|), with

        cover_i = (1 - s) r_i (narrow + wide) / 2 + s u_i wide

    where r is the relevance and u the timeline, each summing to 1, and s is ``timeline_share``.
    The narrow exponential reaches ``near_seconds``, so that a frame lies in the moment; the wide
    one half of a frame's even share of the video, so that the budget spreads as far as it goes.
    The last term is what keeps one strong moment from eating the budget.
    """
    near = task.config.near_seconds
    wide = max(near, task.duration_seconds / task.num_frames / 2)
    share = task.config.timeline_share
    timeline = _timeline(task.times)
    relevance = (1 - share) * _relevance(task, timeline)
    weights = torch.stack([relevance / 2, relevance / 2 + share * timeline])
    moments = Moments.build(task.times, weights, reaches_seconds=(near, wide))
    return most_coverage(moments, task.eligible, num_frames=task.num_frames)


_POLICIES: dict[Policy, Callable[[_Task], Tensor]] = {"coverage": _coverage, "top": _top}


def _relevance(task: _Task, timeline: Tensor) -> Tensor:
    """``(n,)`` float64, how much each moment matters; sums to 1.

    Constant scores prefer no moment: then the timeline alone decides.
    """
    scores = task.scores.double()
    stretched = min_max(scores, tolerance=_SCORE_NOISE * float(scores.abs().max()))
    relevance = stretched**task.config.sharpness * timeline
    total = relevance.sum()
    return torch.where(total > 0, relevance / total, timeline)


def _timeline(times: Tensor) -> Tensor:
    """``(n,)`` share of the time nearest to each frame: half the gap on either side.

    With it a part of the video that was looked at more often does not weigh more. The end frames
    get their one gap on both sides.
    """
    if len(times) == 1:
        return torch.ones_like(times)
    gaps = times.diff()
    stretches = (torch.cat([gaps[:1], gaps]) + torch.cat([gaps, gaps[-1:]])) / 2
    stretches = torch.where(times[-1] > times[0], stretches, torch.ones_like(times))
    return stretches / stretches.sum()


def _require_scored_times(scores: Tensor, times: Tensor) -> None:
    if scores.ndim != 1 or scores.shape != times.shape or len(scores) == 0:
        raise InputError(
            "select needs one score and one time for each of at least one frame, "
            f"got scores {tuple(scores.shape)} and pts_seconds {tuple(times.shape)}"
        )
    require_finite(scores, "scores")
    require_finite(times, "pts_seconds")
    if bool((times.diff() < 0).any()):
        raise InputError("pts_seconds must not fall; give the frames in time order")


def _positive_integer(num_frames: object) -> int:
    if isinstance(num_frames, Integral) and not isinstance(num_frames, bool):
        count = int(num_frames)
        if count >= 1:
            return count
    raise InputError(f"num_frames must be an integer of at least 1, got {num_frames!r}")


def _at_least(scores: Tensor, threshold: float) -> Tensor:
    """``(n,)`` bool: the scores that reach the threshold; the best one if none does."""
    if not isinstance(threshold, Real) or isinstance(threshold, bool) or math.isnan(threshold):
        raise InputError(f"threshold must be a number, got {threshold!r}")
    # Compared in the precision of the scores, so that a float32 0.7 reaches 0.7.
    enough = scores >= float(threshold)
    return enough if bool(enough.any()) else enough.index_fill(0, scores.argmax().view(1), True)


def _video_seconds(times: Tensor, given: float | None) -> float:
    """The duration given, or what the times span and one more gap between them."""
    if given is None:
        span = float(times[-1] - times[0])
        return span * len(times) / max(1, len(times) - 1)
    if not 0 < given < math.inf:
        raise InputError(f"duration_seconds must be a positive number, got {given}")
    return float(given)
