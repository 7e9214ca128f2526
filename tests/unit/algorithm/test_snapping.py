"""Clips of a model move to the borders of scenes that are near, and stay disjoint."""

from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import Clips
from keyscore_plugin.algorithm.snapping import snap

END = 60.0


def clips(*intervals: tuple[float, float]) -> Clips:
    return Clips.from_intervals(
        [start for start, _ in intervals],
        [end for _, end in intervals],
        end_seconds=END,
        priorities=[1 + i % 2 for i in range(len(intervals))],
        reasons=[f"reason {i}" for i in range(len(intervals))],
        origin="predicted",
        model="m",
    )


def scenes(*cuts: float) -> Clips:
    edges = [0.0, *cuts, END]
    return Clips.from_intervals(edges[:-1], edges[1:], end_seconds=END, origin="segments")


def test_near_times_move_and_far_ones_stay() -> None:
    moved = snap(clips((9.0, 19.0), (31.5, 59.5)), scenes(10.0, 22.0, 30.0), within_seconds=2.0)
    assert (moved.starts, moved.ends) == ((10.0, 30.0), (19.0, 60.0))
    assert (moved.priorities, moved.reasons) == ((1, 2), ("reason 0", "reason 1"))
    assert (moved.origin, moved.model) == ("predicted", "m")


def test_a_clip_between_two_frames_of_the_model_keeps_its_times() -> None:
    moved = snap(clips((9.5, 10.5)), scenes(10.0), within_seconds=2.0)
    assert (moved.starts, moved.ends) == ((9.5,), (10.5,))


def test_neighbours_meet_at_the_cut_between_them() -> None:
    moved = snap(clips((5.0, 9.0), (11.0, 15.0)), scenes(10.0), within_seconds=1.5)
    assert (moved.starts, moved.ends) == ((5.0, 10.0), (10.0, 15.0))


def test_scenes_of_a_part_bound_its_clips() -> None:
    part = Clips(
        starts=(20.0, 30.0),
        ends=(30.0, 40.0),
        weights=(1.0, 1.0),
        priorities=(1, 1),
        reasons=("", ""),
        origin="segments",
    )
    moved = snap(clips((19.5, 29.0)), part, within_seconds=2.0)
    assert (moved.starts, moved.ends) == ((20.0,), (30.0,))


seconds = st.floats(0, END, allow_subnormal=False)
pairs = st.tuples(seconds, seconds).filter(lambda pair: pair[1] - pair[0] > 0.01)


@given(
    st.lists(pairs, max_size=5),
    st.lists(st.floats(1, END - 1), max_size=5, unique=True).map(sorted),
    st.floats(0, 20),
)
def test_no_time_moves_farther_than_it_may(
    intervals: list[tuple[float, float]], cuts: list[float], within: float
) -> None:
    given_clips = clips(*intervals)
    moved = snap(given_clips, scenes(*cuts), within_seconds=within)
    known = {*given_clips.starts, *given_clips.ends, 0.0, END, *cuts}
    assert {*moved.starts, *moved.ends} <= known
    if given_clips.starts:
        assert moved.starts[0] >= given_clips.starts[0] - within
        assert moved.ends[-1] <= given_clips.ends[-1] + within
