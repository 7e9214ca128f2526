"""Frame times for hosts that compute them as index / fps."""

from typing import Any

from torch import Tensor

from keyscore_plugin.types import Frames
from keyscore_plugin.video.trim import Excerpt

CLOCK_HZ = 1000  # ours: container times are exact to 1 ms or coarser in every format we know
_EXACT_SECONDS = 5e-4  # half a tick of that clock


def clock_metadata(seconds: Tensor, duration_seconds: float) -> dict[str, Any]:
    """Facts that make a host read these times, whatever the frame rate does.

    Hosts compute a frame's time as ``frames_indices / fps``, which is wrong for a variable rate.
    The indices here count milliseconds instead of frames.

    Args:
        seconds: ``(n,)`` times, counted from the video's first frame as hosts do.
        duration_seconds: Duration of the video.

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


def frame_clock(frames: Frames, part: Excerpt) -> dict[str, Any]:
    """Facts from which a host computes the frames' own times, seconds from the video's first frame.

    Where index / fps gives these to half a millisecond, the indices are those in the whole video;
    otherwise (a variable rate) see `clock_metadata`. Frames and duration in all are those of the
    part, as hosts count them that read a part of a video.

    Args:
        frames: The frames that the model gets, read from the part.
        part: What they were chosen from; the whole video if no part was asked for.
    """
    indices = part.first + frames.indices
    seconds = frames.pts_seconds - part.start_pts_seconds
    fps = float(part.whole.average_fps)
    if ((indices / fps - seconds).abs() >= _EXACT_SECONDS).any():
        return clock_metadata(seconds, part.duration_seconds)
    return {
        "total_num_frames": part.n_frames,
        "fps": fps,
        "duration": part.duration_seconds,
        "frames_indices": indices.tolist(),
    }
