"""Selection: exactly k, thresholds, and what coverage promises."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from keyscore_plugin.algorithm.selection import rank, select
from keyscore_plugin.config import Policy, SelectConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import FrameScores

Array = NDArray[np.float64]
TOP = SelectConfig(policy="top")
COVERAGE = SelectConfig(sharpness=3.0, near_seconds=1.0)  # see `objective`
policies = st.sampled_from(["coverage", "top"])
seeds = st.integers(0, 10_000)


def random_case(seed: int, n: int) -> tuple[Tensor, Tensor]:
    """``(n,)`` scores in [0, 1] and uneven rising times."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n, generator=generator, dtype=torch.float64)
    return scores, torch.rand(n, generator=generator, dtype=torch.float64).cumsum(0)


def seconds(n: int, *, fps: float = 2.0) -> Tensor:
    return torch.arange(n, dtype=torch.float64) / fps


@settings(max_examples=60)
@given(n=st.integers(1, 40), k=st.integers(1, 50), seed=seeds, policy=policies)
def test_exactly_k_unique_rising_rows(n: int, k: int, seed: int, policy: Policy) -> None:
    rows = select(*random_case(seed, n), num_frames=k, config=SelectConfig(policy=policy))
    assert rows.dtype == torch.int64
    assert len(rows) == min(k, n)
    assert bool((rows.diff() > 0).all())
    assert 0 <= int(rows[0]) <= int(rows[-1]) < n


@pytest.mark.parametrize("policy", ["coverage", "top"])
@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_exactly_k_when_nothing_tells_the_frames_apart(policy: Policy, k: int) -> None:
    for scores in (torch.zeros(6), torch.tensor([1.0, 0, 0, 0, 0, 0])):
        for times in (torch.zeros(6), torch.tensor([0.0, 0, 0, 5, 5, 5])):
            rows = select(scores, times, num_frames=k, config=SelectConfig(policy=policy))
            assert len(set(rows.tolist())) == k


@pytest.mark.parametrize(
    ("scores", "k", "rows"),
    [
        ([0.1, 0.9, 0.5], 1, [1]),
        ([0.1, 0.9, 0.5], 2, [1, 2]),
        ([0.5, 0.5, 0.5, 0.9], 2, [0, 3]),  # equal scores go to the earlier frame
        ([0.2, 0.2], 1, [0]),
        ([-3.0, -1.0, -2.0], 2, [1, 2]),  # any scale
    ],
)
def test_top_ranks_plainly(scores: list[float], k: int, rows: list[int]) -> None:
    values = torch.tensor(scores)
    assert select(values, seconds(len(values)), num_frames=k, config=TOP).tolist() == rows


@pytest.mark.parametrize("policy", ["coverage", "top"])
@pytest.mark.parametrize(
    ("threshold", "rows"),
    [
        (0.7, [1, 3]),  # a float32 .7 reaches .7
        (0.71, [3]),
        (0.95, [3]),  # nothing reaches it: the best, and the earlier of two
        (math.inf, [3]),
        (0.0, [0, 1, 2, 3, 4]),
        (-math.inf, [0, 1, 2, 3, 4]),
    ],
)
def test_threshold_by_hand(policy: Policy, threshold: float, rows: list[int]) -> None:
    scores = torch.tensor([0.0, 0.7, 0.6, 0.9, 0.1])
    config = SelectConfig(policy=policy)
    assert select(scores, seconds(5), threshold=threshold, config=config).tolist() == rows


def test_the_best_of_equals_below_the_threshold_is_the_earlier() -> None:
    assert select(torch.tensor([0.1, 0.4, 0.4]), seconds(3), threshold=0.5).tolist() == [1]


@settings(max_examples=60)
@given(n=st.integers(1, 30), seed=seeds, low=st.floats(0, 1), step=st.floats(0, 1))
def test_a_lower_threshold_keeps_a_superset(n: int, seed: int, low: float, step: float) -> None:
    scores, times = random_case(seed, n)
    few = select(scores, times, threshold=low + step, config=TOP)
    many = select(scores, times, threshold=low, config=TOP)
    assert set(few.tolist()) <= set(many.tolist())


