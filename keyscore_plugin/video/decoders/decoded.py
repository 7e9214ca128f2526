"""Decode a whole video once, where its packets do not say which frames they show, and when."""

from array import array
from bisect import bisect_left
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.container import open_stream
from keyscore_plugin.video.decoders.decoding import decode_all, label_frames, place_of, set_up
from keyscore_plugin.video.decoders.frame_index import NO_TIME, Bools, Ints

# These formats store when each frame is shown. Others (AVI, ASF, MXF, MPEG-PS) store when it is
# decoded, or less, and FFmpeg makes up the rest.
_TIMED_FORMATS = {"flv", "matroska", "mov", "mpegts", "nut", "ogg"}
_NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
_HIDDEN_FRAME_CODECS = {"vp8", "theora"}  # some packets hold a reference that is never shown
_STILLS = {"png"}  # no frame builds on another, which FFmpeg does not say: apng shares its entry
# Of the codecs that do not reorder, these mark their keyframes truly.
_HONEST_CODECS = {"ffv1", "libdav1d", "snow", "theora", "vp8", "vp9"}


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrames:
    """Every frame that comes out of the decoder, in the order it is shown.

    Attributes:
        pts: ``(n,)`` presentation ticks from the decoder, `NO_TIME` where a frame has none.
        dts: ``(n,)`` decoding times of the packets that released the frames, or `NO_TIME`.
        keyframe: ``(n,)`` flags of the decoder.
        position: ``(n,)`` places of the frames' packets among all video packets of the file.
    """

    pts: Ints
    dts: Ints
    keyframe: Bools
    position: Ints

    def __len__(self) -> int:
        return len(self.pts)

    def are_identified_by(self, packet_pts: Ints) -> bool:
        """Whether the pts rise, and each is that of the frame's own packet and of no other."""
        return (
            rise(self.pts)
            and rise(np.sort(packet_pts))
            and bool((self.position >= 0).all())
            and np.array_equal(packet_pts[self.position], self.pts)
        )

    def times(self, *, gap: int) -> tuple[Ints, int] | None:
        """Rising ticks at which the frames are shown: FFmpeg's best guesses, as far as they rise.

        Args:
            gap: Ticks between frames, where nothing in the file gives them.

        Returns:
            ``(n,)`` ticks, and the number of those that are interpolated. None where most guesses
            do not rise, or where ticks are too coarse to distinguish the frames.
        """
        guesses = _best_guesses(self.pts, self.dts)
        known = np.flatnonzero(guesses != NO_TIME)
        rows = known[_longest_rise(guesses[known])]
        if not len(rows) or 2 * len(rows) <= len(known):
            return None
        times = np.array(_fill(rows.tolist(), guesses[rows].tolist(), len(self), gap=gap))
        return (times, len(self) - len(rows)) if rise(times) else None


def must_decode(container: InputContainer, stream: VideoStream, pts: Ints, keyframe: Bools) -> bool:
    """Whether only the decoder can say which frame a packet shows, and where it can start.

    Args:
        container: The open file.
        stream: Video stream of the file, whose decoder has begun.
        pts: ``(n_packets,)`` times of the packets in the order of the file, all different.
        keyframe: ``(n_packets,)`` flags of the container.
    """
    codec = stream.codec_context.codec
    if stands_alone(codec) or len(pts) < 2:
        return False
    if has_no_times(container) or stream.codec_context.name in _HIDDEN_FRAME_CODECS:
        return True
    # A container that calls every frame a keyframe, or none, does not know.
    if keyframe.all() or not keyframe.any():
        return True
    if not codec.reorder:
        return False
    # Times that rise as the packets come are not those of a video with B-frames.
    is_timed = not _TIMED_FORMATS.isdisjoint(container.format.name.split(","))
    return not is_timed or (stream.codec_context.has_b_frames and rise(pts))


def keyframes_hold(codec: av.Codec, first_frame: VideoFrame, keyframe: Bools) -> bool:
    """Whether the frames that are marked as keyframes can be trusted to be keyframes.

    They cannot where the decoder marks none, not even its first frame, nor where a codec whose
    frames build on each other marks all of them.
    """
    if stands_alone(codec) or codec.reorder or codec.name in _HONEST_CODECS:
        return True
    return bool(first_frame.key_frame) and not keyframe.all()


