"""The figures of HMDB-51, compared with hand-computed ones and with scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from evals.harness.figures import N_UFP, frr
from evals.hmdb51.sample import confusion, macro_f1, top1, weighted_f1

CLASSES = 5
PAIRS = st.lists(st.tuples(*[st.integers(0, CLASSES - 1)] * 2), min_size=1, max_size=30)


def test_figures_by_hand() -> None:
    # kick: 3 clips, 2 found; sit: 1 clip, called kick; run: 2 clips, both found.
    true, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 2, 0, 2, 2])
    counts = confusion(true, predicted, 3)
    assert counts.tolist() == [[2, 0, 1], [1, 0, 0], [0, 0, 2]]
    # F1 of kick 2*2/(3+3), of sit 0, of run 2*2/(2+3)
    assert top1(counts) == pytest.approx(4 / 6)
    assert macro_f1(counts) == pytest.approx((2 / 3 + 0 + 4 / 5) / 3)
    assert weighted_f1(counts) == pytest.approx((3 * 2 / 3 + 1 * 0 + 2 * 4 / 5) / 6)


def test_a_class_that_never_occurs_is_in_no_mean() -> None:
    assert macro_f1(confusion(np.array([0, 1]), np.array([0, 1]), 51)) == 1.0


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    # F1 of the true class 2*1/(2+1), of the one that nobody is of: 0
    assert macro_f1(confusion(np.array([0, 0]), np.array([0, 1]), 51)) == pytest.approx(1 / 3)


@given(PAIRS)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, predicted = np.array(pairs, dtype=np.int64).T
    counts = confusion(true, predicted, CLASSES)
    assert counts.tolist() == confusion_matrix(true, predicted, labels=range(CLASSES)).tolist()
    assert top1(counts) == pytest.approx(accuracy_score(true, predicted))
    for ours, average in ((macro_f1, "macro"), (weighted_f1, "weighted")):
        theirs = f1_score(true, predicted, average=average, zero_division=0)
        assert ours(counts) == pytest.approx(theirs)


def test_on_equal_classes_macro_and_weighted_f1_are_one() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(51), 30)  # an official test split
    counts = confusion(true, rng.integers(0, 51, len(true)), 51)
    assert macro_f1(counts) == pytest.approx(weighted_f1(counts))


def test_frames_saved_as_in_the_papers_table_6() -> None:
    # 8 uniform frames are a rate of .915 there, so an average clip has 94 frames.
    assert frr(8, 94) == pytest.approx(0.915, abs=5e-4)
    assert frr(N_UFP, N_UFP) == 0.0
