"""The video of a selection, opened again to read what was chosen."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.registries import DECODERS
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.video import VideoSource, open_video

_CLOCK_NOISE = 1e-6  # seconds; a time that went through JSON is the same time


@contextmanager
def reopened(selection: Selection) -> Iterator[VideoSource]:
    """Open the video of a selection with the decoder that it was chosen with.

    Raises:
        VideoError: It is gone, cannot be read any more, or has other frames than it had.
        InputError: The frames were chosen from an array, which a selection does not hold.
    """
    if selection.decoder not in DECODERS:
        raise InputError(
            f"the frames of {selection.video} were chosen from an {selection.decoder}, which the "
            "selection does not hold; take selection.indices of it"
        )
    with open_video(selection.video, decoder=selection.decoder) as source:
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
