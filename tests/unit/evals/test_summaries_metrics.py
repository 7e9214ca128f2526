"""Knapsack, summaries and rank correlations, by hand and against scipy and brute force."""

from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from evals.summaries.agreement import (
    f_scores,
    of_users_with_each_other,
    of_users_with_the_rest,
    with_each_user,
    with_mean_summary,
)
from evals.summaries.h5 import Annotation
from evals.summaries.shots import capacity_of, held, knapsack, shot_means, summarise

items = st.lists(
    st.tuples(st.integers(0, 20).map(float), st.integers(1, 12)), min_size=1, max_size=8
)


@given(items=items, capacity=st.integers(0, 40))
def test_knapsack_agrees_with_brute_force(items: list[tuple[float, int]], capacity: int) -> None:
    values, weights = (np.array(column) for column in zip(*items, strict=True))
    chosen = knapsack(values, weights, capacity)
    best = max(
        values[list(some)].sum()
        for size in range(len(items) + 1)
        for some in combinations(range(len(items)), size)
        if weights[list(some)].sum() <= capacity
    )
    assert values[chosen].sum() == best
    assert weights[chosen].sum() <= capacity
    assert chosen == sorted(set(chosen))


@pytest.mark.parametrize(
    ("values", "weights", "capacity", "chosen"),
    [
        ([6.0, 10.0, 12.0], [1, 2, 3], 5, [1, 2]),
        ([1.0, 1.0], [2, 2], 3, [0]),  # the second adds nothing
        ([5.0], [4], 3, []),
        ([0.0, 0.0], [1, 1], 2, []),  # what is worth nothing is not taken
    ],
)
def test_knapsack_agrees_with_a_table_worked_by_hand(
    values: list[float], weights: list[int], capacity: int, chosen: list[int]
) -> None:
    assert knapsack(np.array(values), np.array(weights), capacity) == chosen


def test_capacity_is_15_percent_rounded_down() -> None:
    assert [capacity_of(n) for n in (6, 7, 19, 20, 100, 140)] == [0, 1, 2, 3, 15, 21]


def test_a_pick_holds_its_score_until_the_next() -> None:
    scores = np.array([0.5, 1.0])
    assert held(scores, np.array([1, 4]), 7).tolist() == [0, 0.5, 0.5, 0.5, 1, 1, 1]


def test_a_summary_worked_by_hand() -> None:
    # 40 frames, so 6 fit. Shot means: 10 frames of .9 (too long), 3 of .4, 4 of .6, 2 of .1, 21 of
    # 0. Of the three that fit, .4 + .1 (5 frames) is worth less than .6 + .1 (6 frames).
    annotation = Annotation(
        key="video_1",
        name=None,
        n_frames=40,
        picks=np.array([0, 10, 13, 17, 19]),
        shots=np.array([[0, 9], [10, 12], [13, 16], [17, 18], [19, 39]]),
        user_summary=np.zeros((1, 40), dtype=np.bool_),
    )
    summary = summarise(np.array([0.9, 0.4, 0.6, 0.1, 0.0]), annotation)
    assert np.flatnonzero(summary).tolist() == [13, 14, 15, 16, 17, 18]


def test_shot_means_are_means_over_frames() -> None:
    means = shot_means(np.array([1.0, 2.0, 3.0, 5.0]), np.array([[0, 0], [1, 3]]))
    assert means.tolist() == pytest.approx([1.0, 10 / 3])


def test_tau_and_rho_of_a_table_worked_by_hand() -> None:
    # Against 1 2 3: the order 1 3 2 has two pairs right and one wrong, tau = 1/3, and
    # rho = 1 - 6 (0 + 1 + 1) / (3 * 8) = 1/2; its reverse has tau = -1/3, rho = -1/2.
    users = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    found = with_each_user(np.array([0.1, 0.9, 0.5]), users)
    assert (found.tau, found.rho) == pytest.approx((1 / 9, 1 / 6))
    assert (found.undefined, found.compared) == (0, 3)


def test_ties_are_counted_as_tau_b() -> None:
    # Scores 0 1 1, user 1 2 3: 2 pairs agree, one ties: tau-b = 2 / sqrt(2 * 3).
    found = with_each_user(np.array([0.0, 1.0, 1.0]), np.array([[1.0, 2.0, 3.0]]))
    assert found.tau == pytest.approx(2 / 6**0.5)


@given(st.integers(0, 2**32 - 1))
def test_agreement_with_users_is_the_mean_of_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, users = rng.random(40), rng.integers(1, 6, (5, 40)).astype(float)
    found = with_each_user(scores, users)
    assert found.tau == pytest.approx(np.mean([kendalltau(scores, u).statistic for u in users]))
    assert found.rho == pytest.approx(np.mean([spearmanr(scores, u).statistic for u in users]))


def test_scaling_a_users_scores_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    scores, users = rng.random(40), rng.integers(1, 6, (5, 40)).astype(float)
    assert with_each_user(scores, users) == with_each_user(scores, users / 5)


def test_a_constant_ranking_counts_as_zero_and_is_counted() -> None:
    users = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    constant = with_each_user(np.ones(3), users)
    assert asdict(constant) == {"tau": 0.0, "rho": 0.0, "undefined": 2, "compared": 2}
    one = with_each_user(np.array([1.0, 2.0, 3.0]), users)
    assert one.tau == pytest.approx(0.5)
    assert (one.undefined, one.compared) == (1, 2)


def test_an_empty_summary_counts_as_zero_and_is_counted() -> None:
    users = np.array([[True, False, False], [True, True, False]])
    found = with_mean_summary(np.zeros(3, dtype=np.bool_), users)
    assert (found.tau, found.rho, found.undefined) == (0.0, 0.0, 1)


def test_a_summary_is_held_against_the_mean_of_the_users() -> None:
    users = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], dtype=np.bool_)
    summary = np.array([True, False, False, True])
    found = with_mean_summary(summary, users)
    mean = [1.0, 0.5, 0.0, 0.5]
    assert found.tau == pytest.approx(kendalltau([1, 0, 0, 1], mean).statistic)
    assert found.rho == pytest.approx(spearmanr([1, 0, 0, 1], mean).statistic)


def test_the_human_anchor_of_tvsum_is_the_mean_over_pairs() -> None:
    users = np.random.default_rng(1).integers(1, 6, (4, 30)).astype(float)
    found = of_users_with_each_other(users)
    left_out = [with_each_user(users[one], np.delete(users, one, axis=0)).tau for one in range(4)]
    assert found.tau == pytest.approx(np.mean(left_out))
    assert found.compared == 6


def test_the_human_anchor_of_summe_leaves_each_user_out() -> None:
    # The two other users of the first one agree on no frame: nothing to rank by.
    users = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=np.bool_)
    expected = [
        kendalltau(users[one], np.delete(users, one, axis=0).mean(axis=0)).statistic
        for one in (1, 2)
    ]
    found = of_users_with_the_rest(users)
    assert found.tau == pytest.approx(sum(expected) / 3)
    assert (found.undefined, found.compared) == (1, 3)


def test_f_scores_of_a_table_worked_by_hand() -> None:
    summary = np.array([1, 1, 0, 0], dtype=np.bool_)
    users = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=np.bool_)
    assert f_scores(summary, users).tolist() == pytest.approx([2 / 3, 1.0, 0.0, 0.0])
    assert f_scores(np.zeros(4, dtype=np.bool_), users).tolist() == [0.0] * 4
