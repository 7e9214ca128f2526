"""The videos of a call, in all the shapes that transformers takes them."""

import os
import pickle
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts.download import DownloadLimits, open_anywhere
from keyscore_plugin.video.copies import Bytes, Readable
from keyscore_plugin.video.images import IMAGE_SUFFIXES, ImagePictures
from keyscore_plugin.video.source import VideoSource, open_video
from keyscore_transformers.arrays import ArrayVideo

Video = str | Tensor | Bytes | Readable

ALLOWED_BY = "enable(processor, limits=DownloadLimits(max_bytes=..., max_seconds=...))"
_TIMES = ("fps", "frames_indices", "duration")  # what an array's metadata says of its times


def flat_videos(videos: Any) -> list[Video]:
    """The videos one after another: paths, URLs, pixels as tensors, and what holds a file's bytes.

    Args:
        videos: A path, a URL (also a ``data:`` one), bytes, a file object, a 4D array, a list of
            frames (arrays, Pillow images, image files), or lists of these; a 5D array is a batch of
            videos. A conversation of a batch that has no video is an empty list.

    Raises:
        InputError: Something is none of these, or is images where videos are expected.
    """
    if isinstance(videos, (str, os.PathLike)):
        path = os.fspath(videos)
        if _is_image_file(path):
            raise InputError(
                f"{path} is an image; a sampler chooses from a video: give its path, or a list "
                "of all its frames with video_metadata"
            )
        return [path]
    if isinstance(videos, (Bytes, Readable)):
        return [videos]
    if isinstance(videos, (np.ndarray, Tensor)):
        is_numpy = isinstance(videos, np.ndarray)  # torch takes no array that is mirrored
        pixels = torch.as_tensor(np.ascontiguousarray(videos) if is_numpy else videos)
        return list(pixels) if pixels.ndim == 5 else [pixels]
    if _is_list_of_frames(videos):
        return [_stacked(videos)]
    if isinstance(videos, (list, tuple)):
        parts = [item for item in videos if not _is_empty(item)]
        if parts:
            return [video for item in parts for video in flat_videos(item)]
    raise InputError(f"{shown(videos)} is no video; give a path, a URL, bytes or an array")


def check_one_video(video: Any) -> None:
    """What a content block names: a list there is spread out by transformers.

    Raises:
        InputError: It is no video, or several.
    """
    if (n_videos := len(flat_videos(video))) != 1:
        raise InputError(f"a content block has {n_videos} videos; give each one a block of its own")


def video_identity(video: Video, metadata: Mapping[str, Any] | None) -> Hashable:
    """What two videos that are there at once have in common only if they are the same.

    Views of one memory may differ in their strides alone: the first half of a video and every
    second frame of it have one address and one shape.

    Args:
        video: One of `flat_videos`.
        metadata: Facts of an array; their contents count, in full.
    """
    if not isinstance(video, Tensor):
        return video if isinstance(video, str) else id(video)
    view = (video.device, video.data_ptr(), video.dtype, video.shape, video.stride())
    return view, pickle.dumps([(metadata or {}).get(name) for name in _TIMES])


def same_nesting(videos: Any, replacements: Iterator[Tensor]) -> list[Any]:
    """The replacements, one a video, in lists as the videos were; some processors count per prompt.

    Args:
        videos: What `flat_videos` was given.
        replacements: What takes the place of each of its videos.
    """
    if not isinstance(videos, (list, tuple)) or _is_list_of_frames(videos):
        return [next(replacements) for _ in flat_videos(videos)]
    nested: list[Any] = []
    for item in videos:
        if isinstance(item, (list, tuple)) and not _is_list_of_frames(item):
            nested.append(same_nesting(item, replacements))
        else:
            nested += [next(replacements) for _ in flat_videos(item)]
    return nested


def _is_empty(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and not item


def _is_list_of_frames(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and all(_is_frame(part) for part in item)


def _is_frame(item: Any) -> bool:
    is_array = isinstance(item, (np.ndarray, Tensor))
    if isinstance(item, (str, os.PathLike)):
        return _is_image_file(os.fspath(item))
    return isinstance(item, PIL.Image.Image) or (is_array and item.ndim == 3)


def _is_image_file(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def _stacked(frames: list[Any] | tuple[Any, ...]) -> Tensor:
    """``(n, h, w, 3)`` pixels of a video given frame by frame."""
    pictures = ImagePictures(frames, path=f"<list of {len(frames)} frames>")
    return torch.stack([pictures[row] for row in range(len(pictures))])


@contextmanager
def opened(
    video: Video,
    metadata: Mapping[str, Any] | None,
    *,
    decoder: str,
    limits: DownloadLimits | None,
) -> Iterator[VideoSource]:
    """Open a video of any shape.

    Args:
        video: One of `flat_videos`.
        metadata: Facts of an array; a file brings its own.
        decoder: For files, see `keyscore_plugin.open_video`.
        limits: What a URL may cost; None refuses URLs.

    Raises:
        VideoError: It cannot be read.
        InputError: The times of an array are unknown, or it is a URL and none is allowed.
    """
    if isinstance(video, Tensor):
        yield ArrayVideo(video, metadata)
    elif not isinstance(video, str):
        with open_video(video, decoder) as source:
            yield source
    else:
        with open_anywhere(video, decoder=decoder, limits=limits, allowed_by=ALLOWED_BY) as source:
            yield source
