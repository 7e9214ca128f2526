"""MDP3 and MaxInfo against brute force, WFS-SB against hand-made signals and SciPy."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import pywt
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from sklearn.metrics.pairwise import rbf_kernel
from torch import Tensor

from keyscore_plugin.baselines.maxinfo import MaxInfoSettings, maxinfo
from keyscore_plugin.baselines.mdp3 import Mdp3Settings, mdp3
from keyscore_plugin.baselines.settings import stretched
from keyscore_plugin.baselines.wfs_sb import (
    WfsSbSettings,
    allot,
    coarsest_detail,
    diverse_best,
    importance_of,
    parts_kept,
    turning_points,
    wfs_sb,
)


def units(n: int, seed: int, d: int = 5) -> Tensor:
    vectors = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1)


def gaussians(x: Tensor, y: Tensor) -> Tensor:
    """``(n, m)`` sum over a of exp(-|x - y|^2 / (2 a)), by scikit-learn."""
    bandwidths = (1 / 8, 1 / 4, 1 / 2, 1, 2)
    return torch.from_numpy(sum(rbf_kernel(x, y, gamma=1 / (2 * a)) for a in bandwidths))


class Worth:
    """MDP3's objective by determinants, straight from its definition."""

    def __init__(self, vectors: Tensor, query: Tensor, trade_off: float) -> None:
        self.similarity = gaussians(vectors, vectors)
        self.relevance = 2 / trade_off * gaussians(query[None], vectors)[0].log()

    def __call__(self, rows: list[int], given_row: list[int]) -> float:
        volume = self._log_det(given_row + rows) - self._log_det(given_row)
        return float(self.relevance[rows].sum()) + volume

    def _log_det(self, rows: list[int]) -> float:
        return float(torch.logdet(self.similarity[rows][:, rows])) if rows else 0.0

    def greedy(self, segment: list[int], given_row: list[int], count: int) -> list[int]:
        rows: list[int] = []
        for _ in range(count):
            rest = [row for row in segment if row not in rows]
            rows.append(max(rest, key=lambda row: self([*rows, row], given_row)))
        return rows


@given(seed=st.integers(0, 1000), k=st.integers(1, 6), trade_off=st.sampled_from([0.2, 2.0, 20.0]))
@settings(max_examples=25)
def test_mdp3_in_one_segment_adds_the_best_frame_each_time(
    seed: int, k: int, trade_off: float
) -> None:
    vectors, query = units(10, seed), units(1, seed + 5000)[0]
    worth = Worth(vectors, query, trade_off)
    rows = mdp3(vectors, query, num_frames=k, settings=Mdp3Settings(trade_off)).rows
    assert rows.tolist() == sorted(worth.greedy(list(range(10)), [], k))


def test_mdp3_is_near_the_best_of_all_lists() -> None:
    close = 0
    for seed in range(20):
        vectors, query = units(9, seed), units(1, seed + 5000)[0]
        worth = Worth(vectors, query, 2.0)
        values = [worth(list(rows), []) for rows in combinations(range(9), 3)]
        found = worth(
            mdp3(vectors, query, num_frames=3, settings=Mdp3Settings(2.0)).rows.tolist(), []
        )
        assert found > sorted(values)[-20]  # of 84
        close += found > max(values) - 1e-9
    assert close >= 10


@given(seed=st.integers(0, 1000), k=st.integers(1, 8))
@settings(max_examples=25)
def test_mdp3_shares_the_budget_between_two_segments_as_well_as_can_be(seed: int, k: int) -> None:
    vectors, query = units(9, seed), units(1, seed + 5000)[0]
    halves = Mdp3Settings(trade_off=2.0, segment_frames=5)
    worth = Worth(vectors, query, 2.0)
    options = []
    for n_first in range(max(0, k - 4), min(5, k) + 1):
        first = worth.greedy([0, 1, 2, 3, 4], [], n_first)
        last = [max(first)] if first else []
        second = worth.greedy([5, 6, 7, 8], last, k - n_first)
        options.append((worth(first, []) + worth(second, last), sorted(first + second)))
    best = max(options)
    assume(best[0] - max([o for o in options if o[1] != best[1]], default=(-1e9,))[0] > 1e-6)
    rows = mdp3(vectors, query, num_frames=k, settings=halves).rows
    assert rows.tolist() == best[1]


