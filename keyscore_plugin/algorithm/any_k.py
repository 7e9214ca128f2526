"""Any number of frames from clips (K-frames, appendix D.2).

The paper shares the budget out over the clips in proportion to weight times length, and spreads a
clip's frames evenly in it. It leaves open what happens to a clip whose share is less than a frame,
or more than its frames, and how many frames go outside. Those rules are ours:

- Every clip gets a frame first: by largest remainders alone, a budget of one goes to a long clip of
  priority 2 and leaves out a short one of priority 1.
- What a clip cannot hold goes to the others.
- Hybrid bounds the longest gap. A weight for the rest of the video would not: with a weight of .05
  and 64 frames of an hour, the longest gap was 95 s, that of uniform sampling 56 s.
"""

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.config import ClipMode
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import Clips
from keyscore_plugin.types.numbers import is_whole
from keyscore_plugin.types.spacing import rows_on_show, uniform_indices, without_gaps

# Ours: the paper is focused at 8 frames and hybrid at 32 and 64; this is the middle on the scale of
# the budgets, which double.
_HYBRID_FROM = 16
# Ours: the longest gap of hybrid, in even shares of the video. A third of the budget can keep it,
# so two thirds stay free for the clips. `SelectConfig.policy` "coverage" has the same bound.
_LONGEST_GAP = 3.0
_ROUNDING = 1e-9  # remainders that differ by less are equal: the earlier clip gets the frame


def any_k(
    clips: Clips,
    k: int,
    pts_seconds: Tensor,
    *,
    mode: ClipMode = "auto",
    duration_seconds: float | None = None,
) -> Tensor:
    """Take k frames from clips.

    Every clip gets a frame first, in the order of priorities while the budget lasts. Beyond that a
    clip's number of frames is proportional to its weight times its length, by largest remainder. A
    clip that holds fewer frames than its share gives the rest back to the others. The frames of a
    clip are spread evenly in it, as those of uniform sampling are in a video.

    Clips that prefer no frame to another give uniform sampling: no clips, clips between two frames,
    or clips of one priority and weight that together are the whole video.

    Args:
        clips: The clips, in seconds from the first frame of the video.
        k: The budget: exactly min(k, n) rows are returned.
        pts_seconds: ``(n,)`` rising times of all frames, on the clock of the clips: subtract
            `VideoFacts.start_pts_seconds` from the container's. Any frame rate, also a variable
            one.
        mode: Places of the frames. ``"focused"`` takes them inside of the clips; if the budget is
            larger than the clips, the other frames fill the longest gaps outside. ``"hybrid"``
            reserves frames for the outside, so that no gap, also at both ends of the video, is
            longer than 3 D / k plus the longest time that a frame is on show. D is the duration,
            so that is three times the mean gap of uniform sampling. ``"auto"`` is focused below 16
            frames, else hybrid.
        duration_seconds: Duration from the first frame's start; None lets the last frame last as
            long as a frame usually does.

    Returns:
        ``(min(k, n),)`` int64 rows of ``pts_seconds``, unique and rising.

    Raises:
        InputError: There is no frame, k is not a positive whole number, or the mode is unknown.

    Example:
        >>> clips = Clips.from_intervals([2], [4], end_seconds=10, origin="predicted")
        >>> any_k(clips, 3, torch.arange(100) / 10)
        tensor([23, 30, 36])
    """
    if len(pts_seconds) == 0 or not is_whole(k) or k < 1:
        raise InputError(
            "any_k needs a whole number k of at least 1 and a video of at least one frame, got "
            f"k={shown(k)} and {len(pts_seconds)} frames; give another k, or more times"
        )
    if mode not in ("auto", "focused", "hybrid"):
        raise InputError(f"the mode of clips must be auto|focused|hybrid, got {shown(mode)}")
    times = pts_seconds.double().cpu()  # a few steps on short rows, alike on every device
    k = min(int(k), len(times))
    duration = _duration(times) if duration_seconds is None else float(duration_seconds)
    spans = _spans(clips, times, until=float(times[0]) + duration)
    if _are_alike(spans, n_frames=len(times)):
        rows = uniform_indices(times, k, duration_seconds=duration)
        return rows.to(pts_seconds.device)
    inside = min(k, sum(span.n_frames for span in spans))
    rows = _rows_inside(spans, times, inside)
    if mode == "hybrid" or (mode == "auto" and k >= _HYBRID_FROM):
        longest = _LONGEST_GAP * duration / k
        # Fewer frames inside leave longer gaps. This ends because the gaps add up to D, so that a
        # third of the budget always fills them.
        while inside + (missing := _missing(rows, times, duration, longest=longest)) > k:
            inside = k - missing
            rows = _rows_inside(spans, times, inside)
    rows = _fill_longest_gaps(rows, times, duration, n_more=k - inside)
    return rows.to(pts_seconds.device)