@settings(max_examples=60)
@given(n=st.integers(1, 40), seed=seeds, threshold=st.floats(0, 1), policy=policies)
def test_a_threshold_is_kept_and_so_is_the_most(
    n: int, seed: int, threshold: float, policy: Policy
) -> None:
    scores, times = random_case(seed, n)
    config = SelectConfig(policy=policy, max_frames=7)
    rows = select(scores, times, threshold=threshold, config=config)
    n_enough = int((scores >= threshold).sum())
    assert len(rows) == max(1, min(n_enough, 7))
    assert bool((scores[rows] >= threshold).all()) or (
        n_enough == 0 and rows.tolist() == [int(scores.argmax())]
    )


def objective(scores: Array, times: Array) -> Array:
    """``(n, n)`` cover of moment i by frame j under `COVERAGE`, as documented; n >= 2."""
    halves = np.diff(times, prepend=2 * times[0] - times[1], append=2 * times[-1] - times[-2]) / 2
    timeline = 2 - np.exp(-halves[:-1]) - np.exp(-halves[1:])
    relevance = ((scores - scores.min()) / (scores.max() - scores.min())) ** 3 * timeline
    relevance /= relevance.sum()
    cover: Array = relevance[:, None] * np.exp(-np.abs(times[:, None] - times[None, :]))
    return cover


def covered(cover: Array, rows: Sequence[int]) -> float:
    return float(cover[:, list(rows)].max(axis=1).sum())


@settings(max_examples=80)
@given(n=st.integers(2, 9), k=st.integers(1, 4), seed=seeds, spread=st.sampled_from([0.1, 0.3]))
def test_coverage_reaches_the_greedy_bound_of_the_best_set(
    n: int, k: int, seed: int, spread: float
) -> None:
    scores, times = random_case(seed, n)
    times = times * spread
    k = min(k, n)
    rows = select(scores, times, num_frames=k, duration_seconds=spread * n, config=COVERAGE)
    cover = objective(scores.numpy(), times.numpy())
    best = max(covered(cover, a) for a in itertools.combinations(range(n), k))
    reached = covered(cover, rows.tolist())
    assert reached >= (1 - 1 / math.e) * best
    if k == 1:
        assert reached == pytest.approx(best, abs=1e-9)


def test_coverage_is_near_the_best_set_and_not_below_uniform() -> None:
    for seed in range(40):
        scores, times = random_case(seed, 14)
        cover = objective(scores.numpy(), times.numpy())
        rows = select(scores, times, num_frames=4, duration_seconds=7, config=COVERAGE)
        reached = covered(cover, rows.tolist())
        best = max(covered(cover, a) for a in itertools.combinations(range(14), 4))
        assert reached >= 0.97 * best
        assert reached >= covered(cover, (1, 5, 8, 12)) - 1e-9


def test_no_frame_would_cover_more_elsewhere_between_its_neighbours() -> None:
    for seed in range(30):
        scores, times = random_case(seed, 24)
        times = times / 4  # so short that the bound allows every set
        cover = objective(scores.numpy(), times.numpy())
        rows = select(scores, times, num_frames=5, duration_seconds=3, config=COVERAGE).tolist()
        fences = [-1, *rows, 24]
        for i, row in enumerate(rows):
            others = [other for other in rows if other != row]
            places = range(fences[i] + 1, fences[i + 2])
            best = max(covered(cover, [*others, place]) for place in places)
            assert covered(cover, rows) >= best - 1e-9


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 8, 16, 32, 64])
@pytest.mark.parametrize("level", [0.0, 0.25])
def test_constant_scores_are_sampled_evenly(k: int, level: float) -> None:
    n = 100
    rows = select(torch.full((n,), level), seconds(n), num_frames=k)
    farthest = (torch.arange(n)[:, None] - rows).abs().min(dim=1).values.max()
    assert int(farthest) <= n / k / 2 + 1  # half of an even share, and one row for rounding
    noisy = torch.full((n,), level) + 1e-8 * torch.rand(n, generator=torch.manual_seed(0)) * level
    assert torch.equal(select(noisy, seconds(n), num_frames=k), rows)


