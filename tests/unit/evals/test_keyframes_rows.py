"""The table of evals.keyframes: its lines, and the means over videos."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from evals.harness.cells import Cell
from evals.keyframes.evaluation import WITHOUT_ZERO_MATCH, KeyframeEvaluation
from evals.keyframes.ground_truth import Labelled
from evals.keyframes.lines import ORACLE, lines_of
from evals.keyframes.matching import Judgement


def test_every_budget_has_rows_of_uniform_and_random_frames() -> None:
    cells = [
        Cell("keyscore", num_frames=4),
        Cell("topk", num_frames=4),
        Cell("uniform", num_frames=4),
    ]
    assert [line.key for line in lines_of(cells, oracle=False)] == [
        "keyscore@4",
        "topk@4",
        "uniform@4",
        "random@4",
    ]


def test_where_a_sampler_finds_its_number_the_references_take_the_same() -> None:
    lines = lines_of([Cell("keyscore", threshold=0.5), Cell("stacfp")], oracle=False)
    assert [line.key for line in lines] == [
        "keyscore@t0.5",
        "stacfp@own",
        "uniform, as many as keyscore@t0.5",
        "random, as many as keyscore@t0.5",
        "uniform, as many as stacfp@own",
        "random, as many as stacfp@own",
    ]
    assert lines[2].with_budget(7) == Cell("uniform", num_frames=7)
    assert lines[0].with_budget(7) == Cell("keyscore", threshold=0.5)


def test_the_oracle_is_labelled() -> None:
    cells = [Cell("keyscore", num_frames=4), Cell("keyscore", num_frames=8)]
    told = [line for line in lines_of(cells, oracle=True) if line.as_many_as == ORACLE]
    assert [line.cell.sampler for line in told] == ["keyscore", "uniform", "random"]
    assert all(line.labels["as_many_as"] == "ground truth (an oracle)" for line in told)


def test_a_keyframe_that_was_moved_makes_another_run() -> None:
    moved = [
        KeyframeEvaluation("tvsum20", [Labelled("a", Path("a.mp4"), indices)], {"a": title})
        for indices, title in [((3, 8), "A cat"), ((3, 9), "A cat"), ((3, 8), "A dog")]
    ]
    assert len({str(one.settings()) for one in moved}) == 3


@pytest.mark.parametrize(
    ("dataset", "n", "title"),
    [
        ("tvsum20", 20, "tvsum20"),
        ("tvsum20", 19, "tvsum20, 19 of 20 videos"),
        ("summe", 25, "summe"),
        ("summe", 20, "summe, 20 of 25 videos"),
    ],
)
def test_every_row_says_how_many_of_the_published_videos_it_stands_on(
    dataset: str, n: int, title: str
) -> None:
    cells = [Cell("topk", num_frames=4)]
    keys = [line.key for line in lines_of(cells, oracle=False)]
    records = {str(video): {"judged": {key: judged(1) for key in keys}} for video in range(n)}
    rows = KeyframeEvaluation(dataset, []).rows(records, cells)
    assert [(row.labels["dataset"], row.n) for row in rows] == [(title, n)] * 3


def judged(*matches: int) -> list[dict[str, Any]]:
    """Draws of four frames against four true ones."""
    return [asdict(Judgement(m / 4, m / 4, m / 4, m, 4, 0.96)) for m in matches]


def test_a_video_without_a_match_counts_as_zero_and_the_inflated_figure_is_named() -> None:
    records = {
        "a": {"judged": {"topk@4": judged(3), "uniform@4": judged(0), "random@4": judged(1, 0)}},
        "b": {"judged": {"topk@4": judged(1), "uniform@4": judged(0), "random@4": judged(2, 4)}},
        "c": {"judged": {"topk@4": judged(0), "uniform@4": judged(0), "random@4": judged(0, 0)}},
    }
    evaluation = KeyframeEvaluation("tvsum20", [])
    rows = evaluation.rows(records, [Cell("topk", num_frames=4)])
    topk, uniform, random = (row.figures for row in rows)
    assert [row.n for row in rows] == [3, 3, 3]
    assert topk["F1"].value == pytest.approx((0.75 + 0.25 + 0) / 3)
    assert topk[WITHOUT_ZERO_MATCH].value == pytest.approx((0.75 + 0.25) / 2)
    assert topk["zero-match videos"].value == 1
    assert uniform["F1"].value == 0
    assert uniform[WITHOUT_ZERO_MATCH].value == 0
    assert uniform["zero-match videos"].value == 3
    assert random["F1"].value == pytest.approx((0.125 + 0.75 + 0) / 3)
    # Three of six draws matched.
    assert random[WITHOUT_ZERO_MATCH].value == pytest.approx((0.25 + 0.5 + 1) / 3)
    assert random["zero-match videos"].value == pytest.approx(1.5)
    assert "inflated" in WITHOUT_ZERO_MATCH


def test_lines_of_the_same_number_of_frames_stand_together() -> None:
    cells = [Cell("stacfp"), Cell("topk", num_frames=8), Cell("topk", num_frames=4)]
    keys = [line.key for line in lines_of(cells, oracle=False)]
    records = {"a": {"judged": {key: judged(1) for key in keys}}}
    rows = KeyframeEvaluation("tvsum20", []).rows(records, cells)
    assert {row.labels["dataset"] for row in rows} == {"tvsum20, 1 of 20 videos"}
    assert [tuple(row.labels.values())[1:] for row in rows] == [
        ("topk", 4, None, None),
        ("uniform", 4, None, None),
        ("random", 4, None, None),
        ("topk", 8, None, None),
        ("uniform", 8, None, None),
        ("random", 8, None, None),
        ("stacfp", None, None, None),
        ("uniform", None, None, "stacfp@own"),
        ("random", None, None, "stacfp@own"),
    ]
