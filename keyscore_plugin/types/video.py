"""The facts of a video: what is known of it before its frames are decoded."""

import math
from dataclasses import dataclass
from fractions import Fraction

from keyscore_plugin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """The facts of an open video. `VideoSource` has each of them under its own name, too.

    Attributes:
        path: Name of the video, as the caller gave it.
        decoder: Name of the decoder, a key of `keyscore_plugin.registries.DECODERS`; ``"array"`` or
            ``"images"`` for pictures.
        stream: Number of the stream among the video streams of the file, from 0.
        start_pts_seconds: Pts of the video's first frame; in a part of a video, that of the whole.
        duration_seconds: Seconds from the first frame's start to the last frame's end.
        average_fps: Mean frame rate, n_frames / duration.
        n_frames: Number of frames in the video.
        n_frames_counted: True when the frames were counted, False when estimated.
        width: Width of a frame in pixels, after rotation.
        height: Height of a frame in pixels, after rotation.
        rotation: Clockwise degrees that were applied to show the video upright: 0, 90, 180 or 270.
        mirrored: Whether left and right were swapped before the rotation.

    Raises:
        InputError: The video has no frame, no pixel or no duration.
    """

    path: str
    decoder: str
    stream: int = 0
    start_pts_seconds: float
    duration_seconds: float
    average_fps: Fraction
    n_frames: int
    n_frames_counted: bool = True
    width: int
    height: int
    rotation: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if min(self.n_frames, self.width, self.height) < 1:
            raise InputError(
                f"VideoFacts needs one frame and one pixel or more, got {self.n_frames} frames of "
                f"{self.width} x {self.height} pixels"
            )
        if not 0 < self.duration_seconds < math.inf:
            raise InputError(
                f"VideoFacts.duration_seconds must be positive and finite, got "
                f"{self.duration_seconds}"
            )