def test_mdp3_prefers_another_view_to_a_copy() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.98, 0.199]])
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    rows = mdp3(vectors, torch.tensor([1.0, 0.0]), num_frames=2, settings=Mdp3Settings()).rows
    assert rows.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("k", "segment_frames", "n_flat"),
    [
        (3, 32, 0),
        (4, 32, 1),
        (5, 32, 2),
        (5, 2, 2),  # 0 | 0 and 1 | 1 and 2: each segment knows the last frame before it
        (5, 3, 2),
    ],
)
def test_mdp3_counts_the_copies_it_has_to_take(k: int, segment_frames: int, n_flat: int) -> None:
    vectors, query = units(3, 0)[[0, 0, 1, 1, 2]], units(1, 1)[0]
    found = mdp3(vectors, query, num_frames=k, settings=Mdp3Settings(segment_frames=segment_frames))
    assert (len(found.rows), found.n_flat) == (k, n_flat)


def test_mdp3_takes_longer_segments_for_a_larger_budget() -> None:
    vectors, query = units(40, 0), units(1, 1)[0]
    short = Mdp3Settings(segment_frames=5, large_segment_frames=40, small_budget=4)
    whole = Mdp3Settings(segment_frames=40, large_segment_frames=40)
    assert torch.equal(
        mdp3(vectors, query, num_frames=5, settings=short).rows,
        mdp3(vectors, query, num_frames=5, settings=whole).rows,
    )


def volume(basis: Tensor, rows: list[int]) -> float:
    """Squared rectangular volume."""
    return float(torch.linalg.det(basis[rows].T @ basis[rows]))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_no_swap_enlarges_the_volume_of_maxinfo(seed: int) -> None:
    vectors = units(12, seed)
    basis = torch.linalg.svd(vectors, full_matrices=False)[0][:, :3]
    rows = maxinfo(vectors, num_frames=3, settings=MaxInfoSettings(rank=3)).rows.tolist()
    found = volume(basis, rows)
    for place in range(3):
        for other in set(range(12)) - set(rows):
            swapped = [*rows[:place], other, *rows[place + 1 :]]
            assert volume(basis, swapped) <= found * 1.05**2 + 1e-12


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_maxinfo_adds_the_row_with_the_largest_volume(seed: int) -> None:
    vectors, plane = units(12, seed), MaxInfoSettings(rank=2)
    basis = torch.linalg.svd(vectors, full_matrices=False)[0][:, :2]
    rows = maxinfo(vectors, num_frames=2, settings=plane).rows.tolist()
    for k in (3, 4, 5):
        rest = set(range(12)) - set(rows)
        rows = sorted([*rows, max(rest, key=lambda row: volume(basis, [*rows, row]))])
        assert maxinfo(vectors, num_frames=k, settings=plane).rows.tolist() == rows


def test_maxinfo_takes_one_of_each_kind() -> None:
    vectors = torch.eye(4)[[0, 0, 1, 1, 1, 2, 2, 3]]
    rows = maxinfo(vectors, num_frames=4, settings=MaxInfoSettings()).rows
    assert vectors[rows].sum(0).tolist() == [1, 1, 1, 1]


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_maxinfo_counts_what_it_adds_past_the_tolerance_of_rect_maxvol(seed: int) -> None:
    vectors, plane = units(12, seed), MaxInfoSettings(rank=2)
    basis = torch.linalg.svd(vectors, full_matrices=False)[0][:, :2]
    n_added = 0
    for k in range(2, 12):
        rows = maxinfo(vectors, num_frames=k, settings=plane)
        assert rows.n_added == n_added
        coefficients = basis @ torch.linalg.pinv(basis[rows.rows])
        coefficients[rows.rows] = 0
        longest = float(coefficients.norm(dim=1).max())
        assume(abs(longest - 1) > 1e-5)
        n_added += longest <= 1


