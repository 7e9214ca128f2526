"""Open a video of any form, and open the video of a selection again."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.registries import AUTO_DECODER, load
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.types.numbers import is_whole
from keyscore_plugin.video.base import VideoSource
from keyscore_plugin.video.copies import Bytes, CopiedVideo, Copy, Readable, is_data_url, named
from keyscore_plugin.video.images import IMAGE_DECODERS, Array, Picture, open_folder, open_images

__all__ = ["VideoInput", "VideoSource", "chosen_frames", "open_video", "reopened"]

_CLOCK_NOISE = 1e-6  # seconds; a time that went through JSON is the same time

VideoInput = str | os.PathLike[str] | VideoSource | Bytes | Readable | Array | Sequence[Picture]


def open_video(
    video: VideoInput,
    decoder: str = "auto",
    *,
    fps: float | None = None,
    stream: int | None = None,
) -> VideoSource:
    """Open a video of any form: a file, bytes, an array, pictures.

    A file is scanned once (milliseconds for a minute of video): frames are counted and their times
    are read from the container, even if its header says otherwise.

    Args:
        video: Path of a file; its bytes; a file object in binary mode, read from its position; a
            ``data:`` URL; or a `VideoSource`, which is returned as it is. With ``fps``, the
            pictures of a video: a folder of image files in natural order (``2.png`` before
            ``10.png``), a list of image files, Pillow images or arrays, or one array
            ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8 RGB. Bytes, file objects and URLs are copied
            to a temporary file, which is deleted when the video is closed.
        decoder: Decoder of files and bytes: ``"pyav"``, ``"decord"``, ``"torchcodec"``, or
            ``"torchcodec-cuda"`` on a GPU. ``"auto"`` is PyAV, which decodes every format that we
            tried. `VideoSource.decoder` names the one that was used.
        fps: Pictures per second, for pictures only: a file has its own times.
        stream: Number of the video stream of a file, counted from 0. None takes the stream that the
            command ``ffmpeg`` takes: the default one, then the one of most pixels, never a cover.

    Returns:
        The open video. Close it, or use it in a ``with`` block.

    Raises:
        VideoError: The file is missing, is not a regular file (a URL) or not a video, does not have
            this stream, or has no frame that decodes.
        InputError: The decoder is unknown; the value is not a video; ``fps`` is missing for
            pictures, or given for a file, which has its own times; ``stream`` is not a number, or
            given for pictures.
        MissingDependencyError: The decoder asked for is not installed.

    Example:
        >>> with open_video([np.zeros((4, 6, 3), np.uint8)] * 3, fps=2) as video:
        ...     video.n_frames, video.duration_seconds, video.pts_seconds().tolist()
        (3, 1.5, [0.0, 0.5, 1.0])
    """
    if isinstance(video, (np.ndarray, Tensor, list, tuple)):
        _refuse(stream)
        return open_images(video, fps=fps)
    if fps is not None and isinstance(video, (str, os.PathLike)) and is_folder(os.fspath(video)):
        _refuse(stream)
        return open_folder(Path(video), fps=fps)
    source = _open_with_times(video, AUTO_DECODER if decoder == "auto" else decoder, stream)
    if fps is None:
        return source
    if source is not video:
        source.close()
    raise InputError(
        f"fps={shown(fps)} is for pictures, and {source.path} has its own times; leave fps out, "
        "or give a folder or a list of pictures"
    )


@contextmanager
def reopened(selection: Selection) -> Iterator[VideoSource]:
    """Open the video of a selection as it was opened when its frames were chosen.

    Raises:
        VideoError: The video is gone, cannot be read any more, has other frames than it had, or was
            given in memory.
    """
    if selection.decoder in IMAGE_DECODERS:
        source = open_video(selection.video, fps=selection.average_fps)
    else:
        source = open_video(selection.video, selection.decoder, stream=selection.stream)
    with source:
        _require_unchanged(source, selection)
        yield source


def chosen_frames(selection: Selection, *, size: tuple[int, int] | None = None) -> Frames:
    """Read the frames of a selection from its video; `Selection.frames` calls this."""
    with reopened(selection) as source:
        return source.read(selection.indices, size=size)


def _open_with_times(video: VideoInput, decoder: str, stream: int | None) -> VideoSource:
    """Open a video that has its own times: anything but pictures."""
    if isinstance(video, VideoSource):
        _refuse(stream)
        return video
    if isinstance(video, (Bytes, Readable)) or (isinstance(video, str) and is_data_url(video)):
        return _open_copy(video, decoder, stream)
    if isinstance(video, (str, os.PathLike)):
        return _open_file(os.fspath(video), decoder, stream)
    raise InputError(
        f"{shown(video)} is not a video; give a path, bytes, a file object, an array or a list of "
        "pictures with fps, or an open VideoSource"
    )


def _refuse(stream: int | None) -> None:
    """Refuse the number of a stream for a video without streams."""
    if stream is not None:
        raise InputError(f"stream={shown(stream)} applies to video files only; leave it out")


def _open_file(path: str, decoder: str, stream: int | None) -> VideoSource:
    if stream is not None and not is_whole(stream):
        raise InputError(f"stream must be a whole number from 0, or None, got {shown(stream)}")
    source: VideoSource = load("decoder", decoder)(path, stream)
    return source


def _open_copy(video: Bytes | Readable | str, decoder: str, stream: int | None) -> VideoSource:
    copy = Copy(video)
    try:
        with named(copy.name):
            return CopiedVideo(_open_file(copy.path, decoder, stream), copy)
    except BaseException:
        copy.delete()
        raise


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
