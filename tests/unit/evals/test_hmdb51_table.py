"""HMDB-51's table from hand-made predictions: splits, their mean, and how thresholds are chosen."""

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from evals.harness.cells import make_cells
from evals.harness.result import Row
from evals.hmdb51.sample import Sample
from evals.hmdb51.table import ON_TEST, ON_TRAIN, rows, sweeps
from keyscore_plugin.errors import InputError

TRAIN, TEST, UNUSED = 1, 2, 0
# Eight clips of two classes. Split 1 trains on the first four and tests on the others; split 2 the
# other way round, but for one clip that it does not use.
TRUE = [0, 0, 1, 1, 0, 0, 1, 1]
PARTS = {1: [TRAIN] * 4 + [TEST] * 4, 2: [TEST] * 3 + [UNUSED] + [TRAIN] * 4}
CELLS = make_cells(["uniform@8", "keyscore"], [], [0.2, 0.8, 0.5])
N_SELECTED = {"uniform@8": 8, "keyscore@t0.2": 6, "keyscore@t0.5": 4, "keyscore@t0.8": 2}
PREDICTED = {
    "uniform@8": [0] * 8,
    # right on the first four and wrong on the last four, and the other way round
    "keyscore@t0.2": [0, 0, 1, 1, 1, 1, 0, 0],
    "keyscore@t0.5": [1, 1, 0, 0, 0, 0, 1, 1],
    # as bad as one of them where that one is bad
    "keyscore@t0.8": [1, 1, 0, 0, 1, 1, 0, 0],
}


def sample(parts: dict[int, list[int]] = PARTS) -> Sample:
    return Sample(
        n_classes=51,
        true=np.array(TRUE),
        n_frames=np.array([80, 100, 80, 100, 40, 60, 80, 20]),
        predicted=np.array([PREDICTED[cell.key] for cell in CELLS]),
        n_selected=np.array([[N_SELECTED[cell.key]] * 8 for cell in CELLS]),
        parts={split: np.array(part) for split, part in parts.items()},
    )


TABLE = rows(sample(), CELLS, everything=True, seed=0)


def one(clips: str, sampler: str, threshold: float | str | None, choice: str | None = None) -> Row:
    wanted = {"clips": clips, "sampler": sampler, "threshold": threshold, "choice": choice}
    (found,) = [
        row for row in TABLE if all(row.labels[name] == told for name, told in wanted.items())
    ]
    return found


def scores(predicted: Sequence[int], clips: Sequence[int]) -> dict[str, float]:
    """What scikit-learn says."""
    true, said = np.array(TRUE)[clips], np.array(predicted)[clips]
    return {
        "top-1": accuracy_score(true, said),
        "macro-F1": f1_score(true, said, average="macro"),
        "weighted-F1": f1_score(true, said, average="weighted"),
    }


SETS = {"split 1 test": [4, 5, 6, 7], "split 2 test": [0, 1, 2], "all clips": list(range(8))}


@pytest.mark.parametrize("clips", SETS)
def test_every_cell_has_the_scores_of_scikit_learn(clips: str) -> None:
    for cell in CELLS:
        row = one(clips, cell.sampler, cell.threshold)
        assert row.n == len(SETS[clips])
        for name, value in scores(PREDICTED[cell.key], SETS[clips]).items():
            assert row.figures[name].value == pytest.approx(value)


def test_the_mean_is_over_splits_and_its_spread_is_given() -> None:
    row = one("mean of 2 test splits", "uniform", None)
    each = [scores(PREDICTED["uniform@8"], SETS[f"split {split} test"]) for split in (1, 2)]
    assert row.n == 7
    for name in ("top-1", "macro-F1", "weighted-F1"):
        values = [one_split[name] for one_split in each]
        assert row.figures[name].value == pytest.approx(fmean(values))
        assert row.figures[f"{name} std"].value == pytest.approx(stdev(values))


