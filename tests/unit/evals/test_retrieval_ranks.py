"""Ranks of evals.retrieval: hand-worked matrices, scipy and scikit-learn as witnesses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from sklearn.metrics import top_k_accuracy_score

from evals.harness.figures import Floats, Ints
from evals.retrieval.ranks import (
    DUAL_SOFTMAX_SCALE,
    Ties,
    dual_softmax,
    text_to_video_ranks,
    video_to_text_ranks,
)
from keyscore_plugin.errors import InputError

# One caption a video. Rows are captions, columns are videos.
PAIRS = np.array(
    [
        [0.9, 0.5, 0.5],  # first, no tie
        [0.7, 0.7, 0.1],  # shares the first place with video 0
        [0.2, 0.2, 0.2],  # all alike
    ]
)
ONE_EACH = np.array([0, 1, 2])

# Video 0 has captions 0 and 1, video 1 has caption 2, video 2 has captions 3, 4 and 5.
MANY = np.array(
    [
        [0.4, 0.6, 0.1],
        [0.8, 0.6, 0.3],
        [0.8, 0.5, 0.3],
        [0.1, 0.9, 0.2],
        [0.1, 0.5, 0.3],
        [0.8, 0.7, 0.3],
    ]
)
MANY_OWNER = np.array([0, 0, 1, 2, 2, 2])


@pytest.mark.parametrize(
    ("similarity", "owner", "ties", "expected"),
    [
        (PAIRS, ONE_EACH, "optimistic", [1, 1, 1]),
        (PAIRS, ONE_EACH, "pessimistic", [1, 2, 3]),
        (MANY, MANY_OWNER, "optimistic", [2, 1, 2, 2, 2, 3]),
        (MANY, MANY_OWNER, "pessimistic", [2, 1, 2, 2, 2, 3]),
    ],
)
def test_text_to_video_ranks_by_hand(
    similarity: Floats, owner: Ints, ties: Ties, expected: list[int]
) -> None:
    assert text_to_video_ranks(similarity, owner, ties=ties).tolist() == expected


@pytest.mark.parametrize(
    ("similarity", "owner", "ties", "expected"),
    [
        # Column 0: .9 .7 .2, own .9. Column 1: .5 .7 .2, own .7. Column 2: .5 .1 .2, own .2.
        (PAIRS, ONE_EACH, "optimistic", [1, 1, 2]),
        (PAIRS, ONE_EACH, "pessimistic", [1, 1, 2]),
        # Column 0: own best .8; captions 2 and 5 of others are as good.
        # Column 1: own .5; better are .6 .6 .9 .7, caption 4 is as good.
        # Column 2: own best .3 (twice, which does not count); 1 and 2 of others are as good.
        (MANY, MANY_OWNER, "optimistic", [1, 5, 1]),
        (MANY, MANY_OWNER, "pessimistic", [3, 6, 3]),
    ],
)
def test_video_to_text_takes_the_best_of_a_videos_captions(
    similarity: Floats, owner: Ints, ties: Ties, expected: list[int]
) -> None:
    assert video_to_text_ranks(similarity, owner, ties=ties).tolist() == expected


def test_dual_softmax_by_hand() -> None:
    # Powers of two: at scale 100 a step of ln(2) / 100 doubles the weight.
    step = np.log(2) / DUAL_SOFTMAX_SCALE
    similarity = np.array([[2 * step, 0.0], [0.0, step], [step, step]])
    # Column 0 has weights 4 : 1 : 2, column 1 has 1 : 2 : 2.
    by_captions = similarity * np.array([[4 / 7, 1 / 5], [1 / 7, 2 / 5], [2 / 7, 2 / 5]])
    np.testing.assert_allclose(dual_softmax(similarity, query_axis=0), by_captions)
    # Row 0 has 4 : 1, row 1 has 1 : 2, row 2 has 1 : 1.
    by_videos = similarity * np.array([[4 / 5, 1 / 5], [1 / 3, 2 / 3], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(dual_softmax(similarity, query_axis=1), by_videos)


@pytest.mark.parametrize("axis", [0, 1])
def test_dual_softmax_agrees_with_scipy(axis: int) -> None:
    similarity = np.random.default_rng(3).uniform(-1, 1, (40, 30))
    expected = similarity * softmax(similarity * DUAL_SOFTMAX_SCALE, axis=axis)
    np.testing.assert_allclose(dual_softmax(similarity, query_axis=axis), expected)


def test_dual_softmax_can_turn_a_wrong_answer_right() -> None:
    # Video 0 attracts both captions; caption 0 wants it more, which leaves video 1 to caption 1.
    similarity = np.array([[0.60, 0.30], [0.50, 0.49]])
    owner = np.array([0, 1])
    assert text_to_video_ranks(similarity, owner, ties="optimistic").tolist() == [1, 2]
    revised = dual_softmax(similarity, query_axis=0)
    assert text_to_video_ranks(revised, owner, ties="optimistic").tolist() == [1, 1]


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_agrees_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    owner = np.concatenate([np.arange(20), rng.integers(0, 20, 60)])
    similarity = rng.normal(size=(80, 20))
    ranks = text_to_video_ranks(similarity, owner, ties="pessimistic")
    expected = top_k_accuracy_score(owner, similarity, k=k, labels=np.arange(20))
    assert (ranks <= k).mean() == pytest.approx(expected)


@given(arrays(np.float64, (7, 4), elements=st.sampled_from([0.0, 0.25, 0.5])))
def test_ranks_are_those_of_a_sorted_list(similarity: Floats) -> None:
    owner = np.array([0, 0, 1, 1, 2, 3, 3])
    for q in range(7):
        others = sorted(similarity[q][np.arange(4) != owner[q]], reverse=True)
        own = similarity[q, owner[q]]
        first = next((i for i, value in enumerate(others) if value <= own), 3)
        last = next((i for i, value in enumerate(others) if value < own), 3)
        assert text_to_video_ranks(similarity, owner, ties="optimistic")[q] == first + 1
        assert text_to_video_ranks(similarity, owner, ties="pessimistic")[q] == last + 1
    for v in range(4):
        others = sorted(similarity[owner != v, v], reverse=True)
        own = max(similarity[owner == v, v])
        first = next((i for i, value in enumerate(others) if value <= own), len(others))
        last = next((i for i, value in enumerate(others) if value < own), len(others))
        assert video_to_text_ranks(similarity, owner, ties="optimistic")[v] == first + 1
        assert video_to_text_ranks(similarity, owner, ties="pessimistic")[v] == last + 1


@pytest.mark.parametrize(
    ("similarity", "owner", "named"),
    [
        (PAIRS, np.array([0, 1]), "3 captions and 3 videos"),
        (PAIRS, np.array([0, 1, 1]), "each video a caption"),
        (PAIRS * np.nan, ONE_EACH, "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(similarity: Floats, owner: Ints, named: str) -> None:
    for ranks in (text_to_video_ranks, video_to_text_ranks):
        with pytest.raises(InputError, match=named):
            ranks(similarity, owner, ties="optimistic")