@dataclass(frozen=True, slots=True)
class _Span:
    """The frames of a clip.

    Attributes:
        first: First row.
        stop: Row after the last one.
        seconds: Seconds from the first frame's start to the end of the clip.
        weight: Worth of a second.
        priority: Priority of the clip.
    """

    first: int
    stop: int
    seconds: float
    weight: float
    priority: int

    @property
    def n_frames(self) -> int:
        return self.stop - self.first


def _spans(clips: Clips, times: Tensor, *, until: float) -> list[_Span]:
    """The frames of each clip, those that begin in it; a clip without a frame is left out.

    A clip in which no frame begins gets the one on show, unless that is another clip's.

    Args:
        clips: The clips.
        times: ``(n,)`` float64 frame times.
        until: End of the last frame.
    """
    starts, ends = (torch.tensor(side, dtype=torch.float64) for side in (clips.starts, clips.ends))
    firsts = torch.searchsorted(times, starts).tolist()
    stops = torch.searchsorted(times, ends).tolist()
    spans: list[_Span] = []
    for clip, (first, stop) in enumerate(zip(firsts, stops, strict=True)):
        first = first if first < stop else stop - 1
        is_free = first >= (spans[-1].stop if spans else 0)
        if is_free and clips.starts[clip] < until:
            seconds = min(clips.ends[clip], until) - float(times[first])
            spans.append(_Span(first, stop, seconds, clips.weights[clip], clips.priorities[clip]))
    return spans


def _are_alike(spans: list[_Span], *, n_frames: int) -> bool:
    """Whether the clips prefer no frame to another."""
    n_inside = sum(span.n_frames for span in spans)
    kinds = {(span.weight, span.priority) for span in spans}
    return n_inside == 0 or (n_inside == n_frames and len(kinds) == 1)


def _rows_inside(spans: list[_Span], times: Tensor, budget: int) -> Tensor:
    """``(budget,)`` rising rows inside of the clips, which hold as many or more."""
    by_priority = sorted(spans, key=lambda span: (span.priority, -span.weight * span.seconds))
    if budget <= len(spans):
        counts = [1] * budget
    else:
        shares = [span.weight * span.seconds for span in by_priority]
        counts = _proportional(shares, [span.n_frames for span in by_priority], budget)
    rows = [
        span.first
        + uniform_indices(times[span.first : span.stop], count, duration_seconds=span.seconds)
        for span, count in zip(by_priority, counts, strict=False)
    ]
    return torch.cat(rows).sort().values


