"""AKS, BOLT, Q-Frame and FOCUS: tables by hand, and what the released code was seen to do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin.baselines.adaq import AdaqSettings, adaq
from keyscore_plugin.baselines.aks import PUBLISHED, AksSettings, aks
from keyscore_plugin.baselines.bolt import BoltSettings, bolt, bolt_draws
from keyscore_plugin.baselines.focus import (
    Drawer,
    Focused,
    FocusSettings,
    focus,
    upper_bounds,
)
from keyscore_plugin.baselines.gift import GiftSettings, gift
from keyscore_plugin.baselines.qframe import QFrameSettings, qframe
from keyscore_plugin.baselines.segments import SegmentsSettings, segments


@pytest.mark.parametrize(
    ("scores", "k", "peak_gap", "expected"),
    [
        # floor(log2 4) = 2 halvings, four parts of two frames, the best of each
        ([0.1, 0.2, 0.4, 0.3, 0.0, 1.0, 0.9, 0.8], 4, 0.8, [1, 2, 5, 6]),
        # mean of the best two .75 above the mean: below t1 = .8 the video is halved ...
        ([0, 0, 0, 0, 0, 0, 1, 1], 2, 0.8, [0, 6]),
        # ... above t1 = .7 it is kept whole and gives both frames
        ([0, 0, 0, 0, 0, 0, 1, 1], 2, 0.7, [6, 7]),
        # constant scores: the first frame of each part
        ([3, 3, 3, 3], 2, 0.8, [0, 2]),
        # three frames are parts of one and two
        ([5, 1, 2], 2, 0.8, [0, 2]),
        # fewer frames than the budget: all of them
        ([5, 1, 2], 9, 0.8, [0, 1, 2]),
        # one frame each of two parts, the third one is for the sampler to add
        ([1, 2, 4, 3], 3, 0.8, [1, 2]),
    ],
)
def test_aks_by_hand(scores: list[float], k: int, peak_gap: float, expected: list[int]) -> None:
    chosen = aks(torch.tensor(scores), num_frames=k, settings=AksSettings(peak_gap=peak_gap))
    assert chosen.tolist() == expected


def test_aks_asks_for_a_spread_if_its_settings_do() -> None:
    scores = torch.tensor([0.0, 0, 0, 0, 0, 0, 1, 1])  # standard deviation .433
    kept = AksSettings(peak_gap=0.7, least_std=0.4)
    halved = AksSettings(peak_gap=0.7, least_std=0.45)
    assert aks(scores, num_frames=2, settings=kept).tolist() == [6, 7]
    assert aks(scores, num_frames=2, settings=halved).tolist() == [0, 6]


@pytest.mark.parametrize(
    ("k", "n_found"), [(8, 0), (16, 0), (24, 0), (31, 0), (32, 32), (48, 32), (63, 32), (64, 64)]
)
@given(n=st.integers(200, 1000), seed=st.integers(0, 1000))
@settings(max_examples=8)
def test_aks_as_released_returns_what_it_was_seen_to(
    k: int, n_found: int, n: int, seed: int
) -> None:
    scores = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    assert len(aks(scores, num_frames=k, settings=PUBLISHED)) == n_found


@given(k=st.integers(1, 64), seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_aks_at_a_fitting_depth_leaves_less_than_half_open(k: int, seed: int) -> None:
    scores = torch.rand(300, generator=torch.Generator().manual_seed(seed))
    n_found = len(aks(scores, num_frames=k, settings=AksSettings()))
    assert k / 2 < n_found <= k


@pytest.mark.parametrize(
    ("scores", "k", "draws", "unique"),
    [
        # the mass of frames 2 and 3; u = 1/4, 5/12, 7/12, 3/4
        ([0, 0, 1, 1, 0], 4, [2, 2, 3, 3], [0, 1, 2, 3]),
        # (1/2)^3 : 1 = 1/9 : 8/9; both u are 1/2
        ([1, 0, 2], 2, [2, 2], [0, 2]),
        # one budget, one u = 1/2: ours
        ([1, 0, 2], 1, [2], [2]),
        # constant scores weigh all alike; u = 1/3, 1/2, 2/3 of four frames
        ([7, 7, 7, 7], 3, [1, 1, 2], [0, 1, 2]),
        ([1, 2, 3], 3, [2, 2, 2], [0, 1, 2]),
    ],
)
def test_bolt_by_hand(scores: list[float], k: int, draws: list[int], unique: list[int]) -> None:
    values, cubed = torch.tensor(scores), BoltSettings()
    assert bolt_draws(values, num_frames=k, settings=cubed).tolist() == draws
    assert bolt(values, num_frames=k, settings=cubed).tolist() == unique


def test_bolt_as_released_repeats_frames_on_a_peak() -> None:
    scores = torch.zeros(300)
    scores[100:110] = torch.linspace(0.9, 1, 10)
    draws = bolt_draws(scores, num_frames=32, settings=BoltSettings())
    assert len(set(draws.tolist())) == 10
    assert len(bolt(scores, num_frames=32, settings=BoltSettings())) == 32


@given(seed=st.integers(0, 1000), k=st.integers(1, 40), power=st.sampled_from([1.0, 2.5, 3.0]))
@settings(max_examples=30)
def test_bolt_keeps_every_frame_it_draws(seed: int, k: int, power: float) -> None:
    scores = torch.rand(60, generator=torch.Generator().manual_seed(seed))
    power_of = BoltSettings(power)
    draws = bolt_draws(scores, num_frames=k, settings=power_of).tolist()
    assert set(draws) <= set(bolt(scores, num_frames=k, settings=power_of).tolist())


def test_qframe_draws_frames_as_often_as_the_softmax_says() -> None:
    # logits ln 1, ln 2, ln 5 at temperature 1: probabilities 1/8, 2/8, 5/8
    scores = torch.tensor([1.0, 2, 5]).log()
    counts = torch.zeros(3)
    for seed in range(2000):
        drawn = QFrameSettings(temperature=1, logit_scale=1, seed=seed)
        counts[qframe(scores, num_frames=1, settings=drawn)] += 1
    assert counts.tolist() == pytest.approx([250, 500, 1250], abs=75)


def test_a_cold_qframe_is_top_k() -> None:
    scores = torch.tensor([0.1, 0.5, 0.2, 0.4])
    cold = QFrameSettings(temperature=1e-6)
    assert qframe(scores, num_frames=2, settings=cold).tolist() == [1, 3]


def test_focus_bounds_its_arms_from_above() -> None:
    arms = torch.arange(9).tensor_split(3)
    # Stretched: means .5, .5, 1/3 and variances 0, 1/6, 2/9; N = 8. The last arm has two scores,
    # which lifts its bound by 3 ln 8 (1/2 - 1/3) = 1.04.
    rows = torch.tensor([0, 1, 2, 3, 4, 5, 6, 8])
    scores = torch.tensor([0.5, 0.5, 0.5, 0.0, 0.5, 1.0, 0.0, 2 / 3])
    log_8 = math.log(8)
    assert upper_bounds(tuple(arms), rows, scores).tolist() == pytest.approx(
        [
            0.5 + math.sqrt(2 * log_8 * 1e-6 / 3) + log_8,
            0.5 + math.sqrt(2 * log_8 / 6 / 3) + log_8,
            1 / 3 + math.sqrt(2 * log_8 / 9 / 2) + 3 / 2 * log_8,
        ]
    )


@pytest.mark.parametrize("seed", range(5))
def test_focus_draws_frames_apart_until_there_is_no_room(seed: int) -> None:
    times, flat = torch.arange(20) / 2, torch.zeros(20)
    generator = torch.Generator().manual_seed(seed)
    drawer = Drawer(flat, times, gap_seconds=1.0, temperature=0.06, generator=generator)
    rows = drawer.draw(torch.arange(10), torch.tensor([12]), 20).sort().values
    assert rows[-1] == 12
    assert rows[:-1].max() < 10
    assert rows.diff().min() >= 2  # half seconds
    assert 4 <= len(rows) - 1 <= 5


def test_focus_draws_by_score() -> None:
    scores = torch.tensor([0.0, 0.0, 0.06 * math.log(6), 0.0])  # weights 1 : 1 : 6 : 1
    times, nothing = torch.arange(4.0), torch.empty(0, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    drawer = Drawer(scores, times, gap_seconds=0.0, temperature=0.06, generator=generator)
    drawn = [int(drawer.draw(torch.arange(4), nothing, 1)) for _ in range(900)]
    assert drawn.count(2) == pytest.approx(600, abs=50)


class Counting:
    """Scores rows from a table and counts how often each was asked for."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores
        self.asked: list[int] = []

    def __call__(self, rows: Tensor) -> Tensor:
        self.asked += rows.tolist()
        return self.scores[rows]


