"""A run that is cut off, shared by processes, or short of a video."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate import PartialState

from evals.harness.bench import Bench, Setup
from evals.harness.cells import Cell, make_cells
from evals.harness.evaluation import Unit
from evals.harness.figures import mean_figure
from evals.harness.main import eval_parser, main
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Result, Row
from evals.harness.run import run
from evals.needle.__main__ import main as needle
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError, MemoryEndedError, ModelError
from tests.support.real_clips import write_clip

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIPS = {"cat": ["tabby cat"], "rocket": ["rocket"], "both": ["tabby cat", "rocket"]}


@dataclass
class FrameTimes:
    """The mean time of the chosen frames: as small as an evaluation can be."""

    units: Sequence[Unit]
    measured: list[str] = field(default_factory=list)
    stop_after: int = 99
    name: ClassVar[str] = "frame-times"
    plot: ClassVar[Plot] = Plot("seconds")

    def settings(self) -> dict[str, Any]:
        return {"kind": "test"}

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        if len(self.measured) == self.stop_after:
            raise KeyboardInterrupt
        self.measured.append(unit.id)
        return {cell.key: bench.select(cell).pts_seconds for cell in cells}

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        return [
            Row(
                cell.labels,
                len(records),
                {"seconds": mean_figure([sum(r[cell.key]) for r in records.values()], seed=0)},
            )
            for cell in cells
        ]


SETUP = Setup(make_cells(["uniform", "random"], [2, 3], []), SamplerConfig())


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Unit]:
    folder = tmp_path_factory.mktemp("clips")
    for name, words in CLIPS.items():
        write_clip(folder / f"{name}.mp4", words)
    return [Unit(name, folder / f"{name}.mp4") for name in CLIPS]


def finish(
    evaluation: FrameTimes, out: Path, setup: Setup = SETUP, leave_out: Sequence[str] = ()
) -> Result:
    result = run(evaluation, setup, out=out, state=PartialState(), leave_out=leave_out)
    assert result is not None
    return result


def test_a_run_that_was_cut_off_measures_only_the_rest(units: list[Unit], tmp_path: Path) -> None:
    whole = finish(FrameTimes(units), tmp_path / "whole")
    cut_off = FrameTimes(units, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        finish(cut_off, tmp_path / "parts")
    resumed = FrameTimes(units)
    assert finish(resumed, tmp_path / "parts").to_dict() == whole.to_dict()
    assert (cut_off.measured, resumed.measured) == (["cat", "rocket"], ["both"])
    again = FrameTimes(units)
    assert finish(again, tmp_path / "parts").rows == whole.rows
    assert again.measured == []


def test_a_run_that_measured_nothing_does_not_bind_the_next_one(
    units: list[Unit], tmp_path: Path
) -> None:
    """As where the encoder is not there: its name is only wrong when the first video wants it."""
    absent = replace(SETUP, cells=make_cells(["maxinfo"], [2], []), encoder_asked="/no/encoder")
    with pytest.raises(ModelError, match="/no/encoder"):
        finish(FrameTimes(units), tmp_path, absent)
    finish(FrameTimes(units), tmp_path)
    with pytest.raises(InputError, match="give another --out"):
        finish(FrameTimes(units), tmp_path, absent)


def test_an_unreadable_video_stops_no_other_and_is_no_part_of_a_mean(
    units: list[Unit], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    some = [units[0], Unit("broken", broken), units[1]]
    evaluation = FrameTimes(some)
    with pytest.raises(InputError) as error:
        finish(evaluation, tmp_path / "run")
    assert "1 of 3 videos could not be measured" in str(error.value)
    assert str(broken) in str(error.value)
    assert "--leave-out=broken" in str(error.value)
    assert "\n" not in str(error.value)
    assert evaluation.measured == ["cat", "rocket"]

    # What the line advises works where the others were measured, and measures none again.
    rest = FrameTimes(some)
    left_out = finish(rest, tmp_path / "run", leave_out=["broken", "broken"])
    assert rest.measured == []
    assert {row.n for row in left_out.rows} == {2}
    assert "Left out by name: broken." in left_out.to_markdown()

    broken.write_bytes(units[2].video.read_bytes())  # mended
    mended = FrameTimes(some)
    assert {row.n for row in finish(mended, tmp_path / "run").rows} == {3}
    assert mended.measured == ["broken"]


class OnASmallGpu(FrameTimes):
    """Measures on a GPU that holds all videos but one."""

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        if unit.id == "rocket":
            raise MemoryEndedError("the memory of the device does not hold it")
        return super().measure(unit, bench, cells)


def test_a_video_that_a_memory_does_not_hold_stops_no_other_and_is_tried_again(
    units: list[Unit], tmp_path: Path
) -> None:
    evaluation = OnASmallGpu(units)
    with pytest.raises(InputError, match=r"^1 of 3 videos .*the memory .*--leave-out=rocket$"):
        finish(evaluation, tmp_path)
    assert evaluation.measured == ["cat", "both"]
    on_a_larger_one = FrameTimes(units)
    assert {row.n for row in finish(on_a_larger_one, tmp_path).rows} == {3}
    assert on_a_larger_one.measured == ["rocket"]


def test_one_folder_takes_one_run(units: list[Unit], tmp_path: Path) -> None:
    finish(FrameTimes(units), tmp_path)
    with pytest.raises(InputError, match="holds a run with seed 0, this one has 1"):
        finish(FrameTimes(units), tmp_path, Setup(SETUP.cells, SETUP.config, seed=1))
    with pytest.raises(InputError, match="holds a run with cells"):
        finish(FrameTimes(units), tmp_path, Setup(SETUP.cells[:1], SETUP.config))


@pytest.mark.parametrize("name", ["torch", "av", "tokenizers", "keyscore-plugin", "code_sha256"])
def test_another_version_of_what_computes_does_not_go_on_with_a_run(
    name: str, units: list[Unit], tmp_path: Path
) -> None:
    finish(FrameTimes(units[:1]), tmp_path)
    kept = json.loads((tmp_path / "settings.json").read_text())
    now, kept["versions"][name] = kept["versions"][name], "0.4.1"
    (tmp_path / "settings.json").write_text(json.dumps(kept))
    expected = f"versions {{'{name}': '0.4.1'}}, this one has {{'{name}': '{now}'}}; give another"
    with pytest.raises(InputError, match=re.escape(expected)):
        finish(FrameTimes(units[:1]), tmp_path)


COMMITS_MEANWHILE = """
import subprocess, sys
from pathlib import Path
from accelerate import PartialState
from evals.harness.bench import Setup
from evals.harness.cells import make_cells
from evals.harness.evaluation import Unit
from evals.harness.run import run
from keyscore_plugin.config import SamplerConfig

