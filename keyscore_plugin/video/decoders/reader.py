"""Decoded frames that are the same whatever else is read, and whether damage may show in them."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.decoding import Speed
from keyscore_plugin.video.decoders.frame_index import (
    FrameTable,
    Interval,
    Ints,
    first_places,
    plan,
)
from keyscore_plugin.video.decoders.packet_reader import Walk

_MOST_REORDERED = 16  # frames between a picture and those it refers to, by H.264 and HEVC


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A frame as it comes out of the decoder.

    Attributes:
        index: Its index in the video.
        frame: Its picture.
        is_clean: False where the file is damaged at it, or between it and its keyframe: it may
            refer to what was lost, and be smeared.
    """

    index: int
    frame: VideoFrame
    is_clean: bool


class Reader:
    """Decodes on as many threads as there are, and again on one where that comes upon damage.

    What several threads make of a damaged video depends on their number and on where they began.
    So a group of pictures that shows damage is decoded on one thread, from its own keyframe, and
    apart from the others: a function of the file alone.

    Args:
        path: A local video file.
        table: Its frame table.
        stream: Number of its stream among the video streams.
        speed: What the decoder may leave out, see `set_up`.
    """

    def __init__(self, path: str, table: FrameTable, *, stream: int, speed: Speed) -> None:
        self._path = path
        self._stream = stream
        self._table = table
        self._speed = speed
        self._quick: Walk | None = None

    def close(self) -> None:
        """Free the decoder."""
        if self._quick is not None:
            self._quick.close()
            self._quick = None

    def frames(self, rows: Ints) -> Iterator[Decoded]:
        """Every frame that decodes on the way to the given ones, rising.

        Args:
            rows: ``(m,)`` rising frame indices.
        """
        if not self._table.seekable:
            yield from self._counted(rows)
            return
        while len(rows):
            reached = yield from self._quickly(rows)
            if reached is None:
                return
            rows = yield from self._past_damage(rows[rows > reached], reached=reached)

    def frames_from_earlier(self, rows: Ints, *, keyframes_back: int) -> Iterator[Decoded]:
        """As `frames`, from that many keyframes earlier, for frames that their own does not give.

        Some keyframes do not start a clean picture (intra refresh, broken links).
        """
        for group in plan(self._table, rows, keyframes_back=keyframes_back, apart=True):
            yield from self._group(group, keyframes_back=keyframes_back)

    def _quickly(self, rows: Ints) -> Generator[Decoded, None, int | None]:
        """Frames up to the first damage; returns the last index before it, None without damage."""
        if self._quick is None:
            self._quick = self._walk(careful=False)
        walk = self._quick
        walk.damage, reached = None, -1
        for index, frame in self._settled(walk.frames(plan(self._table, rows))):
            if walk.damage is not None:
                break
            reached = index
            yield Decoded(index, frame, is_clean=True)
        return None if walk.damage is None else reached

    def _past_damage(self, rows: Ints, *, reached: int) -> Generator[Decoded, None, Ints]:
        """Frames after ``reached`` up to the end of a damaged group; returns the rows after it."""
        for group in plan(self._table, rows, apart=True):
            is_sound = True
            for decoded in self._group(group):
                is_sound &= decoded.is_clean
                if decoded.index > reached:
                    yield decoded
            if not is_sound:
                return rows[first_places(self._table, rows) > group.first]
        return rows[:0]

    def _group(self, group: Interval, *, keyframes_back: int = 0) -> Iterator[Decoded]:
        """The frames whose keyframe is the group's, each when it is known whether it is clean."""
        own = self._rows_of(group, keyframes_back=keyframes_back)
        # A new decoder: what one fills in may be left over from pictures that it decoded before.
        with closing(self._walk(careful=True)) as walk:
            for index, frame in self._settled(walk.frames([group])):
                if index in own:
                    place = int(self._table.position[index])
                    yield Decoded(index, frame, walk.damage is None or place < walk.damage)

    def _settled(
        self, frames: Iterator[tuple[int, VideoFrame]]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The frames, each when those that it may refer to have come out: damage shows only then.

        A frame between two others is sent after both and shown before the second.
        """
        waiting: deque[tuple[int, VideoFrame]] = deque()
        for index, frame in frames:
            waiting.append((index, frame))
            while waiting and self._last_referred(waiting[0][0]) <= index:
                yield waiting.popleft()
        yield from waiting

    def _rows_of(self, group: Interval, *, keyframes_back: int) -> set[int]:
        """Frames that are decoded from the group's first packet; others refer to what is before."""
        place = self._table.position
        rows = np.flatnonzero((place >= group.first) & (place <= group.last))
        firsts = first_places(self._table, rows, keyframes_back=keyframes_back)
        return set(rows[firsts == group.first].tolist())

    def _last_referred(self, index: int) -> int:
        """The last frame, in display order, that the given one may refer to."""
        after = slice(index + 1, index + 1 + _MOST_REORDERED)
        sent_before = np.flatnonzero(self._table.position[after] < self._table.position[index])
        return index + 1 + int(sent_before[-1]) if len(sent_before) else index

    def _counted(self, rows: Ints) -> Iterator[Decoded]:
        """Frames known by counting: on one thread, since a frame that is lost would move others."""
        with closing(self._walk(careful=True)) as walk:
            for index, frame in walk.frames(plan(self._table, rows)):
                yield Decoded(index, frame, is_clean=walk.damage is None)

    def _walk(self, *, careful: bool) -> Walk:
        return Walk(
            self._path, self._table, stream=self._stream, speed=self._speed, careful=careful
        )
