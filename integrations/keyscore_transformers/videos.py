"""The videos of a call, in all the forms that transformers takes."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from keyscore_plugin import open_video
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import IMAGE_SUFFIXES, Bytes, Readable

Video = str | Tensor | Bytes | Readable


def flat_videos(videos: Any) -> list[Video]:
    """The videos one after another: paths, URLs, pixels as tensors, and what holds a file's bytes.

    Args:
        videos: Path, URL (``data:`` ones too), bytes, file object, 4D array, list of frames
            (arrays, Pillow images, image files), or lists of these; a 5D array is a batch of
            videos. A conversation of a batch without a video is an empty list.

    Raises:
        InputError: Something is not a video, or it is an image.
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
    """Refuse a content block of several videos: transformers would spread out a list there.

    Raises:
        InputError: The block names no video, or several.
    """
    if (n_videos := len(flat_videos(video))) != 1:
        raise InputError(f"a content block has {n_videos} videos; give each one a separate block")


def same_nesting(videos: Any, replacements: Iterator[Tensor]) -> list[Any]:
    """The replacements in lists nested like the videos; some processors count per prompt.

    Args:
        videos: Videos as `flat_videos` takes them.
        replacements: Replacement of each of its videos, in order.
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
    with open_video(frames, fps=1.0) as video:  # its metadata bring the true rate
        return video.read(range(len(frames))).pixels
