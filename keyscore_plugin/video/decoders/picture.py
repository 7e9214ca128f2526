"""The facts of a video's pictures, by its first frame, and the conversion to upright RGB."""

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.decoding import side_data
from keyscore_plugin.video.decoders.hdr import Pixels, ToneMap, tone_map_of

_ONE_DEGREE = 0.01746  # its tangent: FFmpeg's own tolerance for a quarter turn
# swscale's number of matrix coefficients (ITU-T H.273); unspecified is BT.601, as for the other
# decoders. Constant luminance (10) is taken for the other matrix of BT.2020, as swscale does.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
_BT601, _BT2020 = 5, 9


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is shown the right way up: mirrored first, then rotated.

    Attributes:
        mirrored: Whether left and right are swapped.
        rotation: Clockwise degrees: 0, 90, 180 or 270.
    """

    mirrored: bool = False
    rotation: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) as shown from those as stored, and the other way round."""
        return (width, height) if self.rotation % 180 else (height, width)

    def show(self, stored: Pixels) -> Pixels:
        """``(height, width, 3)`` the right way up."""
        seen = stored[:, ::-1] if self.mirrored else stored
        return np.ascontiguousarray(np.rot90(seen, k=-self.rotation // 90))


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation | None:
    """The orientation in which FFmpeg shows this frame.

    None if it is neither a mirror nor a quarter turn. A scale in the matrix is ignored, as FFmpeg
    does.
    """
    matrix = side_data(frame, "DISPLAYMATRIX")
    if matrix is None:  # missing, or PyAV does not return it; its own angle is counter-clockwise
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


@dataclass(frozen=True, slots=True)
class Picture:
    """How decoded frames become the pictures that are shown.

    Attributes:
        width: Width of the first decoded frame in pixels, as stored.
        height: Height of the first decoded frame in pixels, as stored.
        orientation: Orientation in which it is shown.
        has_odd_matrix: Whether its display matrix is neither a mirror nor a quarter turn; FFmpeg
            turns such a picture in its frame, and cuts its corners.
        tone_map: Tone map from HDR to an ordinary screen; None for a video that is not HDR.
        notes: Facts that a reader must know.
    """

    width: int
    height: int
    orientation: Orientation
    has_odd_matrix: bool
    tone_map: ToneMap | None
    notes: tuple[str, ...]

    def refused_by(self, decoder: str) -> str | None:
        """Why a decoder that can only rotate pictures cannot show it; None if it can."""
        if self.orientation.mirrored or self.has_odd_matrix:
            return f"its display matrix is not a quarter turn, which is all that {decoder} shows"
        if self.tone_map is not None:
            return f"it is HDR ({self.tone_map.curve}), which {decoder} does not tone-map"
        return None


def picture_of(frame: VideoFrame, stream: VideoStream) -> Picture:
    """Read the facts of the pictures from the first frame.

    Args:
        frame: First frame that decodes.
        stream: Stream of the frame, whose decoder returned it.
    """
    notes = []
    orientation = orientation_of(frame)
    if orientation is None:
        notes.append("it is shown as stored: its matrix is neither a mirror nor a quarter turn")
    tone_map = tone_map_of(frame, stream.codec_context)
    if tone_map is not None:
        notes.append(tone_map.note)
    if stream.sample_aspect_ratio not in (None, 0, 1):
        notes.append(_pixel_note(stream.sample_aspect_ratio, orientation or UPRIGHT))
    if frame.interlaced_frame:
        notes.append("it is interlaced: both fields of a frame are shown as one picture")
    return Picture(
        width=frame.width,
        height=frame.height,
        orientation=orientation or UPRIGHT,
        has_odd_matrix=orientation is None,
        tone_map=tone_map,
        notes=tuple(notes),
    )


def _pixel_note(stored: Fraction, orientation: Orientation) -> str:
    shown = 1 / stored if orientation.rotation % 180 else stored
    ratio = f"{shown.numerator}:{shown.denominator}"
    return f"its pixels are {ratio}, not square: they are shown unstretched"


class RgbConverter:
    """Converts the frames of one video to upright RGB, with the scaler of FFmpeg.

    A frame that is not scaled has the bits of ``ffmpeg -i VIDEO -pix_fmt rgb24``. A frame of
    another size than the first one is scaled to that of the first.

    Args:
        picture: Facts of the video's first frame.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._scaler = VideoReformatter()
        self._last_scaler = VideoReformatter()

    def convert(self, frame: VideoFrame, size: tuple[int, int]) -> Pixels:
        """``(height, width, 3)`` of the given (height, width)."""
        height, width = self._picture.orientation.size(*size)
        tone_map = self._picture.tone_map
        if tone_map is None:
            rgb = self._scale(frame, height, width, to="rgb24", unknown=_BT601)
        else:
            rgb = self._tone_mapped(frame, height, width, tone_map)
        return self._picture.orientation.show(np.asarray(rgb.to_ndarray(), dtype=np.uint8))

    def _tone_mapped(
        self, frame: VideoFrame, height: int, width: int, tone_map: ToneMap
    ) -> VideoFrame:
        # Light is averaged after it is mapped, as in FFmpeg's chain, but only from twice the size
        # wanted: to map all pixels of a thumbnail's frame takes a tenth of a second.
        stored = self._picture
        inner = min(2 * height, stored.height), min(2 * width, stored.width)
        coded = self._scale(frame, *inner, to="rgb48le", unknown=_BT2020).to_ndarray()
        mapped = tone_map.apply(np.asarray(coded, dtype=np.uint16))
        return self._last_scaler.reformat(
            VideoFrame.from_ndarray(mapped, format="rgb24"), width=width, height=height
        )

    def _scale(
        self, frame: VideoFrame, height: int, width: int, *, to: str, unknown: int
    ) -> VideoFrame:
        """The frame as RGB; its matrix is taken as ``unknown`` where swscale does not know it."""
        is_scaled = (height, width) != (self._picture.height, self._picture.width)
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=to,
            src_colorspace=_MATRICES.get(frame.colorspace, unknown),
            dst_colorspace=_BT601,  # PyAV applies the source's matrix only where the two differ
            src_color_range=_color_range(frame),
            # Bilinear widens its kernel to an average when it shrinks; with bicubic, FFmpeg raises
            # the chroma of a frame that is not scaled.
            interpolation=Interpolation.BILINEAR if is_scaled else Interpolation.BICUBIC,
        )


def _color_range(frame: VideoFrame) -> ColorRange:
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG
