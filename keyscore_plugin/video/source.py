"""A video as the rest of the project sees it: facts, true times, frames on demand."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin.config import GridConfig
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import AUTO_DECODER, load
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.types.numbers import is_whole
from keyscore_plugin.video.copies import Bytes, CopiedVideo, Copy, Readable, is_data_url, named
from keyscore_plugin.video.images import IMAGE_DECODERS, open_folder, open_images
from keyscore_plugin.video.pictures import Array, Picture

_LONG_SECONDS = 1.0  # ours: no camera shows a frame longer; a screen recorder at rest does
_CLOCK_NOISE = 1e-7  # seconds, below any container's tick; rounding must not decide a boundary


@runtime_checkable
class VideoSource(Protocol):
    """An open video. Frame i is the i-th in display order; its time is the container's pts.

    A start other than zero is kept: nothing is subtracted from the container's clock. Players,
    annotations and hosts count from the first frame: ``pts_seconds - start_pts_seconds``.

    Attributes:
        path: The video, as the caller named it.
        decoder: Name of the decoder, a key of `keyscore_plugin.registries.DECODERS`.
        start_pts_seconds: Pts of the video's first frame; in a part of a video that of the whole.
        duration_seconds: From the first frame's start to the last frame's end.
        average_fps: Mean frame rate, n_frames / duration.
        n_frames: Frames in the video.
        n_frames_counted: True when they were counted, False when estimated.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        rotation: Clockwise degrees that were applied to show the video upright.
        mirrored: Whether left and right changed places before it was turned.
        stream: Number of the stream among the video streams of the file.
        notes: What a reader must know: a stream that ended early, frames that do not decode ...
    """

    path: str
    decoder: str
    start_pts_seconds: float
    duration_seconds: float
    average_fps: Fraction
    n_frames: int
    n_frames_counted: bool
    width: int
    height: int
    rotation: int
    mirrored: bool
    stream: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What came to light so far; may grow while frames are decoded."""

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 presentation times of the given frames, or of all."""

    def keyframes(self) -> Tensor:
        """``(n,)`` int64 indices of the codec's own keyframes (I-frames one can seek to)."""

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """Full-quality frames in the order asked for, duplicates included.

        Args:
            indices: Frame indices.
            size: ``(height, width)`` to scale to while decoding; None keeps the video's own.

        Raises:
            VideoError: One of the frames does not decode (no neighbour stands in), or the video
                is closed.
            InputError: An index is not in the video.
        """

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """Low-resolution frames near the grid points, streamed in one pass in small batches.

        A frame next to a grid point may stand in for it when it is cheaper to decode; its own
        index and pts are what is reported. Unique, in time order; never upscaled.

        Args:
            grid: Rising frame indices.
            short_side: Pixels of the shorter side.

        Raises:
            VideoError: Nothing on the grid decodes, or the video is closed. Where only some of it
                does not, those frames are left out and `notes` says how many.
            InputError: The grid does not rise, or leaves the video.
        """

    def close(self) -> None:
        """Free the decoder."""

    def __enter__(self) -> "VideoSource": ...

    def __exit__(self, *exc: object) -> None: ...


VideoInput = str | os.PathLike[str] | VideoSource | Bytes | Readable | Array | Sequence[Picture]