class Evaluation:
    name, units = "commits", [Unit("cat", Path(sys.argv[1]))]
    settings = lambda self: {}
    rows = lambda self, records, cells: []
    def measure(self, unit, bench, cells):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *author, "commit", "-qam", "second", "--allow-empty"], check=True)
        return {}

setup = Setup(make_cells(["uniform"], [2], []), SamplerConfig())
result = run(Evaluation(), setup, out=Path(sys.argv[2]), state=PartialState())
print(result.to_dict()["versions"]["commit"])
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_in_a_result_is_that_of_the_begin(units: list[Unit], tmp_path: Path) -> None:
    """That of the end may have been made meanwhile, of code that did not run."""
    clone = tmp_path / "clone"
    for name in ("evals", "keyscore_plugin"):
        no_bytes = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, clone / name, ignore=no_bytes)

    def said(*command: str) -> str:
        path = {"PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=clone, env=os.environ | path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    said("git", "init", "--quiet")
    said("git", "add", ".")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    said("git", *author, "commit", "-qm", "first")
    first = said("git", "rev-parse", "HEAD")
    paths = (str(units[0].video), str(tmp_path / "run"))
    assert said(sys.executable, "-c", COMMITS_MEANWHILE, *paths) == first
    assert said("git", "rev-parse", "HEAD") != first


def test_two_videos_of_one_id_are_refused(units: list[Unit], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two videos have the id 'cat'"):
        finish(FrameTimes([*units, Unit("cat", units[1].video)]), tmp_path)


def test_a_video_that_is_not_there_cannot_be_left_out(units: list[Unit], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video 'dog'"):
        finish(FrameTimes(units), tmp_path, leave_out=["dog"])


def test_not_all_videos_can_be_left_out(units: list[Unit], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"all of the {len(units)} videos"):
        finish(FrameTimes(units), tmp_path, leave_out=[unit.id for unit in units])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--num-frames=0"], "1 or more, got '0'"),
        (["--num-frames=few"], "1 or more, got 'few'"),
        (["--threshold=high"], "'high' is not a number"),
        (["--seed=-1"], "whole number of 0 or more, got -1"),
        (["--sampler="], "nothing to compare"),
        (["--num-frames="], "nothing to compare"),
        (["--config=" + "[" * 100_000], "is not JSON"),
        (["--sampler=best"], "best"),
        (["--sampler=uniform", "--threshold=0.5"], "uniform@t0.5"),
        (["--config=[]"], "is not a JSON object"),
        (["--config={"], "is not JSON"),
        (["--device=toaster"], "toaster"),
    ],
)
def test_a_wrong_option_is_one_line_before_any_work(
    arguments: list[str],
    named: str,
    units: list[Unit],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = eval_parser("frame-times", "test", samplers="uniform", num_frames="2")
    options = parser.parse_args([*arguments, f"--out={tmp_path / 'out'}"])
    assert main(options, lambda _options, _setup: FrameTimes(units)) == 2
    captured = capsys.readouterr()
    assert named in captured.err.strip().splitlines()[-1]
    assert captured.out == ""
    assert not (tmp_path / "out" / "result.json").exists()


def test_what_the_system_refuses_to_read_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    parser = eval_parser("frame-times", "test", samplers="uniform", num_frames="2")

    def make(options: argparse.Namespace, _setup: Setup) -> FrameTimes:
        return FrameTimes([Unit(path.name, path) for path in options.root.iterdir()])

    options = parser.parse_args([f"--root={tmp_path / 'file'}", f"--out={tmp_path / 'out'}"])
    assert main(options, make) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"frame-times: cannot read {tmp_path / 'file'}: Not a directory; check --root"


def test_a_name_that_is_no_utf_8_does_not_stop_the_result(
    units: list[Unit], tmp_path: Path
) -> None:
    parser = eval_parser("frame-times", "test", samplers="uniform", num_frames="2")
    odd = [Unit("\udcff", units[0].video)]
    assert main(parser.parse_args([f"--out={tmp_path}"]), lambda _o, _s: FrameTimes(odd)) == 0
    assert json.loads((tmp_path / "result.json").read_text())["settings"]["videos"] == ["\udcff"]


def test_who_reads_a_result_while_it_is_written_anew_reads_the_whole_one_of_before(
    units: list[Unit], tmp_path: Path
) -> None:
    parser = eval_parser("frame-times", "test", samplers="uniform", num_frames="2")
    arguments = [f"--out={tmp_path}"]
    names = ("result.json", "table.md", "plot.svg")
    assert main(parser.parse_args(arguments), lambda _o, _s: FrameTimes(units)) == 0
    before = [(tmp_path / name).read_bytes() for name in names]
    with ExitStack() as stack:
        files = [stack.enter_context((tmp_path / name).open("rb")) for name in names]
        fewer = parser.parse_args([*arguments, "--leave-out=cat"])
        assert main(fewer, lambda _o, _s: FrameTimes(units)) == 0
        assert [file.read() for file in files] == before
    assert all((tmp_path / n).read_bytes() != b for n, b in zip(names, before, strict=True))
    assert not list(tmp_path.glob(".*.part"))


def test_control_c_is_one_line(
    units: list[Unit], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = eval_parser("frame-times", "test", samplers="uniform", num_frames="2")
    options = parser.parse_args([f"--out={tmp_path}"])
    assert main(options, lambda _options, _setup: FrameTimes(units, stop_after=1)) == 130
    assert "run the same command again" in capsys.readouterr().err.splitlines()[-1]
    assert main(options, lambda _options, _setup: FrameTimes(units)) == 0


def _in_two_processes(arguments: list[str], home: Path) -> str:
    """What ``evals.needle`` prints."""
    # What `accelerate launch` calls on GPUs; on CPUs that command itself would ask for MPI.
    launcher = ["torch.distributed.run", "--nproc-per-node=2", "-m", "evals.needle"]
    # Nothing that the machine or its user has set up for accelerate may count.
    environment = {**os.environ, "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_give_what_one_gives(
    units: list[Unit], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    lines = []
    for number, unit in enumerate(units):
        (tmp_path / "videos" / f"{unit.id}.mp4").symlink_to(unit.video)
        windows = {"relevant_windows": [[0, 0.5]]}
        lines.append({"qid": number, "vid": unit.id, "query": "a cat", **windows})
    (tmp_path / "highlight_val_release.jsonl").write_text("\n".join(map(json.dumps, lines)))
    one, two = tmp_path / "one", tmp_path / "two"
    arguments = [
        *("--dataset=qvhighlights", f"--root={tmp_path}"),
        *("--sampler=uniform,random", "--num-frames=1,2", "--device=cpu"),
    ]
    assert needle([*arguments, f"--out={one}"]) == 0
    table = _in_two_processes([*arguments, f"--out={two}"], home=tmp_path / "hf")
    assert table == capsys.readouterr().out == (two / "table.md").read_text()
    for name in ("result.json", "plot.svg"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    journals = sorted(path.name for path in two.glob("records-*"))
    assert journals == ["records-0-of-2.jsonl", "records-1-of-2.jsonl"]
    assert sum(len(path.read_text().splitlines()) for path in two.glob("records-*")) == 3
