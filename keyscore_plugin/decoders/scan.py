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

from keyscore_plugin.decoders.container import (
    CODEC_OPTIONS,
    DAMAGED_REMEDY,
    check_size,
    demux,
    ffmpeg_cause,
    open_stream,
)
from keyscore_plugin.decoders.promise import early_end, promised_frames
from keyscore_plugin.decoders.table import Bools, FrameTable, Ints
from keyscore_plugin.decoders.walk import decode_all, decode_packet, set_up
from keyscore_plugin.errors import VideoError

_NO_TIME = -(2**63)  # FFmpeg's AV_NOPTS_VALUE: no time can be this
_HIDDEN_FRAME_CODECS = {"vp8", "theora"}  # some packets hold a reference that is never shown


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What one pass over a file tells.

    Attributes:
        table: Every frame that can be shown.
        width: Pixels of a decoded frame, before rotation.
        height: Pixels of a decoded frame, before rotation.
        rotation: Clockwise degrees that show the video upright: 0, 90, 180 or 270.
        codec: FFmpeg's name of the codec, such as ``h264`` or ``av1``.
        format: FFmpeg's names of the container's format, with commas between them.
        promised_frames: How many the header's duration and rate make, true or not.
        damage: What is wrong with the file, or None.
        notes: What a reader must know.
    """

    table: FrameTable
    width: int
    height: int
    rotation: int
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
    keyframe: bytearray = field(default_factory=bytearray)
    shown: bytearray = field(default_factory=bytearray)  # 0: cut by an edit list or the file's end
    first_frame: VideoFrame | None = None
    broken_by: str | None = None
    n_corrupt: int = 0  # those the container calls so: parts of them are missing

    def tell_frames_apart(self) -> bool:
        """Whether every packet has a pts of its own."""
        times = np.array(self.pts)
        return _NO_TIME not in times and len(np.unique(times)) == len(times)


def scan(path: str) -> Scan:
    """Read all packets of a video, decode its first frame, and build the frame table.

    No header is trusted for a count, a duration or a frame rate. Costs milliseconds a minute of
    video, except where packets do not tell the frames apart: those videos are decoded once.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that decodes.
    """
    container, stream = open_stream(path)
    with closing(container):
        packets = _demux(container, stream)
        frame = packets.first_frame
        if frame is None or not any(packets.shown):
            cause = packets.broken_by or "no frame of its video stream decodes"
            raise VideoError(path, cause, DAMAGED_REMEDY)
        check_size(path, frame.width, frame.height)
        table, notes = _build_table(path, container, stream, packets)
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
            width=frame.width,
            height=frame.height,
            rotation=_rotation(frame),
            codec=stream.codec_context.codec.canonical_name,
            format=container.format.name,
            promised_frames=promised_frames(container, stream),
            damage=packets.broken_by or (damaged if packets.n_corrupt else None),
            notes=tuple(notes),
        )


def _rotation(frame: VideoFrame) -> int:
    """Clockwise degrees, a multiple of 90, of the frame's display matrix."""
    if abs(frame.rotation) > 360:  # what PyAV makes of a matrix that is not a rotation
        return 0
    return -round(frame.rotation / 90) * 90 % 360  # FFmpeg counts counter-clockwise


def _demux(container: InputContainer, stream: VideoStream) -> _Packets:
    """List the packets, decoding until the first frame comes out."""
    found = _Packets()
    last_is_cut = False
    # The container's options hold while it is opened, not for the decoder that we open here.
    stream.codec_context.options = dict(CODEC_OPTIONS)
    try:
        for packet in demux(container, stream):
            if found.first_frame is None:
                data = packet if packet.size else None  # the empty last one flushes the decoder
                found.first_frame = next(iter(decode_packet(stream.codec_context, data)), None)
            if packet.size:
                found.pts.append(_NO_TIME if packet.pts is None else packet.pts)
                found.dts.append(_NO_TIME if packet.dts is None else packet.dts)
                found.duration.append(max(packet.duration or 0, 0))
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
    pts = np.array(packets.pts if packets.tell_frames_apart() else [], dtype=np.int64)
    shown = np.array(packets.shown, dtype=np.bool_)
    codec = stream.codec_context.name
    packed = codec == "mpeg4" and container.format.name == "avi"  # DivX: two frames a packet
    if len(pts) and not packed and codec not in _HIDDEN_FRAME_CODECS:
        first = packets.first_frame.pts if packets.first_frame else None
        decodes = shown if first is None else shown & (pts >= first)
        n_lead = int(shown.sum() - decodes.sum())
        notes = [f"{n_lead} frames before the first that decodes are left out"] if n_lead else []
        if decodes.any():
            return _table_from_packets(stream, packets, pts, decodes), notes
    frames = _decode_times(path)
    times = {time for time, _ in frames if time is not None}
    if frames and len(times) == len(frames) and times <= set(pts.tolist()):
        return _table_from_packets(stream, packets, pts, np.isin(pts, list(times))), []
    return _table_from_frames(path, stream, frames)


def _table_from_packets(
    stream: VideoStream, packets: _Packets, pts: Ints, shown: Bools
) -> FrameTable:
    rows = np.flatnonzero(shown)
    rows = rows[np.argsort(pts[rows])]
    dts = np.array(packets.dts)
    shown_pts = pts[rows]
    return FrameTable(
        pts=shown_pts,
        end=int(shown_pts[-1]) + (packets.duration[rows[-1]] or _usual_gap(shown_pts, stream)),
        keyframe=np.array(packets.keyframe, dtype=np.bool_)[rows],
        position=rows.astype(np.int64),
        seek_pts=np.where(dts == _NO_TIME, pts, np.minimum(dts, pts))[rows],
        time_base=_time_base(stream),
        seekable=True,
    )


def _table_from_frames(
    path: str, stream: VideoStream, frames: list[tuple[int | None, bool]]
) -> tuple[FrameTable, list[str]]:
    """A table for frames that must be found by counting."""
    if not frames:
        raise VideoError(path, "no frame of its video stream decodes", DAMAGED_REMEDY)
    notes = []
    count = np.arange(len(frames), dtype=np.int64)
    times = [time for time, _ in frames if time is not None]
    pts = np.array(times, dtype=np.int64)
    if len(times) < len(frames) or (np.diff(pts) <= 0).any():
        tick = _nominal_gap(stream)
        pts = count * tick
        notes = [
            f"the file holds no usable times; {1 / (tick * _time_base(stream))} fps is assumed"
        ]
    table = FrameTable(
        pts=pts,
        end=int(pts[-1]) + _usual_gap(pts, stream),
        keyframe=np.array([is_key for _, is_key in frames]),
        position=count,
        seek_pts=pts,
        time_base=_time_base(stream),
        seekable=False,
    )
    return table, notes


def _decode_times(path: str) -> list[tuple[int | None, bool]]:
    """Pts and keyframe flag of every frame that comes out of the decoder, in display order."""
    container, stream = open_stream(path)
    with closing(container):
        set_up(stream.codec_context, "rough")
        return [(f.pts, bool(f.key_frame)) for f in decode_all(container, stream)]


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1)


def _nominal_gap(stream: VideoStream) -> int:
    """Ticks between frames by the header; 25 fps where it is silent. At least one."""
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return max(1, round(1 / (rate * _time_base(stream))))


def _usual_gap(pts: Ints, stream: VideoStream) -> int:
    """Ticks a frame usually lasts."""
    return int(np.median(np.diff(pts))) if len(pts) > 1 else _nominal_gap(stream)
