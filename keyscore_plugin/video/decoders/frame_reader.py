"""Decoded frames that are the same whatever else is read, and whether damage may show in them."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.decoding import Speed
from keyscore_plugin.video.decoders.frame_index import (
    FrameIndex,
    Interval,
    Ints,
    first_places,
    plan,
)
from keyscore_plugin.video.decoders.packet_reader import PacketReader

_MOST_REORDERED = 16  # frames between a picture and those it refers to, by H.264 and HEVC


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame as it comes out of the decoder.

    Attributes:
        index: Index in the video.
        frame: Picture as FFmpeg gives it.
        is_clean: False where the file is damaged at this frame, or between it and its keyframe: it
            may refer to what was lost, and be smeared.
    """

    index: int
    frame: VideoFrame
    is_clean: bool


class FrameReader:
    """Decodes on all threads, and decodes again on one thread where it finds damage.

    What several threads make of a damaged video depends on their number and on where they began.
    So a group of pictures that shows damage is decoded on one thread, from its own keyframe, and
    apart from the others: the result depends on the file only.

    Args:
        path: Path of a local video file.
        index: Index of its frames.
        stream: Number of its stream among the video streams.
        speed: Kind of decoding, by what may be left out (`set_up`).
    """

    def __init__(self, path: str, index: FrameIndex, *, stream: int, speed: Speed) -> None:
        self._path = path
        self._stream = stream
        self._index = index
        self._speed = speed
        self._quick: PacketReader | None = None

    def close(self) -> None:
        """Free the decoder."""
        if self._quick is not None:
            self._quick.close()
            self._quick = None

    def frames(self, rows: Ints) -> Iterator[DecodedFrame]:
        """Every frame that decodes on the way to the given ones, rising.

        Args:
            rows: ``(m,)`` rising frame indices.
        """
        if not self._index.seekable:
            yield from self._counted(rows)
            return
        while len(rows):
            reached = yield from self._quickly(rows)
            if reached is None:
                return
            rows = yield from self._past_damage(rows[rows > reached], reached=reached)

    def frames_from_earlier(self, rows: Ints, *, keyframes_back: int) -> Iterator[DecodedFrame]:
        """As `frames`, but starting some keyframes earlier, for frames that did not decode.

        Some keyframes do not start a clean picture (intra refresh, broken links).
        """
        for group in plan(self._index, rows, keyframes_back=keyframes_back, apart=True):
            yield from self._group(group, keyframes_back=keyframes_back)

    def _quickly(self, rows: Ints) -> Generator[DecodedFrame, None, int | None]:
        """Frames up to the first damage; returns the last index before it, None without damage."""
        if self._quick is None:
            self._quick = self._new_reader(careful=False)
        reader = self._quick
        reader.damage, reached = None, -1
        for index, frame in self._settled(reader.frames(plan(self._index, rows))):
            if reader.damage is not None:
                break
            reached = index
            yield DecodedFrame(index, frame, is_clean=True)
        return None if reader.damage is None else reached

    def _past_damage(self, rows: Ints, *, reached: int) -> Generator[DecodedFrame, None, Ints]:
        """Frames after ``reached`` up to the end of a damaged group; returns the rows after it."""
        for group in plan(self._index, rows, apart=True):
            is_sound = True
            for decoded in self._group(group):
                is_sound &= decoded.is_clean
                if decoded.index > reached:
                    yield decoded
            if not is_sound:
                return rows[first_places(self._index, rows) > group.first]
        return rows[:0]

    def _group(self, group: Interval, *, keyframes_back: int = 0) -> Iterator[DecodedFrame]:
        """The frames of one group of pictures, each once it is known whether it is clean."""
        own = self._rows_of(group, keyframes_back=keyframes_back)
        # A new decoder, because an old one may fill in from pictures that it decoded before.
        with closing(self._new_reader(careful=True)) as reader:
            for index, frame in self._settled(reader.frames([group])):
                if index in own:
                    place = int(self._index.position[index])
                    yield DecodedFrame(index, frame, reader.damage is None or place < reader.damage)

    def _settled(
        self, frames: Iterator[tuple[int, VideoFrame]]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The frames, each once those that it may refer to have come out: damage shows only then.

        A frame between two others is sent after both and shown before the second.
        """
        waiting: deque[tuple[int, VideoFrame]] = deque()
        for index, frame in frames:
            waiting.append((index, frame))
            while waiting and self._last_referred(waiting[0][0]) <= index:
                yield waiting.popleft()
        yield from waiting

    def _rows_of(self, group: Interval, *, keyframes_back: int) -> set[int]:
        """Frames that are decoded from the group's first packet; others need an earlier one."""
        place = self._index.position
        rows = np.flatnonzero((place >= group.first) & (place <= group.last))
        firsts = first_places(self._index, rows, keyframes_back=keyframes_back)
        return set(rows[firsts == group.first].tolist())

    def _last_referred(self, index: int) -> int:
        """The last frame, in display order, that the given one may refer to."""
        after = slice(index + 1, index + 1 + _MOST_REORDERED)
        sent_before = np.flatnonzero(self._index.position[after] < self._index.position[index])
        return index + 1 + int(sent_before[-1]) if len(sent_before) else index

    def _counted(self, rows: Ints) -> Iterator[DecodedFrame]:
        """Frames identified by counting, on one thread: a lost frame would shift the others."""
        with closing(self._new_reader(careful=True)) as reader:
            for index, frame in reader.frames(plan(self._index, rows)):
                yield DecodedFrame(index, frame, is_clean=reader.damage is None)

    def _new_reader(self, *, careful: bool) -> PacketReader:
        return PacketReader(
            self._path, self._index, stream=self._stream, speed=self._speed, careful=careful
        )
