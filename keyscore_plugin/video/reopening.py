"""The video of a selection, opened again to read what was chosen."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.video.source import VideoSource, reopen_video

_CLOCK_NOISE = 1e-6  # seconds; a time that went through JSON is the same time


@contextmanager
def reopened(selection: Selection) -> Iterator[VideoSource]:
    """Open the video of a selection as it was opened when its frames were chosen.

    Raises:
        VideoError: It is gone, cannot be read any more, has other frames than it had, or was given
            in memory.
    """
    with reopen_video(selection) as source:
        _require_unchanged(source, selection)
        yield source


def chosen_frames(selection: Selection, *, size: tuple[int, int] | None = None) -> Frames:
    """See `Selection.frames`."""
    with reopened(selection) as source:
        return source.read(selection.indices, size=size)


def _require_unchanged(source: VideoSource, selection: Selection) -> None:
    """Check that the video has the frames it had, and the chosen ones their times."""
    remedy = "choose frames of it again"
    if source.n_frames != selection.n_frames and selection.n_frames_counted:
        cause = f"it had {selection.n_frames} frames when these were chosen, now {source.n_frames}"
        raise VideoError(source.path, cause, remedy)
    times = source.pts_seconds(selection.indices).tolist()
    for index, now, then in zip(selection.indices, times, selection.pts_seconds, strict=True):
        if abs(now - then) > _CLOCK_NOISE:
            cause = f"frame {index} was at {then:.3f} s when it was chosen, now at {now:.3f} s"
            raise VideoError(source.path, cause, remedy)