def open_video(
    video: VideoInput,
    decoder: str = "auto",
    *,
    fps: float | None = None,
    stream: int | None = None,
) -> VideoSource:
    """Open a video, in whatever form it comes.

    Args:
        video: The path of a file; its bytes; a file object in binary mode, read from where it
            stands; a ``data:`` URL; a `VideoSource`, which is handed back. Or the pictures of a
            video, with ``fps``: a folder of image files in natural order (``2.png`` before
            ``10.png``), a list of image files, Pillow images or arrays, or one array
            ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8 RGB. Bytes and the like are copied to a
            temporary file, which is deleted when the video is closed.
        decoder: Of files and bytes: ``"pyav"``, ``"decord"``, ``"torchcodec"``,
            ``"torchcodec-cuda"`` on a GPU; ``"auto"`` is PyAV, which decodes all we tried. What was
            used stands in `VideoSource.decoder`.
        fps: Pictures per second, for pictures alone: a file has times of its own.
        stream: Which video stream of a file, counted from 0. None takes the one that the command
            ``ffmpeg`` takes: the default one, then that of most pixels, no cover.

    Raises:
        VideoError: The file is missing or no regular file (a URL), is no video, has no such stream,
            or holds no frame that decodes.
        InputError: The decoder is unknown; this is no video; ``fps`` is missing for pictures, or
            given for a file with times of its own; ``stream`` is no number, or given for pictures.
        MissingDependencyError: The decoder asked for is not installed.
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
        f"fps={shown(fps)} is for pictures, and {source.path} has times of its own; leave fps out, "
        "or give a folder or a list of pictures"
    )


def reopen_video(selection: Selection) -> VideoSource:
    """Open the video of a selection again, as it was opened then.

    Raises:
        VideoError: It cannot be read any more, or was given in memory.
    """
    if selection.decoder in IMAGE_DECODERS:
        return open_video(selection.video, fps=selection.average_fps)
    return open_video(selection.video, selection.decoder, stream=selection.stream)


def _open_with_times(video: VideoInput, decoder: str, stream: int | None) -> VideoSource:
    """Open what is no pictures."""
    if isinstance(video, VideoSource):
        _refuse(stream)
        return video
    if isinstance(video, (Bytes, Readable)) or (isinstance(video, str) and is_data_url(video)):
        return _open_copy(video, decoder, stream)
    if isinstance(video, (str, os.PathLike)):
        return _open_file(os.fspath(video), decoder, stream)
    raise InputError(
        f"{shown(video)} is no video; give a path, bytes, a file object, an array or a list of "
        "pictures with fps, or an open VideoSource"
    )


def _refuse(stream: int | None) -> None:
    """Refuse the number of a stream for what has none."""
    if stream is not None:
        raise InputError(f"stream={shown(stream)} is for files alone; leave it out")


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


def uniform_indices(
    pts_seconds: Tensor, num_frames: int, *, duration_seconds: float | None = None
) -> Tensor:
    """Frames evenly spaced in time: the one on show at the middle of each of k equal bins.

    A frame that is on show for more than two bins, and more than a second, is a gap in the video:
    time counts there only as long as in any other bin, so that it is taken once and the others
    are spread over the rest.

    Args:
        pts_seconds: ``(n,)`` rising frame times; any frame rate, also a variable one.
        num_frames: The number of bins k.
        duration_seconds: Length of the video from the first frame's start; None lets the last
            frame last as long as a frame usually does.

    Returns:
        ``(min(k, n),)`` int64, rising and unique for every k: where several bins show one frame
        all the same, the next free frames follow it.

    Raises:
        InputError: There is no frame, or k is not positive.

    Example:
        >>> uniform_indices(torch.arange(10) / 25, 2)
        tensor([2, 7])
    """
    n = len(pts_seconds)
    if n == 0 or num_frames < 1:
        raise InputError(f"need one frame or more of one or more, got {num_frames} of {n}")
    k = min(num_frames, n)
    times = pts_seconds.to(torch.float64)
    if duration_seconds is None:
        usual = float(times.diff().median()) if n > 1 else 0.0
        duration_seconds = float(times[-1] - times[0]) + usual
    times, duration_seconds = _without_gaps(times, duration_seconds, k)
    order = torch.arange(k, device=times.device)
    middles = times[0] + (order.double() + 0.5) / k * duration_seconds + _CLOCK_NOISE
    on_show = (torch.searchsorted(times, middles, right=True) - 1).clamp(0, n - 1)
    # Push equal ones apart, to the right as far as there are frames: both sides rise strictly.
    free = (on_show - order).cummax(0).values + order
    return torch.minimum(free, order + (n - k))


def _without_gaps(times: Tensor, duration_seconds: float, k: int) -> tuple[Tensor, float]:
    """The times, and the duration, if no frame were on show for longer than one of k bins.

    Left as they are unless a frame is a gap, see `uniform_indices`.

    Args:
        times: ``(n,)`` float64, rising; n >= k.
        duration_seconds: From the first frame's start.
        k: Number of bins.
    """
    end = times[0] + duration_seconds
    shown = torch.cat([times, end[None]]).diff().clamp_min(0)
    if not (shown > max(2 * duration_seconds / k, _LONG_SECONDS)).any():
        return times, duration_seconds
    # With the m longest frames cut to one bin each, the others fill k - m bins: the least m is
    # looked for that leaves no other frame longer than such a bin.
    shortest_first = shown.sort().values
    longest = shortest_first.flip(0)[:k]
    rest = shortest_first.cumsum(0).flip(0)[:k]
    bins = rest / torch.arange(k, 0, -1, device=times.device)
    shown = shown.clamp_max(bins[longest <= bins][0])
    ends = shown.cumsum(0)
    return times[0] + torch.cat([ends.new_zeros(1), ends[:-1]]), float(ends[-1])


def grid_indices(source: VideoSource, config: GridConfig, *, at_least: int) -> Tensor:
    """The frames to look at (Algorithm 1, line 1).

    Args:
        source: The video.
        config: ``kind="fps"``: evenly in time, ``sample_fps`` a second; ``"keyframes"``: where the
            codec put its keyframes. Both are thinned evenly to ``max_frames``.
        at_least: The budget. A grid of fewer points is filled up evenly, so that this many frames,
            or all there are, can be chosen from it.

    Returns:
        ``(n_grid,)`` int64 rising unique frame indices.

    Raises:
        InputError: ``at_least`` is not positive, or the kind is ``"refine"``: that is two grids,
            the second of which only the scores of the first can tell.
    """
    if at_least < 1:
        raise InputError(f"the grid must have at least one frame, got at_least={at_least}")
    if config.kind == "refine":
        raise InputError(
            "the grid 'refine' looks closer where frames score with a text, which this sampler "
            "does not find out while it looks; use the grid 'fps' or 'keyframes'"
        )
    times = source.pts_seconds()
    n_least = min(at_least, len(times))
    if config.kind == "fps":
        wanted = min(config.max_frames, round(source.duration_seconds * config.sample_fps))
        n_grid = max(wanted, n_least)
        return uniform_indices(times, n_grid, duration_seconds=source.duration_seconds)
    keys = source.keyframes()
    n_keys = max(config.max_frames, n_least)
    if len(keys) > n_keys:
        return keys[uniform_indices(torch.arange(len(keys)), n_keys)]
    if len(keys) >= n_least:
        return keys
    others = torch.ones(len(times), dtype=torch.bool).index_fill(0, keys, False).nonzero()[:, 0]
    extra = others[uniform_indices(times[others], n_least - len(keys))]
    return torch.cat([keys, extra]).sort().values