def test_maxinfo_counts_copies_as_added() -> None:
    vectors = torch.eye(4)[[0, 0, 1, 1, 1, 2, 2, 3]]
    added = [maxinfo(vectors, num_frames=k, settings=MaxInfoSettings()).n_added for k in (2, 4, 6)]
    assert added == [0, 0, 2]


@pytest.mark.filterwarnings("ignore:Level value:UserWarning")
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 16, 33, 100, 101, 600])
def test_coarsest_detail_is_that_of_the_whole_transform(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    levels = max(1, int(np.log2(n)) - 3)
    parts = pywt.wavedec(values, "db4", level=levels)
    only = [part if place == 1 else np.zeros_like(part) for place, part in enumerate(parts)]
    expected = pywt.waverec(only, "db4")[:n]
    found = coarsest_detail(torch.from_numpy(values), levels=levels)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [16, 90, 256, 601])
def test_turning_points_agree_with_pywavelets_and_scipy(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).random(n)
    parts = pywt.wavedec(values, "db4", level=int(np.log2(n)) - 3)
    only = [part if place == 1 else np.zeros_like(part) for place, part in enumerate(parts)]
    change = np.abs(pywt.waverec(only, "db4")[:n])
    expected, _ = scipy_signal.find_peaks(
        change,
        height=change.mean() + 0.5 * change.std(),
        distance=max(5, 0.02 * n),
        prominence=0.05 * np.ptp(change),
    )
    assert turning_points(torch.from_numpy(values), WfsSbSettings()) == expected.tolist()


def test_wfs_sb_goes_to_both_moments_that_score() -> None:
    scores = torch.zeros(128)
    scores[30:40], scores[90:100] = 1.0, 0.9
    rows = wfs_sb(scores, units(128, 0).float(), num_frames=8, settings=WfsSbSettings()).rows
    assert any(30 <= row < 40 for row in rows.tolist())
    assert any(90 <= row < 100 for row in rows.tolist())


@pytest.mark.parametrize(
    ("shares", "capacities", "total", "expected"),
    [
        ([0.5, 0.3, 0.2], [9, 9, 9], 10, [5, 3, 2]),
        ([0.5, 0.3, 0.2], [9, 9, 9], 4, [2, 1, 1]),  # quotas 2, 1.2, .8
        ([0.25, 0.25, 0.25, 0.25], [9, 9, 9, 9], 2, [1, 1, 0, 0]),
        ([0.9, 0.1], [3, 9], 6, [3, 3]),
        ([1.0], [4], 4, [4]),
    ],
)
def test_allot_by_hand(
    shares: list[float], capacities: list[int], total: int, expected: list[int]
) -> None:
    assert allot(shares, capacities, total) == expected


@pytest.mark.parametrize(
    ("importance", "kept"),
    [
        ([0.9, 0.01, 0.9], [0, 1, 2]),  # three parts are all kept
        ([0.5, 0.5, 0.5, 0.1], [0, 1, 2]),  # mean .4, deviation .173: below .192 none
        ([0.5, 0.5, 0.5, 0.2], [0, 1, 2]),  # mean .425, deviation .130: below .269 none
        ([0.5, 0.5, 0.4, 0.4], [0, 1, 2, 3]),  # below .39 none
        ([0.2, 0.1, 0.04, 0.02], [0, 1]),  # mean - 1.2 deviations = .006, so below .05 none
        ([0.03, 0.02, 0.02, 0.02], [0]),  # the most important one stays
    ],
)
def test_unimportant_parts_get_nothing(importance: list[float], kept: list[int]) -> None:
    assert parts_kept(torch.tensor(importance), WfsSbSettings()) == kept


