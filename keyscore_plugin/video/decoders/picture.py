"""What a video's pictures are, by its first frame, and what is done to show them."""

from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.hdr import ToneMap, tone_map_of
from keyscore_plugin.video.decoders.orientation import UPRIGHT, Orientation, orientation_of


@dataclass(frozen=True, slots=True)
class Picture:
    """How decoded frames become the pictures that are shown.

    Attributes:
        width: Pixels of the first decoded frame, as stored.
        height: Pixels of the first decoded frame, as stored.
        orientation: What shows it the right way up.
        has_odd_matrix: Whether its display matrix is no mirror or quarter turn; FFmpeg turns such
            a picture in its frame, and cuts its corners.
        tone_map: What makes it fit for an ordinary screen; None if it is no HDR.
        notes: What a reader must know.
    """

    width: int
    height: int
    orientation: Orientation
    has_odd_matrix: bool
    tone_map: ToneMap | None
    notes: tuple[str, ...]

    def refused_by(self, decoder: str) -> str | None:
        """Why a decoder that turns pictures, and no more, cannot show it; None if it can."""
        if self.orientation.mirrored or self.has_odd_matrix:
            return f"its display matrix is no quarter turn, which is all that {decoder} shows"
        if self.tone_map is not None:
            return f"it is HDR ({self.tone_map.curve}), which {decoder} does not tone-map"
        return None


def picture_of(frame: VideoFrame, stream: VideoStream) -> Picture:
    """Read the facts off the first frame.

    Args:
        frame: The first frame that decodes.
        stream: Its stream, whose decoder gave it.
    """
    notes = []
    orientation = orientation_of(frame)
    if orientation is None:
        notes.append("its display matrix is no mirror or quarter turn: it is shown as stored")
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
