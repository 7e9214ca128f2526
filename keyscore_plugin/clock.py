"""Frame times for hosts that compute them as index / fps."""

from typing import Any

from torch import Tensor

from keyscore_plugin.types import Frames

CLOCK_HZ = 1000  # ours: container times are exact to 1 ms or coarser in every format we know
_EXACT_SECONDS = 5e-4  # half a tick of that clock


def clock_metadata(pts_seconds: Tensor, duration_seconds: float) -> dict[str, Any]:
    """Facts that make a host read these times, whatever the frame rate does.

    Hosts compute a frame's time as ``frames_indices / fps``, which is wrong for a variable rate.
    The indices here count milliseconds instead of frames.

    Args:
        pts_seconds: ``(n,)`` presentation times.
        duration_seconds: Duration of the video.

    Example:
        >>> import torch
        >>> clock_metadata(torch.tensor([0.5, 2.0]), 4.0)["frames_indices"]
        [500, 2000]
    """
    ticks = (pts_seconds.double() * CLOCK_HZ).round().long()
    return {
        "total_num_frames": max(1, round(duration_seconds * CLOCK_HZ)),
        "fps": float(CLOCK_HZ),
        "duration": float(duration_seconds),
        "frames_indices": ticks.tolist(),
    }


def frame_clock(
    frames: Frames, *, fps: float, n_frames: int, duration_seconds: float
) -> dict[str, Any]:
    """Facts from which a host computes the frames' own times.

    Where index / fps gives the container's times to half a millisecond, the indices are the
    frames' own; otherwise (a variable rate, a start other than zero) see `clock_metadata`.

    Args:
        frames: The frames that the model gets.
        fps: Mean frame rate of the video.
        n_frames: Frames of the video, or of the part of it that was asked for.
        duration_seconds: Duration of the same.
    """
    if ((frames.indices / fps - frames.pts_seconds).abs() >= _EXACT_SECONDS).any():
        return clock_metadata(frames.pts_seconds, duration_seconds)
    return {
        "total_num_frames": n_frames,
        "fps": fps,
        "duration": duration_seconds,
        "frames_indices": frames.indices.tolist(),
    }