def test_frames_are_counted_on_the_clips_of_the_row() -> None:
    row = one("split 1 test", "keyscore", 0.5)
    assert row.figures["ASF"].value == 4
    assert row.figures["FRR-UFP"].value == 0.5
    assert row.figures["FRR-Avg"].value == pytest.approx(1 - 4 / 50)  # 40, 60, 80, 20 frames
    assert one("all clips", "keyscore", 0.5).figures["FRR-Avg"].value == pytest.approx(1 - 4 / 70)


def test_the_training_part_chooses_another_threshold_than_the_test_part() -> None:
    # On split 1's training part .2 is always right, on its test part always wrong: there .5 is
    # right. Split 2 is the other way round.
    honest = [
        one(f"split {split} test", "keyscore", threshold, ON_TRAIN)
        for split, threshold in ((1, 0.2), (2, 0.5))
    ]
    paper = [
        one(f"split {split} test", "keyscore", threshold, ON_TEST)
        for split, threshold in ((1, 0.5), (2, 0.2))
    ]
    assert [row.figures["top-1"].value for row in honest] == [0.0, 0.0]
    assert [row.figures["top-1"].value for row in paper] == [1.0, 1.0]
    assert [row.figures["ASF"].value for row in honest] == [6, 4]


def test_the_mean_of_chosen_thresholds_names_them_all() -> None:
    honest = one("mean of 2 test splits", "keyscore", "0.2, 0.5", ON_TRAIN)
    paper = one("mean of 2 test splits", "keyscore", "0.5, 0.2", ON_TEST)
    assert (honest.figures["top-1"].value, paper.figures["top-1"].value) == (0.0, 1.0)
    assert honest.figures["ASF"].value == 5


def test_on_all_clips_only_the_papers_choice_exists_and_ties_save_frames() -> None:
    chosen = [row for row in TABLE if row.labels["clips"] == "all clips" and row.labels["choice"]]
    # .2 and .5 are right on half of the clips each.
    assert [(row.labels["choice"], row.labels["threshold"]) for row in chosen] == [(ON_TEST, 0.5)]


def test_a_sampler_without_a_sweep_has_no_best() -> None:
    assert sweeps(CELLS) == {"keyscore": [1, 3, 2]}  # from the lowest threshold on
    assert sweeps(make_cells(["keyscore@t0.5", "uniform"], [4, 8], [])) == {}


def test_without_the_other_clips_nothing_is_chosen_honestly() -> None:
    table = rows(sample(), CELLS, everything=False, seed=0)
    assert {row.labels["choice"] for row in table} == {None, ON_TEST}
    assert "all clips" not in {row.labels["clips"] for row in table}


def test_one_split_has_no_mean() -> None:
    table = rows(sample({2: PARTS[2]}), CELLS, everything=False, seed=0)
    assert {row.labels["clips"] for row in table} == {"split 2 test"}
    assert not any(name.endswith("std") for row in table for name in row.figures)


def test_intervals_hold_their_value_and_shrink_to_it_where_nothing_varies() -> None:
    for row in TABLE:
        for name, figure in row.figures.items():
            if not name.endswith("std"):
                assert figure.low is not None
                assert figure.high is not None
                assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9
    top1 = one("split 1 test", "keyscore", 0.5).figures["top-1"]
    assert (top1.low, top1.value, top1.high) == (1.0, 1.0, 1.0)
    uniform = one("split 1 test", "uniform", None).figures["top-1"]  # two of four: binomial
    assert (uniform.low, uniform.high) == (0.0, 1.0)


def test_a_split_whose_test_clips_were_all_left_out_is_refused() -> None:
    with pytest.raises(InputError, match="split 2 has no clip left to test on"):
        rows(sample({1: PARTS[1], 2: [UNUSED] * 8}), CELLS, everything=True, seed=0)


def test_a_threshold_is_not_chosen_on_nothing() -> None:
    untrained = {1: [UNUSED] * 4 + [TEST] * 4}
    with pytest.raises(InputError, match="no clip is left to choose a threshold on"):
        rows(sample(untrained), CELLS, everything=True, seed=0)
    rows(sample(untrained), CELLS[:1], everything=True, seed=0)  # nothing to choose
