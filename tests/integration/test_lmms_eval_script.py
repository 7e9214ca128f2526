"""``python -m evals.lmms``: a table from real runs of a tiny model, and what a second call does."""

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

from evals.lmms.__main__ import main
from evals.lmms.cells import Cell, Figures, Setting, command
from evals.lmms.table import to_markdown
from tests.support.lmms.assets import save_answering, write_clips, write_tasks
from tests.support.lmms.command import environment
from tests.support.requires import require_or_skip

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_samplers_are_compared_at_equal_cost_and_finished_cells_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    require_or_skip("lmms_eval")
    write_clips(tmp_path)
    write_tasks(tmp_path)
    model = save_answering("qwen2_5_vl", tmp_path / "model")
    for name, value in environment(tmp_path, tmp_path / "spy", plugin=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KEYSCORE_SPY")
    out = tmp_path / "out"
    call = [
        *("--model", "qwen2_5_vl", "--tasks", "keyscore_tiny", "--sampler", "stacfp"),
        *("--model-args", f"pretrained={model},device_map=cpu,min_pixels=3136,max_pixels=12544"),
        *("--num-frames", "4", "--out", str(out)),
        *("--", "--device", "cpu", "--include_path", str(tmp_path)),
    ]
    assert main(call) == 0
    table = capfd.readouterr().out
    assert table == (out / "table.md").read_text()
    rows = [[column.strip() for column in line.split("|")[1:-1]] for line in table.splitlines()]
    by_sampler = {row[2]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
    assert list(by_sampler) == ["uniform", "stacfp"]
    assert {row["visual tokens"] for row in by_sampler.values()} == {"28"}
    assert [row["keyframes"] for row in by_sampler.values()] == ["4.0", "2.0"]
    assert by_sampler["uniform"]["delta"] == ""
    # Nothing is run again: a command that could not even start gives the same table.
    monkeypatch.setattr("sys.executable", "/nonexistent")
    assert main(call) == 0
    assert capfd.readouterr().out == table
    assert main([*call, "--limit", "1"]) == 2
    assert "'--limit', '1']; give another --out" in capfd.readouterr().err
    settings = out / "keyscore_tiny" / "stacfp-4" / "settings.json"
    kept = json.loads(settings.read_text())
    assert kept["versions"].keys() >= {"code_sha256", "lmms-eval", "qwen-vl-utils", "torch"}
    kept["versions"]["lmms-eval"] = "0.0.1"
    settings.write_text(json.dumps(kept))
    assert main(call) == 2
    assert "with versions {'lmms-eval': '0.0.1'}, this one has" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("sampler", "budget", "message"),
    [
        ("nope", "8", "lmms: unknown sampler 'nope'; the samplers are: "),
        ("precomputed", "8", "sampler=precomputed and sampler_file=FILE go together; give both"),
        ("topk", "8,0", "--num-frames: expected a whole number of 1 or more, got '0'"),
    ],
)
def test_a_wrong_name_or_budget_is_said_before_any_cell_is_run(
    sampler: str, budget: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--model", "m", "--model-args", "a=b", "--tasks", "t", "--out", str(tmp_path / "out")]
    with suppress(SystemExit):
        assert main([*call, "--sampler", sampler, "--num-frames", budget]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("code", "said"), [(3, "ended with code 3"), (0, "left 0 files of results")]
)
def test_a_run_that_fails_is_said_and_is_no_cell(
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "fails").write_text(f"#!/bin/sh\necho no GPU\nexit {code}\n")
    (tmp_path / "fails").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "fails"))
    out = tmp_path / "out"
    asked = ["--model", "m", "--model-args", "a=b", "--tasks", "t", "--num-frames", "8"]
    assert main([*asked, "--out", str(out)]) == 2
    folder = out / "t" / "uniform-8"
    assert re.search(rf"{said}.*; see {folder / 'output.txt'}$", capfd.readouterr().err, re.M)
    assert (folder / "output.txt").read_text() == "no GPU\n"
    assert not (folder / "cell.json").exists()
    # Nor does it bind what is asked next.
    assert main([*asked, "--out", str(out), "--", "--limit", "1"]) == 2
    assert said in capfd.readouterr().err


def test_several_gpus_go_through_accelerate(tmp_path: Path) -> None:
    cell = Cell(task="videomme", sampler="keyscore", num_frames=32)
    setting = Setting(
        model="qwen3_vl", model_args="pretrained=m", processes=8, options=("--limit", "5")
    )
    words = command(cell, setting, tmp_path)
    assert words[1:5] == ["-m", "accelerate.commands.launch", "--num_processes=8", "-m"]
    arguments = f"pretrained=m,sampler=keyscore,num_frames=32,sampler_log={tmp_path / 'log.jsonl'}"
    assert words[words.index("--model_args") + 1] == arguments
    assert words[-2:] == ["--limit", "5"]


def test_every_score_is_held_against_uniform_at_its_own_budget() -> None:
    scores = {("uniform", 8): 50.0, ("keyscore", 8): 53.5, ("uniform", 16): 55.0}
    cells = {
        Cell(task="t", sampler=sampler, num_frames=n): Figures(
            metric="acc",
            score=score,
            documents=10,
            errors=1,
            keyframes=4,
            visual_tokens=None,
            selection_seconds=0.5,
            end_to_end_seconds=1.5,
        )
        for (sampler, n), score in scores.items()
    }
    rows = to_markdown(cells).splitlines()
    assert rows[3] == "| t | 8 | keyscore | 53.5 | +3.5 | 4.0 | unknown | 0.50 | 1.50 | 10 | 1 |"
    assert json.dumps(rows[2:]).count("+") == 1