def focused(score_rows: Counting, *, k: int, seconds_a_frame: float = 0.5) -> Focused:
    n = len(score_rows.scores)
    return focus(
        score_rows,
        torch.arange(n) * seconds_a_frame,
        num_frames=k,
        duration_seconds=n * seconds_a_frame,
        settings=FocusSettings(),
    )


def test_focus_scores_a_part_of_the_frames_and_none_twice() -> None:
    score_rows = Counting(torch.rand(640, generator=torch.Generator().manual_seed(0)))
    found = focused(score_rows, k=8)
    # 320 s: 20 arms of 16 s, three looks each; five arms looked at every second
    assert len(score_rows.asked) == len(set(score_rows.asked)) <= 20 * 3 + 5 * 16
    assert found.scored.tolist() == sorted(score_rows.asked)
    assert torch.equal(found.scores[found.scored], score_rows.scores[found.scored].double())


def test_focus_looks_where_the_score_is() -> None:
    scores = torch.zeros(640)
    scores[320:352] = 1  # the eleventh arm
    found = focused(Counting(scores), k=8)
    assert sum(320 <= row < 352 for row in found.rows.tolist()) >= 2


def test_focus_misses_what_lies_between_its_looks() -> None:
    """As released: the close look feeds no ranking, and an arm is judged by three frames."""
    scores = torch.full((640,), 0.5)
    scores[::2] = 0.501  # something to rank by
    score_rows = Counting(scores)
    unseen = set(range(640)) - set(focused(score_rows, k=8).scored.tolist())
    scores[min(unseen)] = 1.0
    assert min(unseen) not in focused(Counting(scores), k=8).scored.tolist()


