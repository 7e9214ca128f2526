"""Laws of the frame index and of the stand-ins, on hand-made indices."""

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.video.decoders.frame_index import FrameIndex, Interval, PacketMarks, plan
from keyscore_plugin.video.decoders.frame_reader import DecodedFrame
from keyscore_plugin.video.decoders.pyav import nearest


def frame_index(decode_order: str, keys: str) -> FrameIndex:
    """An index from the letters of the frames, a, b, c ... shown in alphabetical order."""
    position = np.array([decode_order.index(letter) for letter in sorted(decode_order)])
    pts = np.arange(len(decode_order), dtype=np.int64) * 10
    return FrameIndex(
        pts=pts,
        end=int(pts[-1]) + 10,
        keyframe=np.array([letter in keys for letter in sorted(decode_order)]),
        position=position,
        seek_pts=pts,
        time_base=Fraction(1, 100),
        seekable=True,
        packets=PacketMarks(pts[np.argsort(position)], np.ones_like(pts), are_pts=True),
        keys_as_marked=True,
    )


CLOSED = frame_index("abcdefgh", keys="ae")
# I B B P | I with two leading pictures, f and g, that refer to the group before.
OPEN = frame_index("adbcehfgi", keys="ah")


@pytest.mark.parametrize(
    ("frames", "rows", "intervals"),
    [
        (CLOSED, [2], [Interval(0, 0, 2)]),
        (CLOSED, [6], [Interval(40, 4, 6)]),
        (CLOSED, [1, 5], [Interval(0, 0, 1), Interval(40, 4, 5)]),
        (CLOSED, [3, 4], [Interval(0, 0, 4)]),  # neighbours are decoded in a row
        (OPEN, [7], [Interval(70, 5, 5)]),
        (OPEN, [8], [Interval(70, 5, 8)]),
        (OPEN, [5], [Interval(0, 0, 6)]),  # a leading picture needs the group before
    ],
)
def test_only_the_packets_needed_are_decoded(
    frames: FrameIndex, rows: list[int], intervals: list[Interval]
) -> None:
    assert plan(frames, np.array(rows, dtype=np.int64)) == intervals


def test_a_plan_can_start_earlier_where_a_keyframe_is_not_clean() -> None:
    assert plan(CLOSED, np.array([6]), keyframes_back=1) == [Interval(0, 0, 6)]
    assert plan(CLOSED, np.array([6]), keyframes_back=9) == [Interval(0, 0, 6)]


def test_the_index_knows_leading_pictures_and_runs_of_b_frames() -> None:
    assert (CLOSED.has_leading_pictures, CLOSED.anchor_gap) == (False, 1)
    assert (OPEN.has_leading_pictures, OPEN.anchor_gap) == (True, 3)


def test_a_packet_is_known_by_its_time_and_its_size() -> None:
    marks = PacketMarks(np.array([0, 40, 40, 80]), np.array([9, 8, 7, 6]), are_pts=False)
    assert [marks.place_of(0, 9), marks.place_of(80, 6)] == [0, 3]
    assert [marks.place_of(*packet) for packet in ((0, 8), (40, 8), (None, 9))] == [None] * 3
    assert marks.is_at(2, 40, 7)
    assert not any(marks.is_at(*packet) for packet in ((2, 40, 8), (2, 0, 7), (4, 0, 9)))


def decoded(index: int, *, is_clean: bool = True) -> DecodedFrame:
    return DecodedFrame(index, VideoFrame(2, 2, "rgb24"), is_clean)


@given(st.data())
def test_stand_ins_are_decoded_unique_rising_and_near(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    rows = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    grid = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))), dtype=np.int64)
    pts = np.arange(n, dtype=np.int64) * 40
    smeared = data.draw(st.sets(st.sampled_from(rows))) if rows else set()
    frames = (decoded(i, is_clean=i not in smeared) for i in rows)
    chosen = [frame.index for frame in nearest(frames, grid, pts)]
    assert chosen == sorted(set(chosen) & set(rows))
    assert set(grid.tolist()) & set(rows) - smeared <= set(chosen)
    reach = np.diff(grid).max() / 2 if len(grid) > 1 else n  # a lone point takes what there is
    assert all(np.abs(grid - i).min() <= reach for i in chosen)


def test_where_nothing_decodes_the_grid_stays_empty() -> None:
    pts = np.arange(100, dtype=np.int64)
    grid = np.array([10, 30, 50, 70, 90], dtype=np.int64)
    frames = (decoded(i) for i in (9, 12, 33, 88, 89))
    assert [frame.index for frame in nearest(frames, grid, pts)] == [9, 33, 89]


@pytest.mark.parametrize(
    ("smeared", "chosen"),
    [
        (set(), [10, 30, 50]),
        ({10}, [11, 30, 50]),  # a clean frame after it
        ({30, 31}, [10, 29, 50]),  # before it, nearer than the one after
        (set(range(25, 40)), [10, 24, 50]),
        (set(range(20, 41)), [10, 30, 50]),  # nothing clean is as near as half-way
        (set(range(100)), [10, 30, 50]),
    ],
)
def test_a_clean_neighbour_stands_in_for_a_smeared_frame(
    smeared: set[int], chosen: list[int]
) -> None:
    pts = np.arange(100, dtype=np.int64)
    grid = np.array([10, 30, 50], dtype=np.int64)
    frames = (decoded(i, is_clean=i not in smeared) for i in range(60))
    assert [frame.index for frame in nearest(frames, grid, pts)] == chosen
