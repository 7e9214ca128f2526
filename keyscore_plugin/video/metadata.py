"""Frame times for hosts, which compute them as index / fps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.video.trim import TrimmedVideo

CLOCK_HZ = 1000  # ours: container times are exact to 1 ms or coarser in every format we know
_EXACT_SECONDS = 5e-4  # half a tick of that clock


def clock_metadata(seconds: Tensor, duration_seconds: float) -> dict[str, Any]:
    """Metadata from which a host computes these times, also where the frame rate varies.

    Hosts compute a frame's time as ``frames_indices / fps``, which is wrong for a variable rate.
    The indices here count milliseconds instead of frames.

    Args:
        seconds: ``(n,)`` times, counted from the video's first frame as hosts do.
        duration_seconds: Duration of the video.

    Returns:
        The four entries that the video metadata of transformers holds.

    Example:
        >>> import torch
        >>> clock_metadata(torch.tensor([0.5, 2.0]), 4.0)["frames_indices"]
        [500, 2000]
    """
    ticks = (seconds.double() * CLOCK_HZ).round().long()
    return {
        "total_num_frames": max(1, round(duration_seconds * CLOCK_HZ)),
        "fps": float(CLOCK_HZ),
        "duration": float(duration_seconds),
        "frames_indices": ticks.tolist(),
    }


def frame_clock(indices: Sequence[int], part: TrimmedVideo) -> dict[str, Any]:
    """Metadata from which a host computes the true times of the frames.

    Times count from the video's first frame. Where index / fps gives them to half a millisecond,
    the indices are those in the whole video; otherwise (a variable rate) they are those of
    `clock_metadata`. The number of frames and the duration are those of the part, as hosts that
    read a part of a video count them.

    Args:
        indices: Frames of the part that the model gets.
        part: Part that they were chosen from; the whole video if no part was asked for.

    Returns:
        The four entries that the video metadata of transformers holds.
    """
    frames = part.first + torch.tensor(indices, dtype=torch.int64)
    seconds = part.pts_seconds(indices) - part.start_pts_seconds
    fps = float(part.whole.average_fps)
    if ((frames / fps - seconds).abs() >= _EXACT_SECONDS).any():
        return clock_metadata(seconds, part.duration_seconds)
    return {
        "total_num_frames": part.n_frames,
        "fps": fps,
        "duration": part.duration_seconds,
        "frames_indices": frames.tolist(),
    }
