"""Clips: checked when made, and made of any intervals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import Clips, InputError

GOOD: dict[str, Any] = {
    "starts": (1.0, 4.0),
    "ends": (3.0, 9.5),
    "weights": (2.0, 1.0),
    "priorities": (1, 2),
    "reasons": ("the dog jumps", ""),
    "origin": "predicted",
}


def test_numbers_of_any_library_become_pythons_own() -> None:
    arrays = {
        "starts": np.array([1, 4]),
        "ends": np.array([3, 9.5], dtype=np.float32),
        "weights": np.array([2.0, 1.0]),
        "priorities": np.array([1, 2]),
        "reasons": ["the dog jumps", ""],
    }
    assert Clips(**{**GOOD, **arrays}) == Clips(**GOOD)
    assert len(Clips(**GOOD)) == 2
    assert len(Clips(origin="segments")) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ends": (3.0,)}, "one value per clip in every field"),
        ({"starts": (-1.0, 4.0)}, "after its start"),
        ({"ends": (1.0, 9.5)}, "after its start"),
        ({"ends": (4.5, 9.5)}, "not overlap"),
        ({"starts": (1.0, float("nan"))}, "starts must be finite"),
        ({"weights": (0.0, 1.0)}, "weights must be positive"),
        ({"priorities": (0, 1)}, "priorities must be whole numbers"),
        ({"priorities": (1.5, 1)}, "priorities must be whole numbers"),
        ({"reasons": ("a", None)}, "reasons must be texts"),
        ({"origin": "guessed"}, "predicted|scored|segments"),
    ],
)
def test_clips_of_wrong_values_or_out_of_order_are_refused(
    changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError) as refusal:
        Clips(**{**GOOD, **changes})
    assert says in str(refusal.value)


# starts, ends, priorities, weights -> starts, ends, priorities: of a video of 10 s, by hand.
INTERVALS = [
    ([], [], [], [], [], [], []),
    ([2], [5], [1], [1], [2], [5], [1]),
    ([-3, 8], [1, 99], [1, 1], [1, 1], [0, 8], [1, 10], [1, 1]),  # cut to the video
    ([10, -2, 6, 5], [12, 0, 4, 5], [1] * 4, [1] * 4, [], [], []),  # outside, reversed, empty
    ([6, 1], [8, 3], [1, 2], [1, 1], [1, 6], [3, 8], [2, 1]),  # sorted by time
    ([0, 4], [6, 9], [2, 1], [1, 1], [0, 4], [4, 9], [2, 1]),  # the better priority
    ([0, 4], [6, 9], [1, 1], [1, 2], [0, 4], [4, 9], [1, 1]),  # the larger weight
    ([0, 4], [6, 9], [1, 1], [1, 1], [0, 6], [6, 9], [1, 1]),  # the earlier start
    ([0, 4], [9, 5], [2, 1], [9, 1], [0, 4, 5], [4, 5, 9], [2, 1, 2]),  # cut in two
    ([3, 2], [4, 5], [2, 1], [1, 1], [2], [5], [1]),  # covered
]


@pytest.mark.parametrize(
    ("starts", "ends", "priorities", "weights", "to_starts", "to_ends", "to_priorities"), INTERVALS
)
def test_intervals_become_clips_by_this_table(
    starts: list[float],
    ends: list[float],
    priorities: list[int],
    weights: list[float],
    to_starts: list[float],
    to_ends: list[float],
    to_priorities: list[int],
) -> None:
    clips = Clips.from_intervals(
        starts, ends, end_seconds=10, priorities=priorities, weights=weights, origin="predicted"
    )
    assert list(clips.starts) == to_starts
    assert list(clips.ends) == to_ends
    assert list(clips.priorities) == to_priorities


def test_intervals_are_cut_to_the_part_that_frames_are_chosen_from() -> None:
    clips = Clips.from_intervals([0], [9], start_seconds=2, end_seconds=5, origin="scored")
    assert (clips.starts, clips.ends) == ((2.0,), (5.0,))


INTERVAL = st.tuples(
    st.floats(-5, 15), st.floats(-5, 15), st.integers(1, 3), st.sampled_from([0.5, 1.0, 2.0])
)


@given(st.lists(INTERVAL, max_size=8))
def test_a_moment_has_the_best_priority_that_claims_it(
    rows: list[tuple[float, float, int, float]],
) -> None:
    clips = Clips.from_intervals(
        [start for start, _, _, _ in rows],
        [end for _, end, _, _ in rows],
        priorities=[priority for _, _, priority, _ in rows],
        weights=[weight for _, _, _, weight in rows],
        end_seconds=10,
        origin="predicted",
    )
    spans = list(zip(clips.starts, clips.ends, clips.priorities, strict=True))
    for moment in np.linspace(0, 10, 41)[:-1].tolist():
        claims = [p for a, b, p, _ in rows if a <= moment < b]
        assert [p for a, b, p in spans if a <= moment < b] == ([min(claims)] if claims else [])
