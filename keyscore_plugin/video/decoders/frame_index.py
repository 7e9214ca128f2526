"""The frame index: what the container says about every frame, in display and in decode order."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
NO_TIME = -(2**63)  # FFmpeg's AV_NOPTS_VALUE: no time can be this


@dataclass(frozen=True, slots=True, eq=False)
class PacketMarks:
    """Times and sizes of all video packets, by which a packet is identified after a seek.

    Attributes:
        times: ``(n_packets,)`` ticks, in the order of the file: presentation times where they are
            those of the frames, else decoding times.
        sizes: ``(n_packets,)`` sizes in bytes.
        are_pts: Whether a frame that comes out of the decoder is identified by its packet's time.
    """

    times: Ints
    sizes: Ints
    are_pts: bool

    def place_of(self, time: int | None, size: int) -> int | None:
        """Place of the only packet with this time; None unless it also has this size."""
        if time is None:
            return None
        places = np.flatnonzero(self.times == time)
        if len(places) != 1 or int(self.sizes[places[0]]) != size:
            return None
        return int(places[0])

    def is_at(self, place: int, time: int | None, size: int) -> bool:
        """Whether the packet at this place has this time and size."""
        return (
            place < len(self.times)
            and int(self.times[place]) == time
            and int(self.sizes[place]) == size
        )


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """All frames of a video, one row a frame, in display order; times are ticks of ``time_base``.

    Attributes:
        pts: ``(n,)`` rising presentation times as the container has them. A start other than
            zero is kept: a player that shows the container's clock shows these times.
        end: Time at which the last frame ends.
        keyframe: ``(n,)`` flags of the frames from which decoding can start.
        position: ``(n,)`` places of the frames' packets among all video packets of the file.
        seek_pts: ``(n,)`` ticks to seek to in order to land at or before the frame's packet.
        time_base: Seconds a tick.
        seekable: False when packets cannot be distinguished; then frames are found by counting
            from the first one.
        packets: Times and sizes of the packets.
        keys_as_marked: Whether ``keyframe`` agrees with the container's own marks.
    """

    pts: Ints
    end: int
    keyframe: Bools
    position: Ints
    seek_pts: Ints
    time_base: Fraction
    seekable: bool
    packets: PacketMarks
    keys_as_marked: bool

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """``(n,)`` presentation times in seconds."""
        ticks = self.pts.astype(np.float64)
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's start to the last frame's end."""
        return (self.end - int(self.pts[0])) * self.time_base

    @property
    def anchor_gap(self) -> int:
        """Longest run of frames, in display order, without one that is sent in display order.

        The others are B-frames; a decoder can skip those that no other frame refers to.
        """
        in_decode_order = np.argsort(self.position)
        is_anchor = np.empty(len(self), dtype=np.bool_)
        shown = self.pts[in_decode_order]
        is_anchor[in_decode_order] = shown == np.maximum.accumulate(shown)
        anchors = np.flatnonzero(is_anchor)
        return int(np.diff(anchors).max(initial=1))

    def index_of(self, pts: int | None) -> int | None:
        """The frame with exactly this pts."""
        if pts is None:
            return None
        row = int(np.searchsorted(self.pts, pts))
        return row if row < len(self) and int(self.pts[row]) == pts else None

    def index_by_place(self) -> dict[object, int]:
        """Each frame's index by the place of its packet; empty where times identify the frames."""
        if self.packets.are_pts:
            return {}
        return {place: index for index, place in enumerate(self.position.tolist())}

    def seek_rows(self, rows: Ints, *, keyframes_back: int = 0) -> Ints:
        """For each frame, the keyframe from which it must be decoded.

        Args:
            rows: ``(m,)`` frame indices.
            keyframes_back: Number of keyframes by which to start earlier than needed.

        Returns:
            ``(m,)`` frame indices. A keyframe serves the frames that follow it in decode order
            and are shown after it; a leading picture of an open GOP, shown before, refers to
            the GOP before and needs the keyframe of that one.
        """
        keys = np.flatnonzero(self.keyframe)
        if not len(keys):
            return np.zeros_like(rows)
        # Both conditions at once: keyframes rise in pts and in position alike.
        place = np.minimum(self._keys_sent(rows), self._keys_shown(rows)) - 1 - keyframes_back
        return np.where(place < 0, 0, keys[np.maximum(place, 0)])

    @property
    def has_leading_pictures(self) -> bool:
        """Whether frames are sent after a keyframe and shown before it (an open GOP)."""
        rows = np.arange(len(self))
        return bool((self._keys_shown(rows) < self._keys_sent(rows)).any())

    def _keys_sent(self, rows: Ints) -> Ints:
        """How many keyframes come up to each frame in decode order."""
        keys = np.flatnonzero(self.keyframe)
        return np.searchsorted(self.position[keys], self.position[rows], side="right")

    def _keys_shown(self, rows: Ints) -> Ints:
        """How many keyframes come up to each frame in display order."""
        return np.searchsorted(np.flatnonzero(self.keyframe), rows, side="right")


@dataclass(frozen=True, slots=True)
class Interval:
    """Packets ``first`` to ``last`` (places among the video packets), to be decoded in a row."""

    seek_pts: int
    first: int
    last: int


def first_places(frames: FrameIndex, rows: Ints, *, keyframes_back: int = 0) -> Ints:
    """``(m,)`` places of the packets from which the given frames must be decoded."""
    starts = frames.seek_rows(rows, keyframes_back=keyframes_back)
    return np.where(starts == 0, 0, frames.position[starts])


def plan(
    frames: FrameIndex, rows: Ints, *, keyframes_back: int = 0, apart: bool = False
) -> list[Interval]:
    """The packets that must be decoded to get the given frames, and no others.

    Args:
        frames: Index of the video's frames.
        rows: ``(m,)`` rising frame indices.
        keyframes_back: Number of keyframes by which each interval starts earlier than needed.
        apart: Whether each keyframe keeps its own interval, even where one follows or overlaps
            another.

    Returns:
        Intervals in decode order, disjoint unless they are kept apart.
    """
    starts = frames.seek_rows(rows, keyframes_back=keyframes_back)
    firsts = first_places(frames, rows, keyframes_back=keyframes_back)
    lasts = frames.position[rows]
    intervals: list[Interval] = []
    for k in np.argsort(firsts, kind="stable"):
        first, last = int(firsts[k]), int(lasts[k])
        before = intervals[-1] if intervals else None
        if before and (first == before.first or (not apart and first <= before.last + 1)):
            intervals[-1] = Interval(before.seek_pts, before.first, max(before.last, last))
        else:
            intervals.append(Interval(int(frames.seek_pts[starts[k]]), first, last))
    return intervals
