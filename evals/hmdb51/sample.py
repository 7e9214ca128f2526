"""The measured clips as arrays, and the figures of any part of them.

The F1 scores are those of scikit-learn's ``f1_score`` with its defaults, as the tests check. They
are computed from the confusion matrix here, because a thousand resamples of 6,766 clips would take
its calls too long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

import numpy as np

from evals.harness.cells import Cell
from evals.harness.figures import N_UFP, Figure, Floats, Ints, Mask, bootstrap, frr
from evals.harness.records import Record
from evals.hmdb51.data import Hmdb51, Part


def confusion(true: Ints, predicted: Ints, n_classes: int) -> Ints:
    """``(n_classes, n_classes)`` counts: a row for each true class, a column for a predicted one.

    Args:
        true: ``(n,)`` numbers of the true classes.
        predicted: ``(n,)`` numbers of the predicted classes.
        n_classes: Number of classes.
    """
    pairs = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def top1(counts: Ints) -> float:
    """The share of clips whose class was predicted."""
    return float(np.trace(counts) / counts.sum())


def macro_f1(counts: Ints) -> float:
    """The mean F1 of the classes that occur, as truth or as prediction.

    Example:
        >>> macro_f1(np.array([[1, 1], [0, 2]]))  # F1 2/3 and 4/5
        0.7333333333333334
    """
    f1, support = _class_f1(counts)
    occurs = support + counts.sum(0) > 0
    return float(f1[occurs].mean())


def weighted_f1(counts: Ints) -> float:
    """The mean F1 of the classes, each weighted by its number of clips.

    Example:
        >>> weighted_f1(np.array([[1, 0], [1, 2]]))  # F1 2/3 of one clip, 4/5 of three
        0.7666666666666667
    """
    f1, support = _class_f1(counts)
    return float(f1 @ support / support.sum())


def _class_f1(counts: Ints) -> tuple[Floats, Ints]:
    """F1 = 2 TP / (2 TP + FP + FN) of every class, 0 if it does not occur, and its clips."""
    support = counts.sum(1)
    either = support + counts.sum(0)  # 2 TP + FP + FN
    return 2 * np.diag(counts) / np.maximum(either, 1), support


Metric = Callable[["Sample", int, Ints], float]


@dataclass(frozen=True, eq=False)
class Sample:
    """All clips that were measured. Classes are numbered in the order of `Hmdb51.classes`.

    Attributes:
        n_classes: Number of classes.
        true: ``(n,)`` class of each clip.
        n_frames: ``(n,)`` number of frames of each clip.
        predicted: ``(n_cells, n)`` class that each cell predicts.
        n_selected: ``(n_cells, n)`` number of frames that each cell chose.
        parts: ``(n,)`` part of each clip, by split.
    """

    n_classes: int
    true: Ints
    n_frames: Ints
    predicted: Ints
    n_selected: Ints
    parts: Mapping[int, Ints]

    @classmethod
    def of(cls, data: Hmdb51, records: Mapping[str, Record], cells: Sequence[Cell]) -> "Sample":
        """The records as arrays, without the clips that were left out."""
        number = {label: row for row, label in enumerate(data.classes)}
        clips = [clip for clip in data.clips if clip.id in records]
        kept = [records[clip.id] for clip in clips]

        def of_cells(value: Callable[[Record], int]) -> Ints:
            rows = [[value(one["cells"][cell.key]) for one in kept] for cell in cells]
            return np.array(rows, dtype=np.int64)

        return cls(
            n_classes=len(data.classes),
            true=np.array([number[clip.label] for clip in clips], dtype=np.int64),
            n_frames=np.array([one["n_frames"] for one in kept], dtype=np.int64),
            predicted=of_cells(lambda cell: number[cell["predicted"]]),
            n_selected=of_cells(lambda cell: len(cell["indices"])),
            parts={
                split: np.array([clip.parts[split] for clip in clips], dtype=np.int64)
                for split in data.splits
            },
        )

    def of_part(self, split: int, part: Part) -> Mask:
        """``(n,)`` whether each clip is in this part of a split."""
        return np.asarray(self.parts[split] == part, dtype=np.bool_)

    def confusion(self, cell: int, rows: Ints) -> Ints:
        """The confusion matrix of a cell on some clips."""
        return confusion(self.true[rows], self.predicted[cell][rows], self.n_classes)

    def asf(self, cell: int, rows: Ints) -> float:
        """The average number of frames that a cell chose on some clips."""
        return float(self.n_selected[cell][rows].mean())


METRICS: dict[str, Metric] = {
    "top-1": lambda sample, cell, rows: top1(sample.confusion(cell, rows)),
    "macro-F1": lambda sample, cell, rows: macro_f1(sample.confusion(cell, rows)),
    "weighted-F1": lambda sample, cell, rows: weighted_f1(sample.confusion(cell, rows)),
    "ASF": Sample.asf,
    "FRR-UFP": lambda sample, cell, rows: frr(sample.asf(cell, rows), N_UFP),
    # ours: N_avg of the clips of the row; the paper has one for the data set
    "FRR-Avg": lambda sample, cell, rows: frr(
        sample.asf(cell, rows), float(sample.n_frames[rows].mean())
    ),
}
_SPREAD = ("top-1", "macro-F1", "weighted-F1")


def figures(
    sample: Sample, measured: Sequence[tuple[Mask, int]], *, seed: int
) -> dict[str, Figure]:
    """Every metric, as the mean over several sets of clips, with its interval.

    Official test splits share clips, so the clips of all sets are resampled together. A resample
    that misses a whole set, which happens only with few clips, is the mean over the other sets.

    Args:
        sample: Measured clips.
        measured: Sets of clips, each with the number of a cell.
        seed: Seed of the bootstrap.

    Returns:
        The figures by name; with two sets or more also the standard deviation over them (n - 1).
    """
    clips = np.flatnonzero(np.any([mask for mask, _ in measured], axis=0))

    def mean(metric: Metric, rows: Ints) -> float:
        drawn = clips[rows]
        sets = [(drawn[mask[drawn]], cell) for mask, cell in measured]
        return fmean(metric(sample, cell, chosen) for chosen, cell in sets if len(chosen))

    found = {
        name: bootstrap(partial(mean, metric), len(clips), seed=seed)
        for name, metric in METRICS.items()
    }
    if len(measured) > 1:
        for name in _SPREAD:
            values = [METRICS[name](sample, cell, np.flatnonzero(mask)) for mask, cell in measured]
            found[f"{name} std"] = Figure(stdev(values))
    return found
