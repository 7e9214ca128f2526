"""From scores to a selection: exactly k frames, or those above a threshold, in time order.

A policy is a function from a `_Task` to rows; `_POLICIES` lists them. ``"top"`` is the paper's
plain ranking, which spends the budget on neighbours of the best frame that show the same.
``"coverage"`` is ours, relevance-weighted temporal coverage: the moments that score get a frame,
the scenes around them get one too, and no part of the video is left without any.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.algorithm.coverage import FadingCover, WithinCover, most_coverage
from keyscore_plugin.algorithm.numeric import min_max, require_finite
from keyscore_plugin.config import Policy, SelectConfig
from keyscore_plugin.errors import InputError, require_kind, shown
from keyscore_plugin.types import FrameScores, Importance
from keyscore_plugin.types.numbers import is_real, is_whole, plain

# Scores whose spread is below this share of their size are constant (float32 noise).
_SCORE_NOISE = 1e-6
# Ours: how far a moment may be from a chosen frame, as a multiple of what even sampling leaves it.
# A third of the budget can keep it, so two thirds stay free for what scores.
_FARTHEST = 3.0


@dataclass(frozen=True, slots=True)
class _Task:
    """The input of a policy, which returns ``(num_frames,)`` different eligible rows in any order.

    Attributes:
        scores: ``(n,)`` finite scores.
        times: ``(n,)`` float64 seconds, not falling.
        scenes: ``(n,)`` float64 number of changes of the cluster up to each frame.
        eligible: ``(n,)`` bool mask of the rows that may be chosen; at least ``num_frames``.
        num_frames: Number of rows to choose.
        duration_seconds: Duration of the video.
        config: The settings.
    """

    scores: Tensor
    times: Tensor
    scenes: Tensor
    eligible: Tensor
    num_frames: int
    duration_seconds: float
    config: SelectConfig


def select(
    scores: FrameScores | Importance | Tensor,
    pts_seconds: Tensor,
    *,
    num_frames: int | None = None,
    threshold: float | None = None,
    duration_seconds: float | None = None,
    clusters: Tensor | None = None,
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
        clusters: ``(n,)`` cluster of each frame (`Candidates.labels`): frames of different
            clusters say less about each other. None puts all frames in one cluster.
        config: The policy and its settings, or a dict of those that differ from the defaults.

    Returns:
        ``(k,)`` int64 rows, unique and rising, on the device of the scores.

    Raises:
        InputError: Both or neither of ``num_frames`` and ``threshold`` are given, one of them is
            out of range, or scores, times and clusters differ in length or are not finite.
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
    scenes = _scenes(times, clusters)
    task = _Task(values, times, scenes, eligible, budget, duration, config)
    return _POLICIES[config.policy](task).sort().values


def _values(scores: FrameScores | Importance | Tensor) -> Tensor:
    if isinstance(scores, FrameScores):
        return scores.total
    return scores.scores if isinstance(scores, Importance) else scores


def _top(task: _Task) -> Tensor:
    """The highest scores; of equal ones the earlier."""
    ranked = task.scores.masked_fill(~task.eligible, -torch.inf)
    return ranked.sort(descending=True, stable=True).indices[: task.num_frames]


def _coverage(task: _Task) -> Tensor:
    """The set of frames that covers the video best; O(k n log n) time, O(n) memory.

    It maximises the sum of three covers, with r the relevance of a moment and u its share of the
    timeline, each summing to 1, and s the ``timeline_share``:

        (1 - s) / 2 sum_i r_i max_j exp(-|t_i - t_j| / near)                     narrow
        (1 - s) / 2 sum_i r_i max_j exp(-|t_i - t_j| / wide) c^(scenes between)  wide
        s           sum_i u_i max_j [|t_i - t_j| <= 3 even]                      timeline

    where even is half of a frame's even share of the video, D / 2k, and wide = max(near, even).
    The narrow cover rewards a frame in the moment itself. In the wide cover a frame of the next
    scene covers a moment ``scene_factor`` c times as much as one of its own scene: a frame in
    another scene that scores comes before a further one in the best. The timeline keeps one strong
    moment from taking the whole budget.
    """
    config = task.config
    near = config.near_seconds
    even = task.duration_seconds / task.num_frames / 2
    wide = max(near, even)
    timeline = _timeline(task.times)
    relevance = (1 - config.timeline_share) / 2 * _relevance(task, timeline)
    # exp(-(t / wide + scenes log(1 / c))) is exp(-t / wide) c^scenes.
    scene_time = task.times / wide - task.scenes * math.log(config.scene_factor)
    covers = (
        FadingCover.build(task.times / near, relevance),
        FadingCover.build(scene_time, relevance),
        WithinCover.build(task.times, config.timeline_share * timeline, reach=_FARTHEST * even),
    )
    return most_coverage(covers, task.eligible, num_frames=task.num_frames)


_POLICIES: dict[Policy, Callable[[_Task], Tensor]] = {"coverage": _coverage, "top": _top}


def _relevance(task: _Task, timeline: Tensor) -> Tensor:
    """``(n,)`` float64 weight of each moment; the weights sum to 1.

    Constant scores prefer no moment: then the timeline alone decides.
    """
    scores = task.scores.double()
    stretched = min_max(scores, tolerance=_SCORE_NOISE * float(scores.abs().max()))
    relevance = stretched**task.config.sharpness * timeline
    total = relevance.sum()
    return torch.where(total > 0, relevance / total, timeline)


def _timeline(times: Tensor) -> Tensor:
    """``(n,)`` share of the time nearest to each frame: half the gap on either side.

    With it a part of the video with a denser grid does not weigh more. The first and the last frame
    get their only gap on both sides.
    """
    if len(times) == 1:
        return torch.ones_like(times)
    gaps = times.diff()
    stretches = (torch.cat([gaps[:1], gaps]) + torch.cat([gaps, gaps[-1:]])) / 2
    stretches = torch.where(times[-1] > times[0], stretches, torch.ones_like(times))
    return stretches / stretches.sum()


def _scenes(times: Tensor, clusters: Tensor | None) -> Tensor:
    """``(n,)`` number of changes of the cluster up to each frame."""
    if clusters is None:
        return torch.zeros_like(times)
    if clusters.shape != times.shape:
        raise InputError(
            "select needs the cluster of each frame, "
            f"got clusters {tuple(clusters.shape)} for {len(times)} frames"
        )
    changes = clusters.to(times.device).diff() != 0
    return torch.nn.functional.pad(changes, (1, 0)).cumsum(dim=0).to(times.dtype)


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
