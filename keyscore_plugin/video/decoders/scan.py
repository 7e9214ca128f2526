"""Scan a video file once: its frame index from the packets, its look from the first frame."""

import re
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
    StreamChoice,
    check_size,
    choice_of,
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
from keyscore_plugin.video.decoders.frame_index import NO_TIME, Bools, FrameIndex, Ints, PacketMarks
from keyscore_plugin.video.decoders.picture import Picture, picture_of

_MAX_DELAYED = 16  # frames that a decoder may hold back to the end of the file, by H.264
# Formats that store a duration when the recording ends and no count of frames. For others FFmpeg
# makes up a duration, from the last packet that it finds.
_DURATION_FORMATS = {"matroska", "flv"}
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's tag DURATION
_LEAST_SECONDS = 0.5  # ours: writers round, and differ over how long the last frame lasts
_GAPS = 2  # ours: the container does not say how long the last picture of a slide show lasts


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The result of one pass over a file.

    Attributes:
        index: All frames that can be shown.
        stream: Stream that was read.
        picture: Facts of its first frame.
        codec: FFmpeg's name of the codec, such as ``h264`` or ``av1``.
        format: FFmpeg's names of the container's format, with commas between them.
        header_frames: Number of frames by the header's duration and rate, true or not.
        damage: Cause in words where the file is damaged, or None.
        notes: Facts that a reader must know.
    """

    index: FrameIndex
    stream: StreamChoice
    picture: Picture
    codec: str
    format: str
    header_frames: float
    damage: str | None
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Packets:
    """What the container says about its video packets, in decode order.

    The fields are arrays, not lists: the numbers of a long video would take most of a scan's memory
    as objects.
    """

    pts: "array[int]" = field(default_factory=lambda: array("q"))
    dts: "array[int]" = field(default_factory=lambda: array("q"))
    duration: "array[int]" = field(default_factory=lambda: array("q"))
    size: "array[int]" = field(default_factory=lambda: array("q"))
    keyframe: bytearray = field(default_factory=bytearray)
    shown: bytearray = field(default_factory=bytearray)  # 0: cut by an edit list or the file's end
    first_frame: VideoFrame | None = None
    broken_by: str | None = None
    n_corrupt: int = 0  # packets that the container calls corrupt: parts of them are missing

    def marks(self, *, are_pts: bool) -> PacketMarks:
        """The times and sizes of the packets."""
        times = self.pts if are_pts else self.dts
        return PacketMarks(np.array(times), np.array(self.size), are_pts)


def scan(path: str, number: int | None = None) -> Scan:
    """Read all packets of a video, decode its first frame, and build the frame index.

    No header is trusted for a count, a duration or a frame rate. The scan costs milliseconds a
    minute of video, except where packets do not identify the frames: such a video is decoded once.

    Args:
        path: Path of a local video file.
        number: Number of one of its video streams, counted from 0; None for the one FFmpeg takes.

    Raises:
        VideoError: The file is missing or not a video, does not have this stream, or has no frame
            that decodes.
    """
    container, stream = open_stream(path, number)
    with closing(container):
        packets = _demux(container, stream)
        frame = packets.first_frame
        if frame is None or not any(packets.shown):
            cause = packets.broken_by or "no frame of its video stream decodes"
            raise VideoError(path, cause, DAMAGED_REMEDY)
        check_size(path, frame.width, frame.height)
        index, notes = _build_index(path, container, stream, packets)
        choice, picture = choice_of(container, stream), picture_of(frame, stream)
        notes += [*choice.notes, *picture.notes]
        damaged = f"{packets.n_corrupt} of its {len(packets.pts)} packets are damaged"
        if packets.n_corrupt:
            notes.append(damaged)
        if packets.broken_by:
            notes.append(f"the file ends early or is damaged: {packets.broken_by}")
        if stream.frames > len(packets.pts):
            notes.append(f"the header promises {stream.frames} frames, {len(index)} can be shown")
        elif note := _early_end(container, stream, index):
            notes.append(note)
        return Scan(
            index=index,
            stream=choice,
            picture=picture,
            codec=stream.codec_context.codec.canonical_name,
            format=container.format.name,
            header_frames=_header_frames(container, stream),
            damage=packets.broken_by or (damaged if packets.n_corrupt else None),
            notes=tuple(notes),
        )


def _demux(container: InputContainer, stream: VideoStream) -> _Packets:
    """List the packets, decoding until the first frame comes out."""
    packets = _Packets()
    last_is_cut = False
    # The container's options apply while it is opened, not to the decoder that we open here.
    stream.codec_context.options = dict(CODEC_OPTIONS)
    try:
        for packet in demux(container, stream):
            if not packet.size:  # the end
                continue
            if packets.first_frame is None:
                packets.first_frame = next(iter(decode_packet(stream.codec_context, packet)), None)
            packets.pts.append(NO_TIME if packet.pts is None else packet.pts)
            packets.dts.append(NO_TIME if packet.dts is None else packet.dts)
            packets.duration.append(max(packet.duration or 0, 0))
            packets.size.append(packet.size)
            packets.keyframe.append(packet.is_keyframe)
            packets.shown.append(not packet.is_discard)
            last_is_cut = packet.is_corrupt
            packets.n_corrupt += packet.is_corrupt
    except av.FFmpegError as error:
        packets.broken_by = ffmpeg_cause(error)
    if packets.first_frame is None:
        packets.first_frame = next(iter(decode_packet(stream.codec_context, None)), None)
    if last_is_cut:
        packets.shown[-1] = 0
        packets.broken_by = "its last frame is cut off"
        packets.n_corrupt -= 1
    return packets


def _build_index(
    path: str, container: InputContainer, stream: VideoStream, packets: _Packets
) -> tuple[FrameIndex, list[str]]:
    """The index from the packets where they identify the frames, else from the frames."""
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
            return _index_from_packets(stream, packets, rows, keyframe[rows]), notes
    frames = decode_once(path, choice_of(container, stream).number)
    if not len(frames):
        raise VideoError(path, "no frame of its video stream decodes", DAMAGED_REMEDY)
    if frames.are_identified_by(pts):
        return _index_from_packets(stream, packets, frames.position, frames.keyframe), []
    return _index_from_frames(container, stream, packets, frames)


def _index_from_packets(
    stream: VideoStream, packets: _Packets, position: Ints, keyframe: Bools
) -> FrameIndex:
    """The index of frames that are identified by the times of their packets."""
    pts, dts = np.array(packets.pts)[position], np.array(packets.dts)[position]
    last = packets.duration[position[-1]]
    keys = _trusted(stream, packets, keyframe)
    marked = np.array(packets.keyframe, dtype=np.bool_)[position]
    return FrameIndex(
        pts=pts,
        end=int(pts[-1]) + (last or _usual_gap(pts, stream)),
        keyframe=keys,
        position=position.astype(np.int64),
        seek_pts=np.where(dts == NO_TIME, pts, np.minimum(dts, pts)),
        time_base=_time_base(stream),
        seekable=True,
        packets=packets.marks(are_pts=True),
        keys_as_marked=np.array_equal(keys, marked),
    )


def _index_from_frames(
    container: InputContainer, stream: VideoStream, packets: _Packets, frames: DecodedFrames
) -> tuple[FrameIndex, list[str]]:
    """The index of frames that are identified by the places of their packets, or by counting."""
    pts, notes = _times(container, stream, frames)
    dts = np.array(packets.dts)
    seekable = _are_unique(dts) and _are_unique(frames.position)
    if not seekable:
        notes.append("its frames are found by counting from the first one, which takes time")
    position = frames.position if seekable else np.arange(len(frames))
    index = FrameIndex(
        pts=pts,
        end=int(pts[-1]) + _usual_gap(pts, stream),
        keyframe=_trusted(stream, packets, frames.keyframe),
        position=position,
        seek_pts=dts[position] if seekable else pts,
        time_base=_time_base(stream),
        seekable=seekable,
        packets=packets.marks(are_pts=False),
        keys_as_marked=False,
    )
    return index, notes


def _times(
    container: InputContainer, stream: VideoStream, frames: DecodedFrames
) -> tuple[Ints, list[str]]:
    """Rising ticks of the frames, and notes on them."""
    gap = _nominal_gap(stream)
    times = None if has_no_times(container) else frames.times(gap=gap)
    if times is None:
        rate = 1 / (gap * _time_base(stream))
        count = np.arange(len(frames), dtype=np.int64)
        return count * gap, [f"the file holds no usable times; {rate} fps is assumed"]
    pts, n_reckoned = times
    if n_reckoned <= _MAX_DELAYED:
        return pts, []
    return pts, [f"times of {n_reckoned} of {len(pts)} frames are not in the file, but reckoned"]


def _trusted(stream: VideoStream, packets: _Packets, keyframe: Bools) -> Bools:
    """The keyframes; only the first frame where the others cannot be trusted."""
    first = packets.first_frame
    if first is None or keyframes_hold(stream.codec_context.codec, first, keyframe):
        return keyframe
    alone: Bools = np.arange(len(keyframe)) == 0
    return alone


def _are_unique(times: Ints) -> bool:
    """Whether every packet has a time that no other packet has."""
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


def _early_end(container: InputContainer, stream: VideoStream, index: FrameIndex) -> str | None:
    """A note on a video whose frames end long before its header says, as in a file that was cut."""
    header = _header_seconds(container, stream)
    if header is None or not _DURATION_FORMATS & set(container.format.name.split(",")):
        return None
    end = float(index.end * index.time_base)
    longest_gap = float(np.diff(index.seconds).max(initial=0.0))
    if header - end <= max(_LEAST_SECONDS, _GAPS * longest_gap):
        return None
    return f"the header promises {header:.1f} s of video, the last frame ends at {end:.1f} s"


def _header_frames(container: InputContainer, stream: VideoStream) -> float:
    """Number of frames by the header's count, or its duration and rate; 0 where it has neither."""
    rate = max(stream.average_rate or 0, stream.guessed_rate or 0)
    return max(stream.frames, (container.duration or 0) / av.time_base * float(rate))


def _header_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Duration of the video by the header, whose duration of all streams may be the sound's."""
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if clock:
        hours, minutes, seconds = map(float, clock.groups())
        return hours * 3600 + minutes * 60 + seconds
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base
    return None