@pytest.mark.parametrize("where", [0, 45, 95, 190])
def test_one_strong_moment_does_not_eat_the_budget(where: int) -> None:
    # 100 s at 2 fps, all the same but for 5 s that score.
    scores = torch.zeros(200)
    scores[where : where + 10] = 1
    top = select(scores, seconds(200), num_frames=8, config=TOP)
    assert all(where <= row < where + 10 for row in top.tolist())
    rows = select(scores, seconds(200), num_frames=8)
    assert 1 <= int(((rows >= where) & (rows < where + 10)).sum()) <= 7
    farthest = (seconds(200)[:, None] - rows / 2).abs().min(dim=1).values.max()
    assert float(farthest) <= 4 * 100 / 8 / 2


def test_the_best_moment_comes_first() -> None:
    scores = torch.zeros(200)
    scores[140:150] = 1
    assert 140 <= int(select(scores, seconds(200), num_frames=1)) < 150


def test_every_of_two_moments_gets_a_frame_before_one_gets_two() -> None:
    scores = torch.zeros(200)
    scores[20:30] = 1
    scores[150:160] = 0.8
    first, second = select(scores, seconds(200), num_frames=2).tolist()
    assert 20 <= first < 30
    assert 150 <= second < 160


def test_a_part_that_was_looked_at_more_often_does_not_weigh_more() -> None:
    # The first 10 s at 10 fps, the next 10 s at 1 fps, scores equal: the frames still spread.
    times = torch.cat([torch.arange(100) / 10, 10 + torch.arange(10).double()])
    chosen = times[select(torch.ones(110), times, num_frames=4, duration_seconds=20)]
    assert [int((chosen < 10).sum()), int((chosen >= 10).sum())] == [2, 2]


@settings(max_examples=40)
@given(n=st.integers(1, 40), k=st.integers(1, 12), seed=seeds, shift=st.integers(-100, 10_000))
def test_a_shift_in_time_changes_nothing(n: int, k: int, seed: int, shift: int) -> None:
    scores, times = random_case(seed, n)
    times = (times * 64).round() / 64  # so that the shift is exact
    straight = select(scores, times, num_frames=k)
    assert torch.equal(select(scores, times + shift, num_frames=k), straight)


@settings(max_examples=40)
@given(n=st.integers(1, 40), k=st.integers(1, 12), seed=seeds, policy=policies)
def test_the_scale_of_the_scores_changes_nothing(n: int, k: int, seed: int, policy: Policy) -> None:
    scores, times = random_case(seed, n)
    config = SelectConfig(policy=policy)
    scaled = select(scores * 8 - 2, times, num_frames=k, config=config)
    assert torch.equal(scaled, select(scores, times, num_frames=k, config=config))


@settings(max_examples=30)
@given(n=st.integers(2, 40), k=st.integers(1, 12), seed=seeds)
def test_coverage_never_covers_less_with_a_larger_budget(n: int, k: int, seed: int) -> None:
    scores, times = random_case(seed, n)
    times = times / 5  # so short that the bound allows every set
    cover = objective(scores.numpy(), times.numpy())
    few, many = (
        select(scores, times, num_frames=budget, config=COVERAGE).tolist() for budget in (k, k + 4)
    )
    assert covered(cover, many) >= covered(cover, few) - 1e-9


