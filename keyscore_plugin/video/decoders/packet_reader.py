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
from keyscore_plugin.video.decoders.frame_index import FrameTable, Interval, Ints, plan

_SEEK_PACKETS = 64  # ours: to read past fewer packets is cheaper than to seek


class _Lost(Exception):
    """What comes after a seek is not what the scan found there."""


class _NoKeyframe(Exception):
    """The container marks a frame as a keyframe wrongly."""


class Walk:
    """An open decoder that walks over intervals of packets; what does not decode is left out.

    Args:
        path: A local video file.
        table: Its frame table.
        stream: Number of its stream among the video streams.
        speed: What the decoder may leave out, see `set_up`.
        careful: On one thread, see `set_up`.

    Attributes:
        damage: Place of the first packet that showed damage: one that the container calls corrupt,
            that does not decode, or whose frame the codec had to fill in. None before there is one;
            the caller may set it back.
    """

    def __init__(
        self,
        path: str,
        table: FrameTable,
        *,
        stream: int,
        speed: Speed,
        careful: bool = False,
    ) -> None:
        self.damage: int | None = None
        self._path = path
        self._number = stream
        self._table = table
        self._index_at = table.index_at_place()
        self._speed = speed
        self._is_careful = careful
        self._container, self._stream = self._open()
        self._packets: Iterator[av.Packet] = demux(self._container, self._stream)
        self._next = 0  # place of the next packet among the video packets
        self._has_sought = False  # since then, places are known by the packets' marks

    def frames(self, intervals: Sequence[Interval]) -> Iterator[tuple[int, VideoFrame]]:
        """Every frame that decodes on the way, with its index, in display order an interval."""
        self._stream.codec_context.flush_buffers()  # an earlier walk may have been left half-way
        if not self._table.seekable:
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
        """Frames 0 to ``last``, known by counting."""
        self._restart()
        for index, frame in enumerate(decode_all(self._container, self._stream)):
            if frame.is_corrupt:
                self._mark(index)
            yield index, frame
            if index >= last:
                return

    def _go_to(self, interval: Interval) -> None:
        """Stand at or before the interval's first packet."""
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
        """Place of the packet that comes next after a seek; None when no packet can be told."""
        waiting: list[av.Packet] = []
        for packet in islice(self._packets, _SEEK_PACKETS):
            waiting.append(packet)
            place = self._table.packets.place_of(self._time(packet), packet.size)
            if place is not None:
                self._next = place - len(waiting) + 1
                self._packets = chain(waiting, self._packets)
                return self._next
        return None

    def _time(self, packet: av.Packet) -> int | None:
        return packet.pts if self._table.packets.are_pts else packet.dts

    def _started(
        self, interval: Interval, following: Interval | None
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The frames of an interval, held back until its first packet has shown a keyframe.

        Raises:
            _Lost: See `_check`.
            _NoKeyframe: It has shown another frame, from which others are not decoded rightly.
        """
        frames = self._decode(interval, following)
        held: list[tuple[int, VideoFrame]] = []
        if interval.first > 0:
            start = int(np.flatnonzero(self._table.position == interval.first)[0])
            for index, frame in frames:
                # Shown before the keyframe and sent after it: it refers to what was not decoded.
                is_leading = index < start and self._table.position[index] > interval.first
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
                if not self._table.packets.are_pts:
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
        """See that the packet is the one the scan found at this place.

        Raises:
            _Lost: After a seek the container counts its packets otherwise.
        """
        if self._has_sought and not self._table.packets.is_at(
            place, self._time(packet), packet.size
        ):
            raise _Lost

    def _indexed(self, frames: list[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """The frames that are in the table, with their index there."""
        for frame in frames:
            if self._table.packets.are_pts:
                index = self._table.index_of(frame.pts)
            else:
                index = self._index_at.get(place_of(frame))
            if index is not None:
                if frame.is_corrupt:
                    self._mark(int(self._table.position[index]))
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


def start_cleanly(path: str, table: FrameTable, rows: Ints, *, stream: int) -> bool:
    """Whether a decoder that starts at these keyframes shows them.

    It does not where a picture is refreshed part by part: there a clean one comes frames later.
    """
    with closing(Walk(path, table, stream=stream, speed="keyframes")) as walk:
        shown = {index for index, _ in walk.frames(plan(table, rows))}
    return shown.issuperset(rows.tolist())
