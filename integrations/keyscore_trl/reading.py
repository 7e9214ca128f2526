"""Frames of video files for training: a few for the model that chooses, any for the answerer."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from keyscore_plugin import VideoSource, get_sampler, open_video
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import split_frames
from keyscore_trl.prompts import ShownVideo

_KEPT = 64  # videos whose frames are kept: those of one step of training


class UniformReader:
    """Function that reads uniform frames of a video file, as ``read=`` of `VideoPrompts`.

    The frames of the last 64 videos are kept in memory, because every completion of a group asks
    for the same ones.

    Args:
        num_frames: Number of frames; all of a video that has fewer.
        decoder: Decoder, as `keyscore_plugin.open_video` takes it.
    """

    def __init__(self, num_frames: int, *, decoder: str = "auto") -> None:
        self.num_frames = num_frames
        self._decoder = decoder
        self._kept = lru_cache(_KEPT)(self._read)

    def __call__(self, path: str) -> ShownVideo:
        """Read the frames of one video.

        Raises:
            VideoError: The video cannot be read.
        """
        return self._kept(path)

    def _read(self, path: str) -> ShownVideo:
        with open_video(path, decoder=self._decoder) as video:
            selection = get_sampler("uniform")(video, num_frames=self.num_frames)
            return _frames_of(video, selection.indices)


class ChosenReader:
    """Function that reads the frames that the address of a video names, as ``read=``.

    The addresses are paths such as ``"match.mp4#frames=3,40,101"``, with the ``indices`` of
    ``keyscore batch``: the frames are chosen once, before the training. The frames of the last 64
    videos are kept in memory.

    Args:
        decoder: Decoder, as `keyscore_plugin.open_video` takes it.
    """

    def __init__(self, *, decoder: str = "auto") -> None:
        self._decoder = decoder
        self._kept = lru_cache(_KEPT)(self._read)

    def __call__(self, address: str) -> ShownVideo:
        """Read the frames of one video.

        Raises:
            InputError: The address names no frames, or frames that the video does not have.
            VideoError: The video cannot be read.
        """
        return self._kept(address)

    def _read(self, address: str) -> ShownVideo:
        path, given = split_frames(address)
        if given is None:
            raise InputError(
                f"{shown(address)} names no frames; add those of keyscore batch, such as "
                "#frames=3,40,101, or read uniform ones with UniformReader"
            )
        with open_video(path, decoder=self._decoder) as video:
            return _frames_of(video, given(video).indices)


def read_frames(path: str, indices: Sequence[int], *, decoder: str = "auto") -> ShownVideo:
    """Read chosen frames of a video.

    Args:
        path: Video file.
        indices: Rising frame indices.
        decoder: Decoder, as `keyscore_plugin.open_video` takes it.

    Raises:
        VideoError: The video cannot be read.
    """
    with open_video(path, decoder=decoder) as video:
        return _frames_of(video, indices)


def _frames_of(video: VideoSource, indices: Sequence[int]) -> ShownVideo:
    frames = video.read(indices)
    seconds = frames.pts_seconds - video.start_pts_seconds
    return ShownVideo(frames.pixels, seconds.double(), video.duration_seconds)


@lru_cache(_KEPT)
def frame_times(path: str, decoder: str = "auto") -> tuple[Tensor, float]:
    """``(n,)`` float64 times of all frames of a video from its first one, and its duration."""
    with open_video(path, decoder=decoder) as video:
        times = video.pts_seconds() - video.start_pts_seconds
        return times.to(torch.float64), video.duration_seconds
