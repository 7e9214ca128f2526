"""Frames of FFmpeg's decoders to upright RGB."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from keyscore_plugin.video.decoders.hdr import ToneMap
from keyscore_plugin.video.decoders.orientation import Pixels
from keyscore_plugin.video.decoders.picture import Picture

# swscale's number of matrix coefficients (ITU-T H.273); unspecified is BT.601, as for the other
# decoders. Those of BT.2020 for constant luminance (10) it takes for the others of BT.2020.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
_BT601, _BT2020 = 5, 9


class RgbConverter:
    """Converts the frames of one video, with the scaler of FFmpeg.

    What is not scaled has the bits of ``ffmpeg -i VIDEO -pix_fmt rgb24``. A frame of another size
    than the first one is scaled to that of the first.

    Args:
        picture: What the video's first frame tells.
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
        # Light is averaged after it is mapped, as in FFmpeg's chain, but for what twice the size
        # that is wanted hides: to map all pixels of a thumbnail's frame takes a tenth of a second.
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
        """The frame as RGB, and its matrix ``unknown`` where swscale does not know it."""
        is_scaled = (height, width) != (self._picture.height, self._picture.width)
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=to,
            src_colorspace=_MATRICES.get(frame.colorspace, unknown),
            dst_colorspace=_BT601,  # PyAV applies the source's matrix only where the two differ
            src_color_range=_color_range(frame),
            # Bilinear widens its kernel to an average when it shrinks; bicubic is what FFmpeg
            # raises the chroma of a frame with that is not scaled.
            interpolation=Interpolation.BILINEAR if is_scaled else Interpolation.BICUBIC,
        )


def _color_range(frame: VideoFrame) -> ColorRange:
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG
