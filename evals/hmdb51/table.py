"""The table: every cell on every set of clips, and the best threshold, chosen in two ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.harness.cells import Cell
from evals.harness.figures import Mask
from evals.harness.result import Label, Row
from evals.hmdb51.data import Part
from evals.hmdb51.sample import METRICS, Sample, figures
from keyscore_plugin.errors import InputError

# The paper reports "the best F1 obtained across thresholds" (sec. 4.3).
CRITERION = "macro-F1"
ON_TRAIN = "best threshold on the training part"
ON_TEST = "best threshold on these very clips (the paper's)"
ALL_CLIPS = "all clips"


@dataclass(frozen=True, eq=False)
class Clips:
    """One set of clips, or several whose figures are averaged.

    Attributes:
        name: Name in the table.
        masks: ``(n,)`` mask of the clips of each set.
        training: ``(n,)`` mask of the clips on which a threshold may be chosen for each set; empty
            if there are no such clips.
    """

    name: str
    masks: tuple[Mask, ...]
    training: tuple[Mask, ...]


def tests_label(splits: Sequence[int]) -> str:
    """The name of the test part of one split, or of the mean over several, in the table."""
    return f"split {splits[0]} test" if len(splits) == 1 else f"mean of {len(splits)} test splits"


def sets_of(sample: Sample, *, everything: bool) -> list[Clips]:
    """The test part of each split, their mean, and all clips.

    Args:
        sample: Measured clips.
        everything: Whether clips outside the test parts were measured too.
    """
    splits = sorted(sample.parts)
    tests = [_tested(sample, split) for split in splits]
    training = [sample.of_part(split, Part.TRAIN) for split in splits] if everything else []
    sets = [
        Clips(tests_label([split]), (test,), tuple(training[row : row + 1]))
        for row, (split, test) in enumerate(zip(splits, tests, strict=True))
    ]
    if len(splits) > 1:
        sets.append(Clips(tests_label(splits), tuple(tests), tuple(training)))
    if everything:
        sets.append(Clips(ALL_CLIPS, (np.ones(len(sample.true), dtype=bool),), ()))
    return sets


def _tested(sample: Sample, split: int) -> Mask:
    mask = sample.of_part(split, Part.TEST)
    if not mask.any():
        raise InputError(f"split {split} has no clip left to test on; leave fewer out")
    return mask


def rows(sample: Sample, cells: Sequence[Cell], *, everything: bool, seed: int) -> list[Row]:
    """The rows of each set of clips: the cells, then the best thresholds of each sampler."""
    table = []
    for clips in sets_of(sample, everything=everything):
        for cell in range(len(cells)):
            table.append(_row(sample, cells, clips, [cell] * len(clips.masks), seed=seed))
        for swept in sweeps(cells).values():
            for choice, masks in ((ON_TRAIN, clips.training), (ON_TEST, clips.masks)):
                if masks:
                    chosen = [best(sample, swept, mask) for mask in masks]
                    table.append(_row(sample, cells, clips, chosen, choice=choice, seed=seed))
    return table


def sweeps(cells: Sequence[Cell]) -> dict[str, list[int]]:
    """The cells of each sampler that has several thresholds, from the lowest to the highest."""
    by_sampler: dict[str, list[int]] = {}
    for row in sorted(range(len(cells)), key=lambda row: cells[row].threshold or 0.0):
        if cells[row].threshold is not None:
            by_sampler.setdefault(cells[row].sampler, []).append(row)
    return {sampler: swept for sampler, swept in by_sampler.items() if len(swept) > 1}


def best(sample: Sample, swept: Sequence[int], mask: Mask) -> int:
    """The cell with the best `CRITERION` on some clips.

    Of equal cells it is the one with the highest threshold, which chooses the fewest frames.

    Args:
        sample: Measured clips.
        swept: Numbers of the cells, from the lowest threshold to the highest.
        mask: ``(n,)`` mask of the clips.

    Raises:
        InputError: The mask holds no clip.
    """
    clips = np.flatnonzero(mask)
    if not len(clips):
        raise InputError("no clip is left to choose a threshold on; leave fewer out")
    # max takes the first of equal ones.
    return max(reversed(swept), key=lambda cell: METRICS[CRITERION](sample, cell, clips))


def _row(
    sample: Sample,
    cells: Sequence[Cell],
    clips: Clips,
    chosen: Sequence[int],
    *,
    choice: str | None = None,
    seed: int,
) -> Row:
    """One line of the table: for each set of clips the cell with the chosen number."""
    measured = list(zip(clips.masks, chosen, strict=True))
    return Row(
        labels={"clips": clips.name, **_labels([cells[cell] for cell in chosen]), "choice": choice},
        n=int(np.any(clips.masks, axis=0).sum()),
        figures=figures(sample, measured, seed=seed),
    )


def _labels(cells: Sequence[Cell]) -> Mapping[str, Label]:
    """The labels of a cell; cells that differ in the threshold get all thresholds."""
    thresholds = [cell.threshold for cell in cells]
    if len(set(thresholds)) == 1:
        return cells[0].labels
    every = ", ".join(f"{one:g}" for one in thresholds if one is not None)
    return {**cells[0].labels, "threshold": every}
