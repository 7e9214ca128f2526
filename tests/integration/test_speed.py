"""The speed evaluation end to end, small. What it says about time depends on the machine: no test
here looks at a time, all look at what is measured, compared and left out.
"""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evals.speed.__main__ import main
from evals.speed.clips import FPS, long_video
from evals.speed.features import long_histograms
from evals.speed.gpu import measure
from evals.speed.measure import in_turns, peak_megabytes
from evals.speed.table import Table
from keyscore_plugin.video.source import open_video
from tests.support.tiny import FAMILIES, save

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speed")


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    """What a run leaves behind, with an environment of peers that has none."""
    no_peers = folder / "python"
    no_peers.write_text("#!/bin/sh\nexit 7\n")
    no_peers.chmod(0o755)
    out = folder / "out"
    # Less than --quick: each size of a grid costs a process more.
    few = ["--sizes=60", "--k-max=6", "--scored=16", "--clips=0.1@96", "--repeats=1"]
    few.append("--window-seconds=2")
    parts = "--only=clustering,grids,scoring,select,gpu,windows"
    assert main([parts, *few, f"--root={folder}", f"--out={out}", f"--peers={no_peers}"]) == 0
    values: dict[str, Any] = json.loads((out / "speed.json").read_text())
    return values


def lines(results: dict[str, Any], name: str) -> list[dict[str, Any]]:
    (table,) = (table for table in results["tables"] if table["name"] == name)
    found: list[dict[str, Any]] = table["lines"]
    return found


def test_every_figure_is_there_and_finite(results: dict[str, Any], folder: Path) -> None:
    names = [table["name"] for table in results["tables"]]
    assert names == ["clustering", "grids", "scoring", "select", "stages", "gpu", "windows"]
    for table in results["tables"]:
        assert table["lines"] or table["name"] == "gpu"
        for before, line in pairwise(table["lines"]):
            assert list(line) == list(before)
        figures = [cell for line in table["lines"] for cell in line.values()]
        assert all(math.isfinite(cell) for cell in figures if not isinstance(cell, str))
        assert len(table["facts"]) == len(table["lines"])
        for facts in table["facts"]:
            assert {"date", "cores", "CPU", "commit", "threads", "repeats"} <= set(facts)
    markdown = (folder / "out" / "speed.md").read_text()
    assert all(table["title"] in markdown for table in results["tables"])


def test_pictures_are_drawn(results: dict[str, Any], folder: Path) -> None:
    drawn = {path.name for path in (folder / "out").glob("*.svg")}
    assert drawn == {"speed-clustering.svg", "speed-grids.svg", "speed-select.svg"}


def test_both_sides_solve_the_same_task(results: dict[str, Any]) -> None:
    for line in lines(results, "clustering"):
        ours, theirs = line["STACFP silhouette"], line["scikit-learn silhouette"]
        assert ours == pytest.approx(theirs, abs=0.05)
    assert all(line["largest difference"] < 1e-6 for line in lines(results, "scoring"))
    by_job = {line["what"]: line["frames"] for line in lines(results, "select")}
    assert by_job["stacfp"] == by_job["decode the 2 fps grid: the floor"] == 12


def test_each_cheaper_form_of_llmvs_reads_fewer_tokens(results: dict[str, Any]) -> None:
    shares = [line["tokens, of the published"] for line in lines(results, "windows")]
    assert shares[0] == 1
    assert shares[1] < 0.5
    assert shares[1] > shares[2] > shares[3]
    assert shares[5] < shares[2]


def test_without_a_gpu_its_part_says_so_in_one_line(results: dict[str, Any]) -> None:
    (table,) = (table for table in results["tables"] if table["name"] == "gpu")
    if torch.cuda.is_available():
        assert "STACFP and KeyScore" in [line["what"] for line in table["lines"]]
    else:
        assert table["lines"] == []
        assert len(table["notes"]) == 1
        assert "left out" in table["notes"][0]


def test_an_hour_goes_through_every_stage_on_whichever_device() -> None:
    waits: list[None] = []
    stages = measure(30, torch.device("cpu"), wait=lambda: waits.append(None), repeats=1)
    assert set(stages) > {"colours", "scores", "STACFP and KeyScore", "selection"}
    assert all(milliseconds > 0 for milliseconds in stages.values())
    assert len(waits) == 2 * len(stages)  # a warm-up and a turn


