"""Even spacing in time: the rule of uniform sampling, which both halves of the core use."""

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError

_LONG_SECONDS = 1.0  # ours: no camera shows a frame longer; a screen recorder at rest does
_CLOCK_NOISE = 1e-7  # seconds, below any container's tick; rounding must not decide a boundary


def uniform_indices(
    pts_seconds: Tensor, num_frames: int, *, duration_seconds: float | None = None
) -> Tensor:
    """Choose frames evenly spaced in time: the one on show at the middle of each of k equal bins.

    A frame that is on show for more than two bins, and more than a second, is a gap in the video.
    It counts only as long as one of the other bins, so that it is taken once and the other frames
    are spread over the rest.

    Args:
        pts_seconds: ``(n,)`` rising frame times; any frame rate, also a variable one.
        num_frames: Number of bins k.
        duration_seconds: Length of the video from the first frame's start; None lets the last
            frame last as long as a frame usually does.

    Returns:
        ``(min(k, n),)`` int64 rows of ``pts_seconds``, rising and unique for every k: where several
        bins show one frame all the same, the next free frames follow it.

    Raises:
        InputError: There is no frame, or k is not positive.

    Example:
        >>> uniform_indices(torch.arange(10) / 25, 2)
        tensor([2, 7])
    """
    n = len(pts_seconds)
    if n == 0 or num_frames < 1:
        raise InputError(
            "uniform sampling needs a number of frames of at least 1 and a video of at least one "
            f"frame, got num_frames={num_frames} and {n} frames; give more"
        )
    k = min(num_frames, n)
    times = pts_seconds.to(torch.float64)
    if duration_seconds is None:
        usual = float(times.diff().median()) if n > 1 else 0.0
        duration_seconds = float(times[-1] - times[0]) + usual
    times, duration_seconds = without_gaps(times, duration_seconds, k)
    order = torch.arange(k, device=times.device)
    return rows_on_show(times, times[0] + (order.double() + 0.5) / k * duration_seconds)


def rows_on_show(times: Tensor, moments: Tensor) -> Tensor:
    """The frame on show at each moment; where several show one frame, the next free ones follow it.

    Args:
        times: ``(n,)`` float64 frame times, rising.
        moments: ``(k,)`` float64 moments, not falling; k <= n.

    Returns:
        ``(k,)`` int64 rows of ``times``, unique and rising.
    """
    n, k = len(times), len(moments)
    order = torch.arange(k, device=times.device)
    on_show = (torch.searchsorted(times, moments + _CLOCK_NOISE, right=True) - 1).clamp(0, n - 1)
    # Push equal ones apart, to the right as far as there are frames: both sides rise strictly.
    free = (on_show - order).cummax(0).values + order
    return torch.minimum(free, order + (n - k))


def without_gaps(times: Tensor, duration_seconds: float, k: int) -> tuple[Tensor, float]:
    """The times, and the duration, as if no frame were on show for longer than one of k bins.

    Both stay as they are unless a frame is a gap (`uniform_indices`).

    Args:
        times: ``(n,)`` float64, rising; n >= k.
        duration_seconds: Duration from the first frame's start.
        k: Number of bins.
    """
    end = times[0] + duration_seconds
    shown = torch.cat([times, end[None]]).diff().clamp_min(0)
    if not (shown > max(2 * duration_seconds / k, _LONG_SECONDS)).any():
        return times, duration_seconds
    # With the m longest frames cut to one bin each, the others fill k - m bins. The m wanted is the
    # least that leaves no other frame longer than such a bin.
    shortest_first = shown.sort().values
    longest = shortest_first.flip(0)[:k]
    rest = shortest_first.cumsum(0).flip(0)[:k]
    bins = rest / torch.arange(k, 0, -1, device=times.device)
    shown = shown.clamp_max(bins[longest <= bins][0])
    ends = shown.cumsum(0)
    return times[0] + torch.cat([ends.new_zeros(1), ends[:-1]]), float(ends[-1])
