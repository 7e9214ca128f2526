"""Decode only the packets that are needed, by seeking between intervals of them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.container import demux, open_stream
from keyscore_plugin.video.decoders.decoding import (
    Speed,
    decode_all,
    label,
    label_frames,
    packets_of,
    place_of,
    set_up,
)
from keyscore_plugin.video.decoders.frame_index import FrameIndex, Interval, Ints, plan

_SEEK_PACKETS = 64  # ours: to read past fewer packets is cheaper than to seek


class _Lost(Exception):
    """The packets after a seek are not those that the scan found there."""


class _NoKeyframe(Exception):
    """The container marks a frame as a keyframe that is not one."""


class PacketReader:
    """An open decoder that reads intervals of packets; what does not decode is left out.

    Args:
        path: Path of a local video file.
        index: Index of its frames.
        stream: Number of its stream among the video streams.
        speed: Kind of decoding, by what may be left out (`set_up`).
        careful: Whether to decode on one thread (`set_up`).

    Attributes:
        damage: Place of the first packet that showed damage: one that the container calls corrupt,
            that does not decode, or whose frame the codec had to fill in. None while there is no
            damage; the caller may reset it.
    """

    def __init__(
        self,
        path: str,
        index: FrameIndex,
        *,
        stream: int,
        speed: Speed,
        careful: bool = False,
    ) -> None:
        self.damage: int | None = None
        self._path = path
        self._number = stream
        self._index = index
        self._index_by_place = index.index_by_place()
        self._speed = speed
        self._is_careful = careful
        self._container, self._stream = self._open()
        self._packets: Iterator[av.Packet] = demux(self._container, self._stream)
        self._next = 0  # place of the next packet among the video packets
        self._has_sought = False  # from then on, packets are identified by their marks

    def frames(self, intervals: Sequence[Interval]) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame that decodes on the way, with its index, in display order per interval."""
        self._stream.codec_context.flush_buffers()  # an earlier read may have ended half-way
        if not self._index.seekable:
            yield from self._counted(intervals[-1].last if intervals else -1)
            return
        shown = -1
        for interval, following in zip(intervals, [*intervals[1:], None], strict=True):
            self._go_to(interval)
            try:
                for index, frame in self._started(interval, following):
                    shown = max(shown, index)
                    yield index, frame
                continue
            except _Lost:
                again = interval
            except _NoKeyframe:
                again = Interval(interval.seek_pts, 0, interval.last)
            self._restart()  # without a seek, all is as the scan found it
            self.damage = None
            for index, frame in self._decode(again, following):
                if index > shown:
                    shown = index
                    yield index, frame

    def close(self) -> None:
        """Free the decoder."""
        self._container.close()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        container, stream = open_stream(self._path, self._number)
        set_up(stream.codec_context, self._speed, careful=self._is_careful)
        label_frames(stream.codec_context)
        return container, stream

    def _restart(self) -> None:
        self._container.close()
        self._container, self._stream = self._open()
        self._packets = demux(self._container, self._stream)
        self._next = 0
        self._has_sought = False

    def _counted(self, last: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames 0 to ``last``, identified by counting."""
        self._restart()
        for index, frame in enumerate(decode_all(self._container, self._stream)):
            if frame.is_corrupt:
                self._mark(index)
            yield index, frame
            if index >= last:
                return

    def _go_to(self, interval: Interval) -> None:
        """Move to the interval's first packet, or before it."""
        if self._is_near(interval):
            return
        try:
            self._container.seek(interval.seek_pts, stream=self._stream, backward=True)
            self._packets = demux(self._container, self._stream)
            self._has_sought = True
            landed = self._landing()
        except av.FFmpegError:
            landed = None
        if landed is None or landed > interval.first:
            self._restart()  # the container cannot seek there: read up to it

    def _is_near(self, interval: Interval) -> bool:
        return 0 <= interval.first - self._next <= _SEEK_PACKETS

    def _landing(self) -> int | None:
        """Place of the next packet after a seek; None when no packet can be identified."""
        waiting: list[av.Packet] = []
        for packet in islice(self._packets, _SEEK_PACKETS):
            waiting.append(packet)
            place = self._index.packets.place_of(self._time(packet), packet.size)
            if place is not None:
                self._next = place - len(waiting) + 1
                self._packets = chain(waiting, self._packets)
                return self._next
        return None

    def _time(self, packet: av.Packet) -> int | None:
        return packet.pts if self._index.packets.are_pts else packet.dts

    def _started(
        self, interval: Interval, following: Interval | None
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The frames of an interval, held back until its first packet has shown a keyframe.

        Raises:
            _Lost: `_check` found another packet than the scan.
            _NoKeyframe: The first packet shows another frame, from which decoding cannot start.
        """
        frames = self._decode(interval, following)
        held: list[tuple[int, VideoFrame]] = []
        if interval.first > 0:
            start = int(np.flatnonzero(self._index.position == interval.first)[0])
            for index, frame in frames:
                # A frame sent after the keyframe, shown before it, refers to what was not decoded.
                is_leading = index < start and self._index.position[index] > interval.first
                if not is_leading:
                    held.append((index, frame))
                if index == start and not frame.key_frame:
                    raise _NoKeyframe
                if index >= start:  # those shown before it are few: as many as a codec reorders
                    break
        yield from held
        yield from frames

    def _decode(
        self, interval: Interval, following: Interval | None
    ) -> Iterator[tuple[int, VideoFrame]]:
        codec = self._stream.codec_context
        for packet in packets_of(self._packets):
            place, self._next = self._next, self._next + 1
            if place >= interval.first:
                self._check(packet, place)
                if not self._index.packets.are_pts:
                    label(packet, place)
                if packet.is_corrupt:
                    self._mark(place)
                yield from self._indexed(self._try(packet, place))
            if place >= interval.last:
                break
        # Keyframes depend on nothing: they follow each other without emptying the decoder, except
        # before a seek, which throws away what is still in it.
        if self._speed != "keyframes" or following is None or not self._is_near(following):
            yield from self._indexed(self._try(None, interval.first))
            codec.flush_buffers()

    def _check(self, packet: av.Packet, place: int) -> None:
        """Check that the packet is the one the scan found at this place.

        Raises:
            _Lost: It is another one: after a seek the container's packets come in other places.
        """
        if self._has_sought and not self._index.packets.is_at(
            place, self._time(packet), packet.size
        ):
            raise _Lost

    def _indexed(self, frames: list[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """The frames that the scan found, with their indices."""
        for frame in frames:
            if self._index.packets.are_pts:
                index = self._index.index_of(frame.pts)
            else:
                index = self._index_by_place.get(place_of(frame))
            if index is not None:
                if frame.is_corrupt:
                    self._mark(int(self._index.position[index]))
                yield index, frame

    def _try(self, packet: av.Packet | None, place: int) -> list[VideoFrame]:
        """The frames that come out for a packet; where it does not decode, that is damage."""
        try:
            return self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._mark(place)
            return []

    def _mark(self, place: int) -> None:
        self.damage = place if self.damage is None else min(self.damage, place)


def start_cleanly(path: str, frames: FrameIndex, rows: Ints, *, stream: int) -> bool:
    """Whether a decoder that starts at these keyframes shows them.

    It does not where a picture is refreshed part by part: there a clean one comes frames later.
    """
    with closing(PacketReader(path, frames, stream=stream, speed="keyframes")) as reader:
        shown = {index for index, _ in reader.frames(plan(frames, rows))}
    return shown.issuperset(rows.tolist())
