"""The shape of every evaluation: cells, figures, tables, records, missing data."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats

from evals.harness.bench import require_samplers
from evals.harness.cells import Cell, make_cells
from evals.harness.data import require_files
from evals.harness.figures import Figure, bootstrap, clustered_mean, mean_figure
from evals.harness.plot import Plot, draw
from evals.harness.records import claim, journal_path, read_records
from evals.harness.result import Result, Row
from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.config import SamplerConfig, ScoreConfig
from keyscore_plugin.errors import InputError


def test_every_sampler_meets_every_budget_and_threshold() -> None:
    cells = make_cells(["a", "b"], [4, None], [0.5])
    assert [cell.key for cell in cells] == ["a@4", "a@own", "a@t0.5", "b@4", "b@own", "b@t0.5"]


def test_a_sampler_may_bring_its_own_budget() -> None:
    cells = make_cells(["uniform@8", "stacfp@own", "keyscore@t0.25", "topk"], [2], [])
    assert cells == (
        Cell("uniform", num_frames=8),
        Cell("stacfp"),
        Cell("keyscore", threshold=0.25),
        Cell("topk", num_frames=2),
    )


@pytest.mark.parametrize(
    ("terms", "weights"),
    [
        ("S", (1.0, 0.0, 0.0)),
        ("T", (0.0, 1.0, 0.0)),
        ("D+S", (0.5, 0.0, 0.5)),
        ("S+T", (2 / 3, 1 / 3, 0.0)),
        ("S+T+D", (0.4, 0.2, 0.4)),
    ],
)
def test_terms_keep_the_ratio_of_their_weights(
    terms: str, weights: tuple[float, float, float]
) -> None:
    given = SamplerConfig(score=ScoreConfig(alpha=0.4, beta=0.2, gamma=0.4))
    score = Cell(f"keyscore:{terms}").config(given).score
    assert (score.alpha, score.beta, score.gamma) == pytest.approx(weights)


def test_terms_without_a_weight_count_alike() -> None:
    given = SamplerConfig(score=ScoreConfig(alpha=1.0, beta=0.0, gamma=0.0))
    score = Cell("keyscore:T+D").config(given).score
    assert (score.alpha, score.beta, score.gamma) == (0.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("samplers", "named"),
    [
        (["keyscore:X"], "'X'"),
        (["keyscore:S+S"], "S+S"),
        (["keyscore:"], "''"),
        (["topk:S"], "only keyscore has terms"),
        (["uniform@many"], "uniform@many"),
        (["uniform@tall"], "uniform@tall"),
        (["uniform", "uniform@8"], "uniform@8 was asked for twice"),
        (["topk@t0.12345678", "topk@t0.12345679"], "topk@t0.123457 was asked for twice"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(samplers: list[str], named: str) -> None:
    with pytest.raises(InputError) as error:
        make_cells(samplers, [8], [])
    assert named in str(error.value)


def test_a_threshold_needs_a_sampler_that_ranks() -> None:
    require_samplers(make_cells(["keyscore", "topk"], [8], [0.5]))
    with pytest.raises(InputError, match=r"uniform@t0\.5"):
        require_samplers(make_cells(["uniform"], [8], [0.5]))


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).normal(size=200)
    ours = mean_figure(values.tolist(), seed=0)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_a_seed_gives_the_same_interval_again_and_to_every_sampler_the_same_rows() -> None:
    drawn: list[list[list[int]]] = []
    for _ in range(2):
        rows_seen: list[list[int]] = []
        drawn.append(rows_seen)

        def note(rows: np.typing.NDArray[np.int64], into: list[list[int]] = rows_seen) -> float:
            into.append(rows.tolist())
            return 0.0

        bootstrap(note, 5, seed=7)
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 1001
    assert drawn[0][-1] == [0, 1, 2, 3, 4]


def test_clusters_are_resampled_whole() -> None:
    values = np.random.default_rng(5).random(40)
    of_one_each = clustered_mean(values.tolist(), np.arange(40), seed=3)
    alone = mean_figure(values.tolist(), seed=3)
    assert (of_one_each.low, of_one_each.high) == pytest.approx((alone.low, alone.high))
    # Every row three times over tells no more than once.
    thrice = clustered_mean(np.tile(values, 3).tolist(), np.tile(np.arange(40), 3), seed=3)
    assert thrice.value == pytest.approx(alone.value)
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high))


def test_nothing_has_no_mean() -> None:
    with pytest.raises(InputError, match="0 rows"):
        mean_figure([], seed=0)


RESULT = Result(
    "colours",
    {"seed": 0},
    {"python": "3.12.1"},
    ["broken"],
    [
        Row({"sampler": "a", "num_frames": 4, "threshold": None}, 3, {"hit": Figure(0.5, 0.25, 1)}),
        Row({"sampler": "a", "num_frames": 8, "threshold": None}, 3, {"hit": Figure(1.0)}),
        Row({"sampler": "b", "num_frames": None, "threshold": None}, 3, {"MedR": Figure(12.0)}),
    ],
)


def test_the_table_shows_every_figure_and_what_was_left_out() -> None:
    assert RESULT.to_markdown() == (
        "| sampler | num_frames | n | hit | MedR |\n"
        "|---|---|---|---|---|\n"
        "| a | 4 | 3 | 0.500 [0.250, 1.000] |  |\n"
        "| a | 8 | 3 | 1.000 |  |\n"
        "| b |  | 3 |  | 12.0 |\n"
        "\n"
        "Left out by name: broken.\n"
    )


def test_the_result_names_its_versions_and_survives_json() -> None:
    value = json.loads(json.dumps(RESULT.to_dict()))
    assert value["versions"] == {"python": "3.12.1"}
    assert value["rows"][0]["figures"]["hit"] == {"value": 0.5, "low": 0.25, "high": 1}
    assert value["left_out"] == ["broken"]


@pytest.mark.parametrize("rows", [RESULT.rows, RESULT.rows[:1]], ids=["lines", "bars"])
def test_the_picture_is_the_same_file_every_time(rows: list[Row], tmp_path: Path) -> None:
    result = Result("colours", {}, {}, [], rows)
    for name in ("one.svg", "two.svg"):
        draw(result, Plot("hit"), tmp_path / name)
    picture = (tmp_path / "one.svg").read_bytes()
    assert picture == (tmp_path / "two.svg").read_bytes()
    assert picture.startswith(b"<?xml")


def test_the_picture_shows_the_rows_it_was_asked_for_and_those_off_its_axis(tmp_path: Path) -> None:
    rows = [
        Row({"sampler": sampler, "num_frames": budget, "clips": clips}, 5, {"hit": Figure(0.5)})
        for clips in ("test", "train")
        for sampler, budget in (("ours", 4), ("ours", 8), (f"all of {clips}", None))
    ]
    with mpl.rc_context({"svg.fonttype": "none"}):  # text as text
        draw(Result("x", {}, {}, [], rows), Plot("hit", only={"clips": "test"}), tmp_path / "a.svg")
    picture = (tmp_path / "a.svg").read_text()
    assert ">all of test</text>" in picture
    assert "all of train" not in picture
    # a line across for what has no place on the axis
    assert picture.count("stroke-dasharray") == 2  # the line, and its sign in the legend


def test_the_number_a_sampler_finds_itself_is_not_dropped_from_its_line(tmp_path: Path) -> None:
    rows = [
        Row({"sampler": "ours", "num_frames": budget}, 5, {"hit": Figure(0.5)})
        for budget in (4, 8, None)
    ]
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw(Result("x", {}, {}, [], rows), Plot("hit"), tmp_path / "a.svg")
    assert ">ours, no num_frames</text>" in (tmp_path / "a.svg").read_text()


def test_missing_files_are_one_line_with_source_and_layout(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(InputError) as error:
        require_files(
            tmp_path, ["a.csv", *"bcde"], source="https://example.org", layout="a.csv, b, c"
        )
    assert str(error.value) == (
        f"4 of 5 files are not under {tmp_path}: b, c, d, ...; "
        "get them from https://example.org and lay them out as a.csv, b, c"
    )


def test_a_line_that_is_being_written_is_no_record(tmp_path: Path) -> None:
    with Journal(journal_path(tmp_path, 0, 1)) as journal:
        journal.append("a", {"hit": 1})
    with journal_path(tmp_path, 0, 1).open("ab") as file:
        file.write(b'{"id": "b", "hi')
    assert read_records(tmp_path) == {"a": {"id": "a", "hit": 1}}


def test_what_measured_replaces_what_failed_whichever_journal_it_is_in(tmp_path: Path) -> None:
    written: list[dict[str, dict[str, Any]]] = [
        {"a": {"hit": 1}, "b": {"error": "x"}},
        {"a": {"error": "y"}},
    ]
    for rank, records in enumerate(written):
        with Journal(journal_path(tmp_path, rank, 2)) as journal:
            for name, record in records.items():
                journal.append(name, record)
    assert read_records(tmp_path) == {"a": {"id": "a", "hit": 1}, "b": {"id": "b", "error": "x"}}


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    claim(tmp_path / "run", {"seed": 0, "encoder": "conse"})
    claim(tmp_path / "run", {"encoder": "conse", "seed": 0})
    with pytest.raises(InputError, match="holds a run with encoder 'conse', this one has 'clip'"):
        claim(tmp_path / "run", {"seed": 0, "encoder": "clip"})


@pytest.mark.parametrize(
    "content",
    [b"junk\n", b'{"id": "a", "hi\n{"id": "b", "hit": 1}\n', b"[1]\n", b'{"id": 1}\n', b"\xff\n"],
)
def test_a_line_that_no_run_wrote_is_named(content: bytes, tmp_path: Path) -> None:
    journal_path(tmp_path, 1, 2).write_bytes(content)
    with pytest.raises(InputError, match=r"records-1-of-2\.jsonl, line 1 is no"):
        read_records(tmp_path)


def test_a_folder_in_place_of_a_journal_is_named(tmp_path: Path) -> None:
    journal_path(tmp_path, 0, 1).mkdir()
    with pytest.raises(InputError, match=r"cannot read .*records-0-of-1\.jsonl"):
        read_records(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "9" * 5000, "\udcff"])
def test_a_foreign_settings_file_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match="give another --out"):
        claim(tmp_path, {"seed": 0})


@pytest.mark.parametrize(
    "module",
    [
        *("hmdb51.__main__", "keyframes.__main__", "lmms.__main__", "needle.__main__"),
        *("needle.joins", "needle.sweep", "retrieval.__main__", "speed.__main__"),
        "summaries.__main__",
    ],
)
def test_the_help_says_what_every_option_is_for(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"evals.{module}").main(["--help"])
    _, _, shown = capsys.readouterr().out.partition("\noptions:\n")
    assert "  --out" in shown or "  --root" in shown
    # An option without a help text is a line alone, with no words below it.
    assert not re.findall(r"^  (-\S+(?: \S+)?)\n(?=  -|\Z)", shown, re.MULTILINE)
