"""Top-1 and F1 of predicted classes, from the confusion matrix.

The F1 scores are those of scikit-learn's ``f1_score`` with its defaults, which the tests hold them
to; a thousand resamples of 6,766 clips are too many for its calls.
"""

import numpy as np

from evals.harness.arrays import Floats, Ints


def confusion(true: Ints, predicted: Ints, n_classes: int) -> Ints:
    """``(n_classes, n_classes)`` counts, true classes down, predicted ones across.

    Args:
        true: ``(n,)`` class numbers.
        predicted: ``(n,)`` class numbers.
        n_classes: How many there are.
    """
    pairs = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def top1(counts: Ints) -> float:
    """Share of clips whose class was predicted."""
    return float(np.trace(counts) / counts.sum())


def macro_f1(counts: Ints) -> float:
    """Mean F1 of the classes that occur, as truth or as prediction.

    Example:
        >>> macro_f1(np.array([[1, 1], [0, 2]]))  # F1 2/3 and 4/5
        0.7333333333333334
    """
    f1, support = _class_f1(counts)
    occurs = support + counts.sum(0) > 0
    return float(f1[occurs].mean())


def weighted_f1(counts: Ints) -> float:
    """Mean F1 of the classes, each weighted by its number of clips.

    Example:
        >>> weighted_f1(np.array([[1, 0], [1, 2]]))  # F1 2/3 of one clip, 4/5 of three
        0.7666666666666667
    """
    f1, support = _class_f1(counts)
    return float(f1 @ support / support.sum())


def _class_f1(counts: Ints) -> tuple[Floats, Ints]:
    """F1 = 2 TP / (2 TP + FP + FN) of every class, 0 where it does not occur; clips of each."""
    support = counts.sum(1)
    either = support + counts.sum(0)  # 2 TP + FP + FN
    return 2 * np.diag(counts) / np.maximum(either, 1), support
