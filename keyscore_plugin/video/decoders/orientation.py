"""Which way up a video is shown: the display matrix that its container or its codec gives."""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.side_data import side_data

Pixels = npt.NDArray[np.uint8]

_ONE_DEGREE = 0.01746  # its tangent: FFmpeg's own tolerance for a quarter turn


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes the picture that is shown out of the stored one. Mirrored first, then turned.

    Attributes:
        mirrored: Whether left and right change places.
        rotation: Clockwise degrees: 0, 90, 180 or 270.
    """

    mirrored: bool = False
    rotation: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) as shown of a stored picture, and as stored of one that is shown."""
        return (width, height) if self.rotation % 180 else (height, width)

    def show(self, stored: Pixels) -> Pixels:
        """``(height, width, 3)`` the right way up."""
        seen = stored[:, ::-1] if self.mirrored else stored
        return np.ascontiguousarray(np.rot90(seen, k=-self.rotation // 90))


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation | None:
    """The orientation that FFmpeg shows this frame in; None if no mirror and quarter turns make it.

    A scale in the matrix is left aside, as FFmpeg does.
    """
    matrix = side_data(frame, "DISPLAYMATRIX")
    if matrix is None:  # or it cannot be told; PyAV's own angle counts counter-clockwise
        return Orientation(rotation=-round(frame.rotation / 90) * 90 % 360)
    # ISO/IEC 14496-12, 6.2.2: (x, y), down and to the right, goes to (ax + cy, bx + dy).
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if max(abs(b), abs(c)) < _ONE_DEGREE * min(abs(a), abs(d)):
        mirrored = (a < 0) != (d < 0)
        return Orientation(mirrored, 0 if d > 0 else 180)
    if max(abs(a), abs(d)) < _ONE_DEGREE * min(abs(b), abs(c)):
        mirrored = (b < 0) == (c < 0)
        return Orientation(mirrored, 90 if c < 0 else 270)
    return None