@settings(max_examples=150)
@given(
    n=st.integers(8, 300),
    k=st.integers(1, 60),
    fps=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    power=st.sampled_from([1, 8, 40]),
    seed=seeds,
)
def test_no_moment_is_5_s_away_if_two_thirds_of_the_budget_can_help_it(
    n: int, k: int, fps: float, power: int, seed: int
) -> None:
    scores = random_case(seed, n)[0] ** power  # a high power leaves few moments that score
    times = seconds(n, fps=fps)
    rows = select(scores, times, num_frames=k)
    chosen, start, end = times[rows], -0.5 / fps, float(times[-1]) + 0.5 / fps
    farthest = max(
        float(chosen[0]) - start,
        end - float(chosen[-1]),
        float(chosen.diff().max()) / 2 if len(chosen) > 1 else 0.0,
    )
    # Frames 10 s apart, moved to the frames at hand, are one gap closer at most.
    n_needed = math.ceil((end - start) / (10 - 1 / fps))
    if n_needed <= 2 / 3 * min(k, n):
        assert farthest <= 5 + 1e-6
    elif k >= 8:
        assert farthest <= 4 * (n / fps) / min(k, n) / 2 + 1 / fps


@pytest.mark.parametrize("gap", [10.5, 60.0])
def test_a_gap_between_frames_lifts_the_bound_from_no_other_moment(gap: float) -> None:
    """A screen at rest, or two keyframes: no frame is within 5 s of the middle of the gap."""
    times = torch.cat([seconds(80), seconds(80) + 40 + gap])
    scores = torch.zeros(160).index_fill(0, torch.arange(3, 9), 1.0)
    chosen = times[select(scores, times, num_frames=24)]
    moments = torch.arange(0, float(times[-1]), 0.25, dtype=torch.float64)
    near_any, near_chosen = (
        (moments[:, None] - some).abs().amin(dim=1) <= 5 + 1e-6 for some in (times, chosen)
    )
    assert torch.equal(near_any, near_chosen)


@settings(max_examples=60)
@given(
    n=st.integers(20, 200), k=st.integers(1, 30), gap=st.sampled_from([4.0, 7.5, 20.0]), seed=seeds
)
def test_the_longest_gap_is_kept_or_the_error_says_with_how_many_frames_it_could_be(
    n: int, k: int, gap: float, seed: int
) -> None:
    scores, times = random_case(seed, n)[0] ** 20, seconds(n)
    config = SelectConfig(max_gap_seconds=gap)
    try:
        rows = select(scores, times, num_frames=k, config=config)
    except InputError as error:
        found = re.search(r"at least (\d+)", str(error))
        assert found is not None
        k = int(found[1])
        with pytest.raises(InputError, match="cannot be kept"):
            select(scores, times, num_frames=k - 1, config=config)
        rows = select(scores, times, num_frames=k, config=config)
    chosen = times[rows]
    assert len(rows) == min(k, n)
    assert float(chosen[0]) + 0.25 <= gap / 2 + 1e-6
    assert float(times[-1] - chosen[-1]) + 0.25 <= gap / 2 + 1e-6
    assert all(float(step) <= gap + 1e-6 for step in chosen.diff())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 40, "times": [0.0, 0.5, 30.0, 30.5]}, "raise grid.sample_fps"),
        ({"threshold": 0.5, "times": [0.0, 0.5, 1.0, 1.5]}, "give num_frames instead"),
    ],
)
def test_a_gap_that_no_budget_keeps_is_one_clear_line(
    arguments: dict[str, Any], message: str
) -> None:
    times = torch.tensor(arguments.pop("times"), dtype=torch.float64)
    with pytest.raises(InputError, match=message) as caught:
        select(torch.rand(4), times, config=SelectConfig(max_gap_seconds=10), **arguments)
    assert "\n" not in str(caught.value)


def test_a_frame_without_neighbours_stands_for_no_more_than_it_covers() -> None:
    """Most of a minute was not looked at: that makes the frame in its middle no better."""
    times = torch.tensor([*torch.arange(10) / 2, 30.0, 60.0], dtype=torch.float64)
    scores = torch.tensor([0.9] * 10 + [0.8, 0.0])
    assert int(select(scores, times, num_frames=1)) < 10