def has_no_times(container: InputContainer) -> bool:
    """Whether the format stores a row of pictures and no times."""
    return bool(container.format.flags & _NO_TIMESTAMPS)


def stands_alone(codec: av.Codec) -> bool:
    """Whether no frame of this codec builds on another."""
    return codec.intra_only or codec.name in _STILLS


def decode_once(path: str, number: int) -> DecodedFrames:
    """Decode a whole video and keep the facts of each frame, not the pictures.

    Args:
        path: Path of a local video file.
        number: Number of one of its video streams, counted from 0.
    """
    try:
        return _decode(path, number, careful=False)
    except av.FFmpegError:  # several threads lose good frames near one that does not decode
        return _decode(path, number, careful=True)


def _decode(path: str, number: int, *, careful: bool) -> DecodedFrames:
    pts, dts, position = array("q"), array("q"), array("q")
    keyframe = bytearray()
    container, stream = open_stream(path, number)
    with closing(container):
        set_up(stream.codec_context, "rough", careful=careful)
        label_frames(stream.codec_context)
        for frame in decode_all(container, stream, strict=not careful):
            pts.append(NO_TIME if frame.pts is None else frame.pts)
            dts.append(NO_TIME if frame.dts is None else frame.dts)
            place = place_of(frame)
            position.append(-1 if place is None else place)
            keyframe.append(frame.key_frame)
    return DecodedFrames(
        np.array(pts), np.array(dts), np.array(keyframe, dtype=np.bool_), np.array(position)
    )


def _best_guesses(pts: Ints, dts: Ints) -> Ints:
    """The time of each frame as FFmpeg guesses it (guess_correct_pts in libavcodec/decode.c).

    It goes by the pts until these have fallen more often than the dts, and then by the dts.
    """
    guesses = []
    n_faulty_pts = n_faulty_dts = 0
    last_pts = last_dts = NO_TIME
    for shown, decoded in zip(pts.tolist(), dts.tolist(), strict=True):
        if decoded != NO_TIME:
            n_faulty_dts += decoded <= last_dts
            last_dts = decoded
        elif shown != NO_TIME:
            last_dts = shown
        if shown != NO_TIME:
            n_faulty_pts += shown <= last_pts
            last_pts = shown
        elif decoded != NO_TIME:
            last_pts = decoded
        by_pts = n_faulty_pts <= n_faulty_dts or decoded == NO_TIME
        guesses.append(shown if by_pts and shown != NO_TIME else decoded)
    return np.array(guesses, dtype=np.int64)


def _longest_rise(times: Ints) -> Ints:
    """Rows of the longest rising part of the times, found by patience sorting."""
    tops: list[int] = []  # the lowest time that ends a rise of each length
    ends: list[int] = []  # its row
    before = np.full(len(times), -1, dtype=np.int64)
    for row, time in enumerate(times.tolist()):
        length = bisect_left(tops, time)
        if tops[length : length + 1] == [time]:
            continue  # of equal times the first counts
        before[row] = ends[length - 1] if length else -1
        tops[length : length + 1], ends[length : length + 1] = [time], [row]
    rows = []
    row = ends[-1] if ends else -1
    while row >= 0:
        rows.append(row)
        row = int(before[row])
    return np.array(rows[::-1], dtype=np.int64)


def _fill(rows: list[int], times: list[int], n_frames: int, *, gap: int) -> list[int]:
    """A time for every frame: the given times, and others at the pace before them, as in ffmpeg.

    Where that pace would pass the next given time, they are spread evenly up to it; after the last
    given time they continue at the usual pace.
    """
    filled = [times[0] - gap * back for back in range(rows[0], -1, -1)]
    pace: float = gap
    for (row, time), (next_row, next_time) in pairwise(zip(rows, times, strict=True)):
        n = next_row - row
        even = (next_time - time) / n
        step = pace if time + pace * (n - 1) < next_time else even
        filled += [time + round(step * k) for k in range(1, n)]
        filled.append(next_time)
        pace = even
    usual = median(after - before for before, after in pairwise(filled)) if rows[-1] else gap
    return filled + [times[-1] + round(usual * k) for k in range(1, n_frames - rows[-1])]


def rise(times: Ints) -> bool:
    """Whether there is a time for every row, later than the one before."""
    return bool((np.diff(times) > 0).all()) and NO_TIME not in times
