"""Laws of even spacing in time, on times alone: hand-computed tables and properties."""

from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.types.spacing import uniform_indices


def cfr(n: int, start: float = 0.0) -> Tensor:
    return start + torch.arange(n, dtype=torch.float64) / 25


gaps = st.lists(st.floats(1e-3, 100), min_size=0, max_size=80)
frame_times = gaps.map(lambda g: torch.tensor([3.5, *g], dtype=torch.float64).cumsum(0))


@given(frame_times, st.integers(1, 200))
def test_uniform_gives_exactly_k_unique_rising_frames(pts: Tensor, k: int) -> None:
    rows = uniform_indices(pts, k).tolist()
    assert len(rows) == min(k, len(pts))
    assert all(a < b for a, b in pairwise(rows))
    assert rows[0] >= 0
    assert rows[-1] < len(pts)


@given(st.integers(1, 300), st.integers(1, 300), st.floats(-1e4, 1e4))
def test_uniform_is_the_mid_bin_rule_where_the_frame_rate_is_constant(
    n: int, k: int, start: float
) -> None:
    k = min(k, n)
    expected = [(2 * j + 1) * n // (2 * k) for j in range(k)]
    assert uniform_indices(cfr(n, start), k).tolist() == expected


def test_uniform_follows_time_and_not_the_frame_count() -> None:
    # 100 frames in the first second, then one a second: half of the bins lie after frame 100.
    pts = torch.cat([torch.arange(100) / 100, torch.arange(1, 10).double()])
    assert uniform_indices(pts, 5, duration_seconds=10.0).tolist() == [100, 102, 104, 106, 108]


def test_uniform_moves_on_where_two_bins_show_one_frame() -> None:
    pts = torch.tensor([0.0, 0.1, 0.2, 5.0, 9.0])
    assert uniform_indices(pts, 4, duration_seconds=10.0).tolist() == [1, 2, 3, 4]
    assert uniform_indices(pts, 5, duration_seconds=10.0).tolist() == [0, 1, 2, 3, 4]


def test_uniform_takes_a_frame_that_is_on_show_for_long_once_and_spreads_the_others() -> None:
    # 20 frames in 2 s, one of them for ten minutes, 20 more in 2 s: as if it were shown for .56 s.
    pts = torch.cat([torch.arange(20) / 10, 600 + torch.arange(20) / 10])
    rows = uniform_indices(pts, 8, duration_seconds=602.0).tolist()
    assert rows == [2, 8, 13, 19, 20, 26, 31, 37]
    assert uniform_indices(pts, 2, duration_seconds=602.0).tolist() == [19, 20]
    assert uniform_indices(pts, 1, duration_seconds=602.0).tolist() == [19]


@given(frame_times, st.integers(1, 90), st.floats(0.01, 100))
def test_uniform_takes_every_frame_that_is_on_show_for_more_than_two_bins(
    pts: Tensor, k: int, last: float
) -> None:
    duration = float(pts[-1] - pts[0]) + last
    shown = torch.cat([pts.diff(), torch.tensor([last])])
    rows = uniform_indices(pts, k, duration_seconds=duration).tolist()
    long = (shown > max(1.0, 2 * duration / min(k, len(pts)) + 1e-6)).nonzero()[:, 0].tolist()
    assert set(long) <= set(rows)


@given(frame_times, st.integers(3, 90), st.floats(1, 5))
def test_how_long_a_gap_of_hours_is_does_not_matter(pts: Tensor, k: int, factor: float) -> None:
    assume(len(pts) >= 3 and pts[-1] < 1e3)
    is_after = torch.arange(len(pts)) >= len(pts) // 2
    gaps = (pts + 1e4 * is_after, pts + factor * 1e4 * is_after)
    one, other = (
        uniform_indices(times, k, duration_seconds=float(times[-1] - times[0]) + 0.04).tolist()
        for times in gaps
    )
    assert one == other


@pytest.mark.parametrize("k", [0, -3])
def test_uniform_refuses_a_budget_that_is_not_positive(k: int) -> None:
    with pytest.raises(InputError, match=f"got num_frames={k} and 10 frames"):
        uniform_indices(cfr(10), k)