def _proportional(shares: list[float], most: list[int], total: int) -> list[int]:
    """Whole numbers in proportion to shares, each of at least 1 and at most its ``most``.

    With q_j = min(max(x s_j, 1), most_j), the sum of all q_j grows with x in straight pieces. The
    piece that reaches the total gives x; the largest remainders of q are rounded up.

    Args:
        shares: Positive shares s_j.
        most: Largest number of each.
        total: Sum of the numbers, from ``len(shares)`` to ``sum(most)``.

    Example:
        >>> _proportional([1, 1, 18], [5, 5, 8], 12)
        [2, 2, 8]
    """
    share = torch.tensor(shares, dtype=torch.float64)
    share = (share / share.max()).clamp_min(_ROUNDING)
    cap = torch.tensor(most, dtype=torch.float64)
    bends = torch.cat([1 / share, cap / share]).sort().values
    sums = (bends[:, None] * share).clamp_min(1).minimum(cap).sum(1)
    last = int(torch.searchsorted(sums, total - _ROUNDING))
    quota = (bends[last] * share).clamp_min(1).minimum(cap)
    if last > 0:
        part = (total - sums[last - 1]) / (sums[last] - sums[last - 1])
        before = (bends[last - 1] * share).clamp_min(1).minimum(cap)
        quota = before + part * (quota - before)
    counts = (quota + _ROUNDING).floor()
    remainders = (quota - counts).round(decimals=9)
    rest = total - int(counts.sum())
    counts[remainders.sort(descending=True, stable=True).indices[:rest]] += 1
    return [int(count) for count in counts.tolist()]


def _gaps(rows: Tensor, times: Tensor, duration: float) -> tuple[Tensor, Tensor]:
    """Seconds and free frames between chosen rows, and between those and the ends of the video.

    Args:
        rows: ``(m,)`` chosen rows, rising.
        times: ``(n,)`` float64 frame times.
        duration: Duration from the first frame's start.

    Returns:
        ``(m + 1,)`` lengths in seconds, and ``(m + 1,)`` numbers of frames that can be added.
    """
    moments = torch.cat([times[:1], times[rows], times[:1] + duration])
    edges = torch.cat([rows.new_tensor([-1]), rows, rows.new_tensor([len(times)])])
    return moments.diff(), edges.diff() - 1


def _missing(rows: Tensor, times: Tensor, duration: float, *, longest: float) -> int:
    """Number of further frames with which no gap is longer than ``longest``."""
    seconds, free = _gaps(rows, times, duration)
    return int(((seconds / longest).ceil().long() - 1).clamp_min(0).minimum(free).sum())


def _fill_longest_gaps(rows: Tensor, times: Tensor, duration: float, *, n_more: int) -> Tensor:
    """Add frames where the chosen ones are farthest apart; each gap's frames divide it evenly.

    Args:
        rows: ``(m,)`` chosen rows, rising.
        times: ``(n,)`` float64 frame times.
        duration: Duration from the first frame's start.
        n_more: Number of frames to add; as many are free.

    Returns:
        ``(m + n_more,)`` rows, unique and rising.
    """
    seconds, free = (side.tolist() for side in _gaps(rows, times, duration))
    added = [0] * len(free)
    # The longest piece comes first: the lengths are negative because heapq keeps the least on top.
    pieces = [(-length, gap) for gap, length in enumerate(seconds) if free[gap]]
    heapq.heapify(pieces)
    for _ in range(n_more):
        _, gap = heapq.heappop(pieces)
        added[gap] += 1
        if added[gap] < free[gap]:
            heapq.heappush(pieces, (-seconds[gap] / (added[gap] + 1), gap))
    edges = [-1, *rows.tolist(), len(times)]
    parts = [rows]
    for gap, count in enumerate(added):
        if count:
            first, stop = edges[gap] + 1, edges[gap + 1]
            begin = max(edges[gap], 0)
            # The frames that are free may begin long after the gap does, and would be taken in a
            # row, were a frame that stays on show to count for longer than it does in `uniform`.
            n_bins = min(count + 1, stop - begin)
            shown, length = without_gaps(times[begin:stop], seconds[gap], n_bins)
            steps = torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
            parts.append(first + rows_on_show(shown[first - begin :], shown[0] + length * steps))
    return torch.cat(parts).sort().values


def _duration(times: Tensor) -> float:
    """Duration of frames whose last one lasts as long as a frame usually does."""
    usual = float(times.diff().median()) if len(times) > 1 else 1.0
    return float(times[-1] - times[0]) + usual
