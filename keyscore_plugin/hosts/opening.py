"""The video of a `HostRequest`, opened: a file, a URL, bytes, pixels with metadata, or a part."""

import os
import pickle
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from keyscore_plugin.config import IndexConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.addresses import is_remote, local_path, refuse_user
from keyscore_plugin.hosts.download import DownloadLimits, check_limits, downloaded
from keyscore_plugin.hosts.request import HostProfile, HostRequest
from keyscore_plugin.index.video_index import recalled_frames
from keyscore_plugin.video.copies import is_data_url, named
from keyscore_plugin.video.images import Array, ArrayPictures, ImageVideo
from keyscore_plugin.video.source import VideoInput, VideoSource, open_video
from keyscore_plugin.video.trim import TrimmedVideo

_TIMES = ("fps", "frames_indices", "duration")  # what the metadata of pixels says of their times


@contextmanager
def open_part(
    request: HostRequest, host: HostProfile, *, index: IndexConfig | None = None
) -> Iterator[TrimmedVideo]:
    """Open the video, or the part of it that the request asks for.

    Args:
        request: Request of the host.
        host: The words of the host's users.
        index: An index that may know the frames of a file, which then needs no scan.

    Raises:
        VideoError: The video cannot be read.
        InputError: The times of pixels are unknown, the video is a URL and URLs are not allowed,
            or no frame is on show in the part.
    """
    with recalled_frames(file_of(request.video), index), _opened(request, host) as source:
        yield TrimmedVideo.between(source, request.start_seconds, request.end_seconds)


@contextmanager
def _opened(request: HostRequest, host: HostProfile) -> Iterator[VideoSource]:
    video = request.video
    if isinstance(video, str):
        with open_anywhere(
            video, decoder=request.decoder, limits=request.limits, allowed_by=host.allowed_by
        ) as source:
            yield source
        return
    if isinstance(video, (np.ndarray, Tensor)):
        facts = {"fps": request.fps, **(request.video_metadata or {})}
        yield array_video(video, facts, give_times=host.give_times)
        return
    if isinstance(video, (list, tuple)):
        if request.fps is None:
            raise InputError(f"the times of a list of frames are unknown; {host.give_times}")
        video = [local_path(frame) if isinstance(frame, str) else frame for frame in video]
    with open_video(video, request.decoder, fps=request.fps) as source:
        yield source


@contextmanager
def open_anywhere(
    video: str, *, decoder: str, limits: DownloadLimits | None, allowed_by: str
) -> Iterator[VideoSource]:
    """Open a path, a ``file:`` URL or, if allowed, an ``http(s):`` URL.

    Args:
        video: Path or URL of the video.
        decoder: Name of a decoder, as `keyscore_plugin.open_video` takes it.
        limits: Limits of a download; None refuses URLs, and nothing is contacted.
        allowed_by: Text that the user writes in this host to allow URLs, for the errors.

    Raises:
        InputError: URLs are not allowed, the URL holds a user's name, or ``limits`` has another
            type.
        VideoError: The video cannot be downloaded or read.
    """
    check_limits(limits, allowed_by=allowed_by)
    if not is_remote(video):
        with open_video(local_path(video), decoder) as source:
            yield source
        return
    refuse_user(video)
    if limits is None:
        raise InputError(
            f"{video} is a URL, and URLs are not fetched unless allowed; download it and give "
            f"its path, or allow URLs by {allowed_by}"
        )
    with (
        named(video),
        downloaded(video, limits, allowed_by=allowed_by) as path,
        open_video(path, decoder) as source,
    ):
        yield source


def array_video(
    pixels: Array, metadata: Mapping[str, Any] | None, *, give_times: str
) -> ImageVideo:
    """Pixels in memory as a video. Frame i is row i.

    Args:
        pixels: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8.
        metadata: ``fps`` of the video; ``frames_indices`` (rising) and ``duration`` in seconds if
            the rows are some of its frames.
        give_times: Advice to the user if there is no ``fps``, one clause for the error.

    Raises:
        InputError: The array is no video, or its times cannot be known.
    """
    pictures = ArrayPictures(pixels)
    if metadata is None or not metadata.get("fps"):
        raise InputError(f"the times of {pictures.path} are unknown; {give_times}")
    numbers = metadata.get("frames_indices")
    if numbers is not None and len(numbers) != len(pictures):
        raise InputError(
            f"{pictures.path} has {len(numbers)} frames_indices in its video_metadata; give one "
            "for each frame"
        )
    return ImageVideo(
        pictures,
        path=pictures.path,
        fps=metadata["fps"],
        frame_numbers=None if numbers is None else list(numbers),
        duration_seconds=float(metadata.get("duration") or 0),
    )


def video_identity(video: VideoInput, metadata: Mapping[str, Any] | None) -> Hashable:
    """Return a value that is equal for two videos in memory only if they are the same.

    Views of one array may differ only in their strides: the first half of a video and every second
    frame of it have the same address and shape.

    Args:
        video: The video of a request.
        metadata: Facts of pixels; their contents count, in full.
    """
    if not isinstance(video, Tensor):
        return video if isinstance(video, str) else id(video)
    view = (video.device, video.data_ptr(), video.dtype, video.shape, video.stride())
    return view, pickle.dumps([(metadata or {}).get(name) for name in _TIMES])


def file_of(video: VideoInput) -> str | None:
    """Path of the local file that a request names; None for anything else."""
    if not isinstance(video, (str, os.PathLike)):
        return None
    path = os.fspath(video)
    if is_remote(path) or is_data_url(path):
        return None
    path = local_path(path)
    return path if Path(path).is_file() else None
