"""Scan a video file once: its frame table from the packets, its look from the first frame."""

from array import array
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError
from keyscore_plugin.video.decoders.container import (
    CODEC_OPTIONS,
    DAMAGED_REMEDY,
    check_size,
    demux,
    ffmpeg_cause,
    open_stream,
)
from keyscore_plugin.video.decoders.decoded import (
    DecodedFrames,
    decode_once,
    has_no_times,
    keyframes_hold,
    must_decode,
)
from keyscore_plugin.video.decoders.decoding import decode_packet
from keyscore_plugin.video.decoders.frame_index import NO_TIME, Bools, FrameTable, Ints, PacketMarks
from keyscore_plugin.video.decoders.picture import Picture, picture_of
from keyscore_plugin.video.decoders.promise import early_end, promised_frames
from keyscore_plugin.video.decoders.streams import StreamChoice, choice_of

_MOST_DELAYED = 16  # frames that a decoder may hold back to the end of the file, by H.264


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What one pass over a file tells.

    Attributes:
        table: Every frame that can be shown.
        stream: The stream that was read.
        picture: What its first frame tells.
        codec: FFmpeg's name of the codec, such as ``h264`` or ``av1``.
        format: FFmpeg's names of the container's format, with commas between them.
        promised_frames: How many the header's duration and rate make, true or not.
        damage: What is wrong with the file, or None.
        notes: What a reader must know.
    """

    table: FrameTable
    stream: StreamChoice
    picture: Picture
    codec: str
    format: str
    promised_frames: float
    damage: str | None
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Packets:
    """What the container says about its video packets, in decode order.

    Arrays, not lists: of a long video the numbers as objects would be most of what a scan takes.
    """

    pts: "array[int]" = field(default_factory=lambda: array("q"))
    dts: "array[int]" = field(default_factory=lambda: array("q"))
    duration: "array[int]" = field(default_factory=lambda: array("q"))
    size: "array[int]" = field(default_factory=lambda: array("q"))
    keyframe: bytearray = field(default_factory=bytearray)
    shown: bytearray = field(default_factory=bytearray)  # 0: cut by an edit list or the file's end
    first_frame: VideoFrame | None = None
    broken_by: str | None = None
    n_corrupt: int = 0  # those the container calls so: parts of them are missing

    def marks(self, *, are_pts: bool) -> PacketMarks:
        """What tells the packets apart."""
        times = self.pts if are_pts else self.dts
        return PacketMarks(np.array(times), np.array(self.size), are_pts)


def scan(path: str, number: int | None = None) -> Scan:
    """Read all packets of a video, decode its first frame, and build the frame table.

    No header is trusted for a count, a duration or a frame rate. Costs milliseconds a minute of
    video, except where packets do not tell the frames apart: those videos are decoded once.

    Args:
        path: A local video file.
        number: Which of its video streams, counted from 0; None for the one FFmpeg takes.

    Raises:
        VideoError: The file is missing, is no video, has no such stream, or holds no frame that
            decodes.
    """
    container, stream = open_stream(path, number)
    with closing(container):
        packets = _demux(container, stream)
        frame = packets.first_frame
        if frame is None or not any(packets.shown):
            cause = packets.broken_by or "no frame of its video stream decodes"
            raise VideoError(path, cause, DAMAGED_REMEDY)
        check_size(path, frame.width, frame.height)
        table, notes = _build_table(path, container, stream, packets)
        choice, picture = choice_of(container, stream), picture_of(frame, stream)
        notes += [*choice.notes, *picture.notes]
        damaged = f"{packets.n_corrupt} of its {len(packets.pts)} packets are damaged"
        if packets.n_corrupt:
            notes.append(damaged)
        if packets.broken_by:
            notes.append(f"the file ends early or is damaged: {packets.broken_by}")
        elif stream.frames > len(packets.pts):
            notes.append(f"the header promises {stream.frames} frames, {len(table)} can be shown")
        elif note := early_end(container, stream, table):
            notes.append(note)
        return Scan(
            table=table,
            stream=choice,
            picture=picture,
            codec=stream.codec_context.codec.canonical_name,
            format=container.format.name,
            promised_frames=promised_frames(container, stream),
            damage=packets.broken_by or (damaged if packets.n_corrupt else None),
            notes=tuple(notes),
        )


def _demux(container: InputContainer, stream: VideoStream) -> _Packets:
    """List the packets, decoding until the first frame comes out."""
    found = _Packets()
    last_is_cut = False
    # The container's options hold while it is opened, not for the decoder that we open here.
    stream.codec_context.options = dict(CODEC_OPTIONS)
    try:
        for packet in demux(container, stream):
            if not packet.size:  # the end
                continue
            if found.first_frame is None:
                found.first_frame = next(iter(decode_packet(stream.codec_context, packet)), None)
            found.pts.append(NO_TIME if packet.pts is None else packet.pts)
            found.dts.append(NO_TIME if packet.dts is None else packet.dts)
            found.duration.append(max(packet.duration or 0, 0))
            found.size.append(packet.size)
            found.keyframe.append(packet.is_keyframe)
            found.shown.append(not packet.is_discard)
            last_is_cut = packet.is_corrupt
            found.n_corrupt += packet.is_corrupt
    except av.FFmpegError as error:
        found.broken_by = ffmpeg_cause(error)
    if found.first_frame is None:
        found.first_frame = next(iter(decode_packet(stream.codec_context, None)), None)
    if last_is_cut:
        found.shown[-1] = 0
        found.broken_by = "its last frame is cut off"
        found.n_corrupt -= 1
    return found


def _build_table(
    path: str, container: InputContainer, stream: VideoStream, packets: _Packets
) -> tuple[FrameTable, list[str]]:
    """The table from the packets where they tell the frames apart, else from the frames."""
    pts = np.array(packets.pts)
    shown = np.array(packets.shown, dtype=np.bool_)
    keyframe = np.array(packets.keyframe, dtype=np.bool_)
    if _are_unique(pts) and not must_decode(container, stream, pts, keyframe):
        first = packets.first_frame.pts if packets.first_frame else None
        decodes = shown if first is None else shown & (pts >= first)
        n_lead = int(shown.sum() - decodes.sum())
        notes = [f"{n_lead} frames before the first that decodes are left out"] if n_lead else []
        if decodes.any():
            rows = np.flatnonzero(decodes)
            rows = rows[np.argsort(pts[rows])]
            return _table_from_packets(stream, packets, rows, keyframe[rows]), notes
    frames = decode_once(path, choice_of(container, stream).number)
    if not len(frames):
        raise VideoError(path, "no frame of its video stream decodes", DAMAGED_REMEDY)
    if frames.are_told_by(pts):
        return _table_from_packets(stream, packets, frames.position, frames.keyframe), []
    return _table_from_frames(container, stream, packets, frames)


def _table_from_packets(
    stream: VideoStream, packets: _Packets, position: Ints, keyframe: Bools
) -> FrameTable:
    """A table for frames that are known by the times of their packets."""
    pts, dts = np.array(packets.pts)[position], np.array(packets.dts)[position]
    last = packets.duration[position[-1]]
    keys = _believed(stream, packets, keyframe)
    told = np.array(packets.keyframe, dtype=np.bool_)[position]
    return FrameTable(
        pts=pts,
        end=int(pts[-1]) + (last or _usual_gap(pts, stream)),
        keyframe=keys,
        position=position.astype(np.int64),
        seek_pts=np.where(dts == NO_TIME, pts, np.minimum(dts, pts)),
        time_base=_time_base(stream),
        seekable=True,
        packets=packets.marks(are_pts=True),
        keys_as_told=np.array_equal(keys, told),
    )


def _table_from_frames(
    container: InputContainer, stream: VideoStream, packets: _Packets, frames: DecodedFrames
) -> tuple[FrameTable, list[str]]:
    """A table for frames that are known by the places of their packets, or by counting."""
    pts, notes = _times(container, stream, frames)
    dts = np.array(packets.dts)
    seekable = _are_unique(dts) and _are_unique(frames.position)
    if not seekable:
        notes.append("its frames are found by counting from the first one, which takes time")
    position = frames.position if seekable else np.arange(len(frames))
    table = FrameTable(
        pts=pts,
        end=int(pts[-1]) + _usual_gap(pts, stream),
        keyframe=_believed(stream, packets, frames.keyframe),
        position=position,
        seek_pts=dts[position] if seekable else pts,
        time_base=_time_base(stream),
        seekable=seekable,
        packets=packets.marks(are_pts=False),
        keys_as_told=False,
    )
    return table, notes


def _times(
    container: InputContainer, stream: VideoStream, frames: DecodedFrames
) -> tuple[Ints, list[str]]:
    """Rising ticks of the frames, and what a reader must know of them."""
    gap = _nominal_gap(stream)
    found = None if has_no_times(container) else frames.times(gap=gap)
    if found is None:
        rate = 1 / (gap * _time_base(stream))
        count = np.arange(len(frames), dtype=np.int64)
        return count * gap, [f"the file holds no usable times; {rate} fps is assumed"]
    pts, n_reckoned = found
    if n_reckoned <= _MOST_DELAYED:
        return pts, []
    return pts, [f"times of {n_reckoned} of {len(pts)} frames are not in the file, but reckoned"]


def _believed(stream: VideoStream, packets: _Packets, keyframe: Bools) -> Bools:
    """The keyframes; the first frame alone where none can be believed to be one."""
    first = packets.first_frame
    if first is None or keyframes_hold(stream.codec_context.codec, first, keyframe):
        return keyframe
    alone: Bools = np.arange(len(keyframe)) == 0
    return alone


def _are_unique(times: Ints) -> bool:
    """Whether there is a time for every packet, and no other packet has it."""
    return NO_TIME not in times and len(np.unique(times)) == len(times)


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1)


def _nominal_gap(stream: VideoStream) -> int:
    """Ticks between frames by the header; 25 fps where it is silent. At least one."""
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return max(1, round(1 / (rate * _time_base(stream))))


def _usual_gap(pts: Ints, stream: VideoStream) -> int:
    """Ticks a frame usually lasts."""
    return int(np.median(np.diff(pts))) if len(pts) > 1 else _nominal_gap(stream)