def test_gift_by_hand() -> None:
    # Angles of 0, 10, 90 and 100 degrees; squared distances 2 - 2 cos.
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 90.0, 100.0], dtype=torch.float64))
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    scores = torch.tensor([1.0, 0.9, 0.6, 0.0])
    # Worth: 1 x 2.35 (its largest), .9 x .03 (from the first), .6 x 1.65 (from the second), 0.
    for k, rows in ((1, [0]), (2, [0, 2]), (3, [0, 1, 2])):
        assert gift(scores, vectors, num_frames=k, settings=GiftSettings()).tolist() == rows
    # One at a time: the frame next to a chosen one loses its worth, even if it is more relevant.
    few = GiftSettings(at_once=1)
    near = torch.tensor([1.0, 0.9, 0.6, 0.59])
    assert gift(near, vectors, num_frames=3, settings=few).tolist() == [0, 1, 2]


def test_adaq_draws_as_often_as_the_softmax_says_and_only_from_the_share() -> None:
    scores = torch.tensor([0.0, 0.5, 1.0])  # variance 1/6: logits 0, 6, 12 at a half of it
    narrow, wide = AdaqSettings(), AdaqSettings(temperature=6.0)
    assert adaq(scores, num_frames=3, settings=narrow).tolist() == [2]  # p = .9975 above .9973
    assert adaq(scores, num_frames=3, settings=wide).tolist() == [0, 1, 2]
    counts = [0, 0, 0]
    for seed in range(600):
        drawn = AdaqSettings(temperature=6.0, seed=seed)  # logits 0, .5, 1
        counts[int(adaq(scores, num_frames=1, settings=drawn))] += 1
    weights = [math.exp(logit) for logit in (0.0, 0.5, 1.0)]
    assert counts == pytest.approx([600 * w / sum(weights) for w in weights], abs=50)


def test_segments_takes_the_best_frame_of_the_best_segments() -> None:
    # Four kinds of content, three frames each.
    vectors = torch.eye(4).repeat_interleave(3, dim=0)
    scores = torch.tensor([0.1, 0.2, 0.3, 0.9, 0.8, 0.7, 0.0, 0.1, 0.0, 0.4, 0.6, 0.5])
    two = SegmentsSettings(per_frame=2)
    assert segments(scores, vectors, num_frames=2, settings=two).tolist() == [3, 10]
    assert segments(scores, vectors, num_frames=1, settings=two).tolist() == [3]