def test_importance_by_hand() -> None:
    values = torch.tensor([0.0, 0.0, 1.0, 0.5], dtype=torch.float64)
    # Half of the length; mean .75; maximum 1; variance .0625 of the video's .171875.
    expected = 0.4 * 0.5 + 0.2 * 0.75 + 0.3 * 1 + 0.1 * 0.0625 / 0.171875
    found = importance_of(values, torch.tensor([2, 3]), WfsSbSettings())
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_a_cold_budget_goes_to_the_most_important_part(seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).random(200))
    values = (values - values.min()) / (values.max() - values.min())
    cold = WfsSbSettings(temperature=1e-4)
    edges = [0, *turning_points(values, cold), 200]
    parts = [torch.arange(start, stop) for start, stop in pairwise(edges)]
    best = max(parts, key=lambda part: float(importance_of(values, part, cold)))
    rows = wfs_sb(values, units(200, seed), num_frames=4, settings=cold).rows
    assert set(rows.tolist()) <= set(best.tolist())


def test_marginal_relevance_by_hand() -> None:
    values = torch.tensor([0.0, 1.0, 0.9, 0.5], dtype=torch.float64)
    # Frame 2 copies frame 1: .5 * .9 - .5 * 1 = -.05; frame 3 is at right angles: .25.
    vectors = torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    part = torch.tensor([1, 2, 3])
    assert diverse_best(values, vectors, part, 2, relevance=0.5).tolist() == [1, 3]
    assert diverse_best(values, vectors, part, 2, relevance=1.0).tolist() == [1, 2]
    assert diverse_best(values, vectors, torch.arange(4), 3, relevance=0.5).tolist() == [1, 3, 2]


def test_wfs_sb_without_a_turn_is_marginal_relevance() -> None:
    scores = torch.tensor([0.1, 0.9, 0.8, 0.2])
    vectors = units(4, 2).float()
    everything = WfsSbSettings(height_deviations=100)
    rows = wfs_sb(scores, vectors, num_frames=2, settings=everything).rows
    values = (scores.double() - 0.1) / 0.8
    expected = diverse_best(values, vectors, torch.arange(4), 2, relevance=0.5)
    assert rows.tolist() == expected.sort().values.tolist()


def test_wfs_sb_gives_a_dull_part_nothing() -> None:
    settings_ = WfsSbSettings(drop_deviations=0.0)  # below the mean importance: no frame
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(256, generator=generator) * 0.05
    for start in (32, 96, 160):
        scores[start : start + 32] += 0.9
    rows = wfs_sb(scores, units(256, 1).float(), num_frames=6, settings=settings_).rows
    assert all(row // 32 in (1, 3, 5) for row in rows.tolist())


def test_wfs_sb_takes_dropped_parts_back_where_the_budget_needs_them() -> None:
    settings_ = WfsSbSettings(drop_deviations=0.0)
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(256, generator=generator) * 0.05
    for start in (32, 96, 160):
        scores[start : start + 32] += 0.9
    vectors = units(256, 1).float()
    n_kept = wfs_sb(scores, vectors, num_frames=1, settings=settings_).n_kept
    edges = [0, *turning_points(stretched(scores), settings_), 256]
    sizes = [stop - start for start, stop in pairwise(edges)]
    within = set(wfs_sb(scores, vectors, num_frames=n_kept, settings=settings_).rows.tolist())
    full = {start for start, size in zip(edges, sizes, strict=False) if start in within}
    assert n_kept == sum(size for start, size in zip(edges, sizes, strict=False) if start in full)
    assert len(full) < len(sizes)
    beyond = wfs_sb(scores, vectors, num_frames=n_kept + 1, settings=settings_).rows.tolist()
    assert not set(beyond) <= within