@settings(max_examples=40)
@given(n=st.integers(1, 60), k=st.integers(1, 12), seed=seeds, policy=policies)
def test_the_rank_orders_all_chosen_frames_and_the_best_comes_first(
    n: int, k: int, seed: int, policy: Policy
) -> None:
    scores, times = random_case(seed, n)
    config = SelectConfig(policy=policy, sharpness=3.0)
    rows = select(scores, times, num_frames=k, config=config)
    places = rank(scores, times, rows, config=config)
    assert sorted(places.tolist()) == list(range(len(rows)))
    order = rows[places.argsort()].tolist()
    if policy == "top":
        assert order == sorted(order, key=lambda row: -float(scores[row]))
    elif n > 1:
        cover = objective(scores.numpy(), times.numpy())
        for size in range(1, len(order) + 1):
            best = max(covered(cover, [*order[: size - 1], row]) for row in order[size - 1 :])
            assert covered(cover, order[:size]) >= best - 1e-9


def test_long_videos_need_no_square_of_memory() -> None:
    scores, times = random_case(0, 100_000)  # an n x n matrix would take 80 GB
    assert len(select(scores, times, num_frames=2)) == 2


@pytest.mark.parametrize("policy", ["coverage", "top"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float16, torch.bfloat16])
def test_scores_of_any_number_type(policy: Policy, dtype: torch.dtype) -> None:
    scores = torch.tensor([0, 0, 0, 1]).to(dtype)
    config = SelectConfig(policy=policy)
    assert select(scores, seconds(4), num_frames=1, config=config).tolist() == [3]
    assert select(scores, seconds(4), threshold=0.5, config=config).tolist() == [3]


def test_scores_are_ranked_by_their_total() -> None:
    total = torch.tensor([0.1, 0.9, 0.3])
    other = torch.tensor([1.0, 0.0, 1.0])
    names = [f.name for f in fields(FrameScores)]
    scores = FrameScores(**{name: total if name == "total" else other for name in names})
    assert select(scores, seconds(3), num_frames=2, config=TOP).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("given_arguments", "message"),
    [
        ({}, "exactly one of num_frames and threshold"),
        ({"num_frames": 2, "threshold": 0.5}, "exactly one of num_frames and threshold"),
        ({"num_frames": 0}, "at least 1, got 0"),
        ({"num_frames": -3}, "at least 1, got -3"),
        ({"num_frames": 2.0}, "integer of at least 1, got 2.0"),
        ({"num_frames": True}, "integer of at least 1, got True"),
        ({"num_frames": "4"}, "integer of at least 1, got '4'"),
        ({"threshold": math.nan}, "threshold must be a number, got nan"),
        ({"threshold": "0.5"}, "threshold must be a number, got '0.5'"),
        ({"threshold": True}, "threshold must be a number, got True"),
        ({"num_frames": 2, "duration_seconds": 0}, "duration_seconds .* got 0"),
        ({"num_frames": 2, "duration_seconds": math.nan}, "duration_seconds .* got nan"),
    ],
)
def test_bad_arguments_are_one_clear_line(given_arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        select(torch.rand(4), seconds(4), **given_arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scores", "times", "message"),
    [
        (torch.tensor([0.1, math.nan]), seconds(2), "scores must be finite.*1 of 2.*row 1"),
        (torch.tensor([math.inf, 0.1]), seconds(2), "scores must be finite.*row 0"),
        (torch.rand(2), torch.tensor([0.0, math.nan]), "pts_seconds must be finite"),
        (torch.rand(2), torch.tensor([1.0, 0.0]), "time order"),
        (torch.rand(2), seconds(3), r"scores \(2,\) and pts_seconds \(3,\)"),
        (torch.rand(2, 1), seconds(2), r"scores \(2, 1\)"),
        (torch.empty(0), seconds(0), "at least one frame"),
    ],
)
def test_scores_and_times_must_fit(scores: Tensor, times: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        select(scores, times, num_frames=1)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("k", [1, 2, 8, 64])
@pytest.mark.parametrize(
    "scores", [torch.ones(600), torch.rand(600, generator=torch.manual_seed(1))]
)
def test_a_gpu_gives_the_same_selection(k: int, scores: Tensor) -> None:
    rows = select(scores.cuda(), seconds(600), num_frames=k)
    assert rows.device.type == "cuda"
    assert torch.equal(rows.cpu(), select(scores, seconds(600), num_frames=k))
