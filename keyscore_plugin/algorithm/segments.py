"""Clips into any number of frames (K-frames, appendix D.2)."""

from torch import Tensor

from keyscore_plugin.config import ClipMode
from keyscore_plugin.types import Clips


def any_k(
    clips: Clips,
    k: int,
    pts_seconds: Tensor,
    *,
    mode: ClipMode = "auto",
    duration_seconds: float | None = None,
) -> Tensor:
    """Take k frames from clips.

    Args:
        clips: The clips, in seconds from the first frame of the video.
        k: The budget: exactly min(k, n) rows are returned.
        pts_seconds: ``(n,)`` rising times of all frames, on the clock of the clips: subtract
            `VideoFacts.start_pts_seconds` from the container's. Any frame rate, also a variable
            one.
        mode: ``"focused"`` takes frames inside of the clips only, as long as they hold enough;
            ``"hybrid"`` takes some outside, so that no gap is longer than a bound; ``"auto"`` is
            one of the two by k.
        duration_seconds: Duration from the first frame's start; None lets the last frame last as
            long as a frame usually does.

    Returns:
        ``(min(k, n),)`` int64 rows of ``pts_seconds``, unique and rising.

    Raises:
        InputError: There is no frame, k is not positive, or the mode is unknown.
    """
    raise NotImplementedError
