"""From scores to a selection: exactly k frames, or those above a threshold, in time order.

A policy is a function from a `_Task` to rows; `_POLICIES` lists them. ``"top"`` is the paper's
plain ranking, which spends the budget on neighbours of the best frame that show the same.
``"coverage"`` is ours, relevance-weighted temporal coverage: the moments that score get frames, and
no part of the video is left too far from one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.algorithm.coverage import FadingCover, most_coverage, rank_by_coverage
from keyscore_plugin.algorithm.gaps import Bound, span_of
from keyscore_plugin.algorithm.numeric import min_max, require_finite
from keyscore_plugin.config import Policy, SelectConfig
from keyscore_plugin.errors import InputError, require_kind, shown
from keyscore_plugin.types import FrameScores, Importance
from keyscore_plugin.types.numbers import is_real, is_whole, plain

# Scores whose spread is below this share of their size are constant (float32 noise).
_SCORE_NOISE = 1e-6
# Ours: no moment is farther than this from a chosen frame, if two thirds of the budget can keep it;
# moments that are farther from every frame do not count (`Bound.where_possible`). It is what
# evals/needle measures; a third of the budget at least stays free for what scores.
_NEAR_SECONDS = 5.0
_NEAR_SHARE = 2 / 3
# Ours: else no moment is this many times as far from a chosen frame as even sampling leaves it. A
# quarter of the budget can keep it.
_FARTHEST = 4.0


@dataclass(frozen=True, slots=True)
class _Task:
    """The input of a policy, which returns ``(num_frames,)`` different eligible rows in any order.

    Attributes:
        scores: ``(n,)`` finite scores.
        times: ``(n,)`` float64 seconds, not falling.
        eligible: ``(n,)`` bool mask of the rows that may be chosen; at least ``num_frames``.
        num_frames: Number of rows to choose.
        by_budget: Whether a budget asks for them, and not a threshold.
        duration_seconds: Duration of the video.
        config: The settings.
        span: Start and end of the video on the clock of the times.
    """

    scores: Tensor
    times: Tensor
    eligible: Tensor
    num_frames: int
    by_budget: bool
    duration_seconds: float
    config: SelectConfig
    span: tuple[float, float] | None = None


def select(
    scores: FrameScores | Importance | Tensor,
    pts_seconds: Tensor,
    *,
    num_frames: int | None = None,
    threshold: float | None = None,
    duration_seconds: float | None = None,
    span: tuple[float, float] | None = None,
    config: SelectConfig | Mapping[str, Any] | None = None,
) -> Tensor:
    """Choose frames by a budget or by a threshold.

    Args:
        scores: `FrameScores`, whose total ranks, an `Importance`, or ``(n,)`` scores of any scale.
        pts_seconds: ``(n,)`` times of the frames in seconds, not falling.
        num_frames: The budget k: exactly min(k, n) rows are returned.
        threshold: Instead of a budget, the least score of a chosen frame (the paper's adaptive
            thresholding). At least one row, the best, is returned, and at most
            ``config.max_frames``, which the policy then chooses among those above the threshold.
        duration_seconds: Duration of the video; None takes the span of the times.
        span: Start and end of the video in seconds, on the clock of ``pts_seconds``; None takes
            half a gap beyond the first and the last frame.
        config: The policy and its settings, or a dict of those that differ from the defaults.

    Returns:
        ``(k,)`` int64 rows, unique and rising, on the device of the scores.

    Raises:
        InputError: Both or neither of ``num_frames`` and ``threshold`` are given, one of them is
            out of range, or scores and times differ in length or are not finite.
    """
    config = SelectConfig.of(config)
    require_kind(scores, FrameScores, Importance, Tensor, name="scores")
    require_kind(pts_seconds, Tensor, name="pts_seconds")
    values = _values(scores)
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
    task = _Task(values, times, eligible, budget, threshold is None, duration, config, span)
    return _POLICIES[config.policy](task).sort().values


def rows_in_reach(
    pts_seconds: Tensor,
    *,
    num_frames: int | None,
    duration_seconds: float,
    span: tuple[float, float],
    config: SelectConfig,
) -> Tensor:
    """Find frames of a grid that have to be embedded, so that `select` can keep its bound.

    Ours. `select` chooses among the embedded frames. If only some frames of a grid are embedded,
    these have to be among them for the bound to hold in the whole video.

    Args:
        pts_seconds: ``(n,)`` times of the frames in seconds, not falling.
        num_frames: The budget; None for a threshold, which has no bound.
        duration_seconds: Duration of the video.
        span: Start and end of the video in seconds, on the clock of ``pts_seconds``.
        config: The policy and its settings.

    Returns:
        ``(m,)`` int64 rows, rising; none without a bound.

    Raises:
        InputError: `SelectConfig.max_gap_seconds` cannot be kept.
    """
    times = pts_seconds.double().cpu()
    nothing = torch.zeros(0, dtype=torch.int64)
    if config.policy == "top" or num_frames is None:
        return nothing
    every = torch.ones_like(times, dtype=torch.bool)
    budget = min(num_frames, len(times))
    task = _Task(times, times, every, budget, True, duration_seconds, config, span)
    bound = _bound(task)
    rows = None if bound is None else bound.missing([])
    return torch.tensor(rows, dtype=torch.int64) if rows else nothing


def rank(
    scores: FrameScores | Importance | Tensor,
    pts_seconds: Tensor,
    rows: Tensor,
    *,
    duration_seconds: float | None = None,
    config: SelectConfig | Mapping[str, Any] | None = None,
) -> Tensor:
    """Rank chosen frames, so that any number of the first ones is a selection too.

    Ours. The frames are ordered by the policy as if each had been added to those before it. On the
    tuning splits of evals/needle the first 4 and 8 of 16 frames cover the moment asked for as well
    within 1 s as 4 and 8 chosen frames do, to .01.

    Args:
        scores: `FrameScores`, whose total ranks, or ``(n,)`` scores, as `select` takes them.
        pts_seconds: ``(n,)`` times of the frames in seconds, not falling.
        rows: ``(k,)`` chosen rows, rising.
        duration_seconds: Duration of the video; None takes the span of the times.
        config: The policy and its settings, or a dict of those that differ from the defaults.

    Returns:
        ``(k,)`` int64 place of each chosen row; 0 is the first.
    """
    config = SelectConfig.of(config)
    values = _values(scores)
    if config.policy == "top":
        return values[rows].sort(descending=True, stable=True).indices.argsort()
    times = pts_seconds.to(device=values.device, dtype=torch.float64)
    duration = _video_seconds(times, duration_seconds)
    eligible = torch.ones_like(values, dtype=torch.bool)
    task = _Task(values, times, eligible, len(rows), True, duration, config)
    return rank_by_coverage(_cover(task), rows)


def _values(scores: FrameScores | Importance | Tensor) -> Tensor:
    if isinstance(scores, FrameScores):
        return scores.total
    return scores.scores if isinstance(scores, Importance) else scores


def _top(task: _Task) -> Tensor:
    """The highest scores; ties go to the earlier frame."""
    ranked = task.scores.masked_fill(~task.eligible, -torch.inf)
    return ranked.sort(descending=True, stable=True).indices[: task.num_frames]


def _coverage(task: _Task) -> Tensor:
    """The set of frames that covers the video best; O(k n log n) time, O(n) memory.

    With r the relevance of a moment, whose sum is 1, it maximises

        sum_i r_i max_j exp(-|t_i - t_j| / near)

    among the sets that keep `_bound`. A frame in a moment that scores is worth most; the next one
    in the same moment is worth less, so the frames go on to other moments that score. The bound
    keeps one strong moment from taking the whole budget.
    """
    bound = _bound(task)
    return most_coverage(_cover(task), task.eligible, num_frames=task.num_frames, bound=bound)


def _cover(task: _Task) -> FadingCover:
    """The cover that `_coverage` maximises; constant scores prefer no moment.

    Then the timeline alone decides, and frames reach as far as even ones have to.
    """
    relevance = _relevance(task)
    total = relevance.sum()
    near = task.config.near_seconds
    even = max(near, task.duration_seconds / task.num_frames / 2)
    return FadingCover.build(
        task.times / torch.where(total > 0, near, even),
        torch.where(total > 0, relevance / total, _timeline(task.times, reach=even)),
    )


def _bound(task: _Task) -> Bound | None:
    """How far a moment may be from a chosen frame; None where only some frames may be chosen.

    Raises:
        InputError: `SelectConfig.max_gap_seconds` cannot be kept with the budget.
    """
    gap = task.config.max_gap_seconds
    if not task.by_budget:
        if gap is not None:
            raise InputError(
                f"max_gap_seconds={gap:g} needs a budget, since a threshold chooses frames by "
                "their score alone; give num_frames instead of threshold"
            )
        return None
    listed = task.times.tolist()
    span = task.span or span_of(listed)
    if gap is not None:
        return _given_bound(Bound(task.times, listed, span, gap / 2), task)
    even = task.duration_seconds / task.num_frames / 2
    for seconds, share in ((_NEAR_SECONDS, _NEAR_SHARE), (_FARTHEST * even, 1.0)):
        bound = Bound.where_possible(task.times, listed, span, seconds)
        rows = bound.missing([])
        if rows is not None and len(rows) <= share * task.num_frames:
            return bound
    return None


def _given_bound(bound: Bound, task: _Task) -> Bound:
    gap, rows = 2 * bound.seconds, bound.missing([])
    if rows is None:
        raise InputError(
            f"max_gap_seconds={gap:g} cannot be kept: the frames that were looked at are farther "
            "apart themselves; take the grid 'fps', raise grid.sample_fps, grid.max_frames or "
            "encode.max_encoded, or allow a longer gap"
        )
    if len(rows) > task.num_frames:
        raise InputError(
            f"max_gap_seconds={gap:g} cannot be kept with {task.num_frames} frames: this video of "
            f"{task.duration_seconds:g} s needs at least {len(rows)}; give num_frames={len(rows)} "
            "or more, or allow a longer gap"
        )
    return bound


_POLICIES: dict[Policy, Callable[[_Task], Tensor]] = {"coverage": _coverage, "top": _top}


def _relevance(task: _Task) -> Tensor:
    """``(n,)`` float64 weight of each moment; all are zero if the scores are constant."""
    scores = task.scores.double()
    stretched = min_max(scores, tolerance=_SCORE_NOISE * float(scores.abs().max()))
    timeline = _timeline(task.times, reach=task.config.near_seconds)
    return stretched**task.config.sharpness * timeline


def _timeline(times: Tensor, *, reach: float) -> Tensor:
    """``(n,)`` share of the time that each frame stands for, in a video looked at unevenly.

    A frame stands for half the gap on either side, as far as it covers it: for exp(-|t| / reach) of
    a moment t seconds away. So a part with a denser grid does not weigh more, and neither does a
    frame whose neighbours were not looked at. The first and the last frame get their only gap on
    both sides.

    Args:
        times: ``(n,)`` times, not falling.
        reach: Reach of a frame, in seconds.
    """
    if len(times) == 1:
        return torch.ones_like(times)
    covered = -torch.expm1(-times.diff() / (2 * reach))
    stretches = torch.cat([covered[:1], covered]) + torch.cat([covered, covered[-1:]])
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
    if not is_whole(num_frames) or plain(num_frames) < 1:
        raise InputError(f"num_frames must be an integer of at least 1, got {shown(num_frames)}")
    return int(plain(num_frames))


def _at_least(scores: Tensor, threshold: float) -> Tensor:
    """``(n,)`` bool mask of the scores that reach the threshold; the best one if none does."""
    if not is_real(threshold) or math.isnan(threshold):
        raise InputError(f"threshold must be a number, got {shown(threshold)}")
    # Compared in the precision of the scores, so that a float32 0.7 reaches 0.7.
    enough = scores >= float(threshold)
    return enough if bool(enough.any()) else enough.index_fill(0, scores.argmax().view(1), True)


def _video_seconds(times: Tensor, given: float | None) -> float:
    """The duration given, or the span of the times and one more gap between them."""
    if given is None:
        span = float(times[-1] - times[0])
        return span * len(times) / max(1, len(times) - 1)
    if not (is_real(given) and 0 < given < math.inf):
        raise InputError(f"duration_seconds must be a positive number, got {shown(given)}")
    return float(given)