def test_a_peer_that_cannot_run_is_named_and_has_no_figure(results: dict[str, Any]) -> None:
    (select,) = (table for table in results["tables"] if table["name"] == "select")
    for peer in ("Katna", "PySceneDetect"):
        assert any(peer in note and "exit code 7" in note for note in select["notes"])
        assert not any(peer in line["what"] for line in select["lines"])


def test_an_enabled_processor_is_compared_with_the_stock_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if FAMILIES["qwen2_5_vl"].missing:
        pytest.skip("transformers has no Qwen2.5-VL")
    processor = save("qwen2_5_vl", folder / "processor")
    out = folder / "out-processor"
    assert main(["--quick", "--only=processor", f"--out={out}", f"--processor={processor}"]) == 0
    table = json.loads((out / "speed.json").read_text())["tables"][0]
    assert [line["processor"] for line in table["lines"]] == ["stock", "enabled"]


def test_without_a_processor_the_table_says_so(folder: Path) -> None:
    out = folder / "out-none"
    assert main(["--quick", "--only=processor", f"--out={out}"]) == 0
    table = json.loads((out / "speed.json").read_text())["tables"][0]
    assert table["lines"] == []
    assert "--processor" in table["notes"][0]


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--only=nonsense", "unknown part 'nonsense'"),
        ("--sizes=60,2", "3 frames or more, got '60,2'"),
        ("--k-max=0", "1 or more, got '0'"),
        ("--repeats=0", "1 or more, got '0'"),
        ("--threads=0", "1 or more, got '0'"),
        ("--clips=5", "1 or more, got ''"),
        ("--clips=0@96", "minutes above 0, got '0'"),
        ("--clips=five@96", "minutes above 0, got 'five'"),
        ("--growth-minutes=1,inf", "minutes above 0, got 'inf'"),
        ("--growth-height=97", "even number of pixels, got '97'"),
    ],
)
def test_what_cannot_be_measured_is_bad_usage(
    argument: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([argument])
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_jobs_take_turns_and_the_median_counts() -> None:
    calls: list[str] = []
    jobs = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert list(in_turns(jobs, repeats=3)) == ["a", "b"]
    assert calls == ["a", "b"] * 3


def test_a_long_video_is_as_long_as_asked_and_made_once(tmp_path: Path) -> None:
    path = long_video(tmp_path, seconds=25, height=48)  # more than one reel
    made = path.stat().st_mtime_ns
    assert long_video(tmp_path, seconds=25, height=48).stat().st_mtime_ns == made
    with open_video(path) as source:
        assert source.n_frames == 25 * FPS
        assert source.height == 48
        assert source.notes == ()
        gaps = source.pts_seconds().diff()[:-8]
        assert gaps.min() == pytest.approx(1 / FPS) == pytest.approx(float(gaps.max()))
        first, again = (source.read([i]).pixels.float() for i in (3, 3 + source_reel(tmp_path)))
    assert (first - again).abs().mean() < 1


def source_reel(folder: Path) -> int:
    """Frames after which the video begins again."""
    with open_video(folder / "48p-reel.mp4") as reel:
        return reel.n_frames


def test_the_peak_of_a_process_is_its_own() -> None:
    """Linux hands a parent's `ru_maxrss` down to the process it starts; that must not show."""
    held = np.ones(300 * 2**20, dtype=np.uint8)
    code = "from evals.speed.measure import peak_megabytes; print(peak_megabytes())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert peak_megabytes() >= held.nbytes / 2**20
    assert float(done.stdout) < 100


def test_features_are_the_same_every_time_and_have_scenes() -> None:
    first, again = (long_histograms(80, seed=5) for _ in range(2))
    assert first.shape == (80, 128)
    assert first.equal(again)
    assert not first.equal(long_histograms(80, seed=6))


def test_a_table_shows_three_digits() -> None:
    table = Table("t", "Title", [{"a": 0.123456, "b": 1234.5, "c": "x", "d": 7}], ["a note"])
    assert table.to_markdown() == (
        "### Title\n\n| a | b | c | d |\n|---|---|---|---|\n| 0.123 | 1234 | x | 7 |\n\n- a note\n"
    )


def test_questions_with_an_index_are_measured(folder: Path) -> None:
    out = folder / "out-index"
    assert main(["--quick", "--only=index", f"--root={folder}", f"--out={out}"]) == 0
    (table,) = json.loads((out / "speed.json").read_text())["tables"]
    assert [line["questions"] for line in table["lines"]] == [1, 1, 1, 1, 2]
    assert all(line["s"] > 0 and line["MB an hour"] > 0 for line in table["lines"])
