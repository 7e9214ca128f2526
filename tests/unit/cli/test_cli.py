"""The command line in one process: options, exit codes, one line an error, nothing on stdout."""

import io
import json
import re
import resource
import subprocess
import sys
import threading
import time
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.cli import listing, meter
from keyscore_plugin.cli import main as cli
from keyscore_plugin.cli.listing import Entry
from keyscore_plugin.cli.outputs import require_writable_file, require_writable_folder
from keyscore_plugin.errors import InputError, MissingDependencyError
from keyscore_plugin.registries import CAPTIONERS, DECODERS, SAMPLERS
from keyscore_plugin.samplers import template
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.types import STAGES, Selection
from keyscore_plugin.video.source import open_video
from tests.support.broken_files import BROKEN
from tests.support.clips import CLIPS
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.videos import frame_numbers, numbered_video

# DESIGN.md, "Contracts".
CONTRACT_KEYS = {
    "video",
    "sampler",
    "num_frames",
    "indices",
    "pts_seconds",
    "scores",
    "caption",
    "encoder",
    "decoder",
    "duration_seconds",
    "average_fps",
    "n_frames",
    "n_grid",
    "candidates",
    "seconds",
}
CANDIDATE_KEYS = {
    *("index", "pts_seconds", "cluster", "semantic", "temporal", "drop", "total", "by_text")
}
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cli") / "numbered.mp4"
    return str(numbered_video(path, n=120, fps=10, size=(36, 64)))


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames, 10 a second, from 40,000 s on the container's clock."""
    seconds = [40_000 + i / 10 for i in range(60)]
    path = tmp_path_factory.mktemp("cli") / "late.mkv"
    return numbered_video(path, n=60, size=(36, 64), seconds=seconds)


def fails(capsys: Capture, *argv: str) -> tuple[int, str]:
    """Run a command that must fail; its exit code and its one line."""
    try:
        code = cli.main(argv)
    except SystemExit as stop:  # argparse's way out
        code = int(str(stop.code))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return code, err


def test_json_is_exactly_one_object_with_the_keys_of_the_contract(
    video: str, capsys: Capture
) -> None:
    assert cli.main(["select", video, "--sampler", "stacfp", "--num-frames", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    values = json.loads(out)
    assert set(values) >= CONTRACT_KEYS
    assert len(values["indices"]) == len(values["pts_seconds"]) == 3
    assert {*values["seconds"]} == {*STAGES, "total"}
    assert values["candidates"]
    assert all(set(candidate) == CANDIDATE_KEYS for candidate in values["candidates"])
    assert Selection.from_json(out).video == video


def test_the_table_says_what_was_chosen_and_by_what(video: str, capsys: Capture) -> None:
    assert cli.main(["select", video, "--sampler", "uniform", "--num-frames", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["index", "time", "score"],
        ["30", "0:03.000", "-"],
        ["90", "0:09.000", "-"],
    ]
    assert lines[3].startswith("2 of 120 frames, sampler uniform, decoder pyav")


def test_a_part_counts_from_the_first_frame_and_so_does_the_table(
    late: Path, tmp_path: Path, capsys: Capture
) -> None:
    part = ["--start", "1.5", "--end", "3.5", "--num-frames", "2"]
    files = ["--save-frames", str(tmp_path), "--report", str(tmp_path / "why.html")]
    assert cli.main(["select", str(late), "--sampler", "uniform", *part, *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["20", "0:02.000"], ["30", "0:03.000"]]
    assert lines[3].startswith("2 of 60 frames, from 0:01.500 to 0:03.500, sampler uniform")
    clock = "times count from the first frame, which is at 40000.000 s of the container's clock"
    assert lines[4:] == [clock]
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"frame_0000020_2.000s.png", "frame_0000030_3.000s.png"}
    page = (tmp_path / "why.html").read_text()
    assert escape(clock) in page
    assert "<td>0:02.000</td>" in page

    assert cli.main(["select", str(late), "--sampler", "uniform", *part, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["indices"] == [20, 30]
    assert values["pts_seconds"] == pytest.approx([40002.0, 40003.0])
    assert values["start_pts_seconds"] == 40000.0
    assert (values["start_seconds"], values["end_seconds"]) == (1.5, 3.5)
    assert (values["n_frames"], values["duration_seconds"]) == (60, pytest.approx(6.0))


def test_a_comparison_counts_from_the_first_frame_and_may_be_of_a_part(
    late: Path, tmp_path: Path, capsys: Capture
) -> None:
    options = ["--sampler", "uniform,random", "--num-frames", "2", "--start", "1", "--end", "3"]
    picture = tmp_path / "compare.svg"
    assert cli.main(["compare", str(late), *options, "--picture", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 60 frames, from 0:01.000 to 0:03.000, sampler uniform")
    assert lines[1].split() == ["0:01.5", "0:02.5"]
    assert all("0:01.0" <= time <= "0:03.0" for time in lines[3].split())
    assert picture.stat().st_size > 1000


def test_eight_frames_are_the_default(video: str, capsys: Capture) -> None:
    cli.main(["select", video, "--sampler", "uniform", "--json"])
    values = json.loads(capsys.readouterr().out)
    assert (values["num_frames"], len(values["indices"])) == (8, 8)


def test_a_budget_beyond_the_video_gives_all_its_frames(video: str, capsys: Capture) -> None:
    assert cli.main(["select", video, "--sampler", "uniform", "--num-frames", "500", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["indices"] == list(range(120))


def test_the_grid_can_be_the_codecs_keyframes(video: str, capsys: Capture) -> None:
    argv = ["select", video, "--sampler", "stacfp", "--num-frames", "2", "--json"]
    cli.main([*argv, "--grid", "keyframes"])
    values = json.loads(capsys.readouterr().out)
    assert values["config"]["grid"]["kind"] == "keyframes"
    with open_video(video) as source:
        assert values["n_grid"] == len(source.keyframes()) < 120
    assert values["looked_at"] == {"kind": "keyframes", "n_first": values["n_grid"], "n_closer": 0}


def test_a_grid_that_a_sampler_cannot_use_is_one_line(video: str, capsys: Capture) -> None:
    assert cli.main(["select", video, "--sampler", "stacfp", "--grid", "refine"]) == 2
    assert capsys.readouterr().err == (
        "keyscore: the grid 'refine' looks closer where frames score with a text, which this "
        "sampler does not find out while it looks; use the grid 'fps' or 'keyframes'\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-frames", "0"], "argument --num-frames: expected a whole number of 1 or more"),
        (["--num-frames", "-3"], "expected a whole number of 1 or more, got '-3'"),
        (["--num-frames", "2.5"], "expected a whole number of 1 or more, got '2.5'"),
        (["--num-frames", "²"], "expected a whole number of 1 or more, got '²'"),
        (["--start", "nan"], "argument --start: expected a number of seconds from the first frame"),
        (["--start=-1"], "expected a number of seconds from the first frame, 0 or more, got '-1'"),
        (["--end", "inf"], "seconds from the first frame, 0 or more, got 'inf'"),
        (["--start", "1:30"], "seconds from the first frame, 0 or more, got '1:30'"),
        (["--start", "3", "--end", "1"], "must end after it starts, got start 3.0 s and end 1.0 s"),
        (["--threshold", "nan"], "argument --threshold: expected a finite number, got 'nan'"),
        (["--threshold", "inf"], "expected a finite number, got 'inf'"),
        (["--threshold", "high"], "expected a finite number, got 'high'"),
        (["--num-frames", "2", "--threshold", "0.5"], "--threshold: not allowed with argument"),
        (["--caption", "a", "--question", "b"], "--question: not allowed with argument"),
        (["--caption", " "], "argument --caption: the text is empty; give a sentence"),
        (["--question", ""], "argument --question: the text is empty"),
        (["--sampler", "best"], "unknown sampler 'best'; the samplers are: adaq, aks, "),
        (
            ["--sampler", "unifrom"],
            "unknown sampler 'unifrom' (did you mean 'uniform'?); the sampl",
        ),
        (["--decoder", "vlc"], "argument --decoder: unknown decoder 'vlc'; the decoders are: auto"),
        (["--decoder", "pyva"], "unknown decoder 'pyva' (did you mean 'pyav'?); the decoders are"),
        (["--grid", "all"], "argument --grid: unknown grid 'all'; the grids are: fps, keyframes, "),
        (["--grid", "keyframe"], "unknown grid 'keyframe' (did you mean 'keyframes'?); the grids"),
        (
            ["--guide", "text"],
            "unknown guide 'text'; the guides are: both, caption, given, importance, question",
        ),
        (["--frames", "3"], "unrecognized arguments: --frames 3 (did you mean '--num-frames'?)"),
        (["--num", "3"], "unrecognized arguments: --num 3 (did you mean '--num-frames'?)"),
        (["-q", "-v"], "argument -v/--verbose: not allowed with argument -q/--quiet"),
        (["a\nb"], "unrecognized arguments: a b"),
        (["--sampler", "uniform", "--threshold", "0.5"], "uniform ranks no frames"),
        (["--encoder", "conse"], "no text to score the frames with; give a caption"),
        (["--encoder", "conse", "--caption", "a", "--device", "abacus"], "abacus"),
        (["--encoder", "./no-such-model", "--caption", "a"], "./no-such-model"),
        (
            ["--encoder", "./cones", "--caption", "a"],
            "no encoder './cones' (did you mean 'conse'?): ",
        ),
        (["--encoder", "conse", "--captioner", "bard"], "captioner 'bard'"),
        (["--encoder", "conse", "--captioner", "./label"], "(did you mean 'labels'?)"),
        (["--report", "why.pdf"], "cannot write a report as 'why.pdf'; name a file that ends in"),
    ],
)
def test_bad_usage_ends_with_2_and_one_line(
    video: str, capsys: Capture, options: list[str], message: str
) -> None:
    code, err = fails(capsys, "select", video, *options)
    assert code == 2
    assert message in err


def test_a_command_that_was_mistyped_is_found(capsys: Capture) -> None:
    code, err = fails(capsys, "selct", "a.mp4")
    assert code == 2
    assert "unknown command 'selct' (did you mean 'select'?); the commands are: batch, " in err


@pytest.mark.parametrize("argv", [[], ["choose"], ["select"], ["batch", "m.jsonl"]])
def test_an_incomplete_command_ends_with_2_and_says_where_help_is(
    capsys: Capture, argv: list[str]
) -> None:
    code, err = fails(capsys, *argv)
    assert code == 2
    assert "--help says more" in err


def test_a_device_that_is_not_there_is_said(video: str, capsys: Capture) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    argv = ("select", video, "--encoder", "conse", "--caption", "a", "--device", "cuda")
    code, err = fails(capsys, *argv)
    assert code == 2
    assert "cuda" in err


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"this is no video\n" * 100, ""),
        ("folder", ""),
    ],
    ids=["missing", "empty", "text", "folder"],
)
def test_a_video_that_cannot_be_read_ends_with_3_and_is_named(
    tmp_path: Path, capsys: Capture, make: bytes | str | None, cause: str
) -> None:
    path = tmp_path / "clip.mp4"
    if isinstance(make, bytes):
        path.write_bytes(make)
    elif make == "folder":
        path.mkdir()
    code, err = fails(capsys, "select", str(path), "--sampler", "stacfp", "--json")
    assert code == 3
    assert err.startswith(f"keyscore: cannot read {path}: ")
    assert cause in err


def test_a_threshold_that_no_line_can_meet_ends_a_batch_before_its_output_is_made(
    video: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps({"video": video, "question": "what?"}) + "\n")
    argv = ["batch", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "out.jsonl")]
    code, err = fails(capsys, *argv, "--sampler", "clips", "--threshold", "0.5")
    assert code == 2
    assert "clips ranks no frames, so it has no threshold" in err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--grid", "keyframes"], "with grid.kind 'fps', this run asks for 'keyframes'; give anot"),
        (["--decoder", "decord"], "with decoder 'pyav', this run asks for 'decord'; give another"),
        (["--sampler", "topk", "--encoder", "absent"], "with sampler 'stacfp', this run asks for"),
        (["--guide", "caption"], "with guide 'given', this run asks for 'caption'; give another"),
        (
            ["--set", "grid.sample_fps=4"],
            "with grid.sample_fps 2.0, this run asks for 4; give anot",
        ),
    ],
)
def test_a_batch_goes_on_with_the_same_options_only_and_says_so_before_a_model_is_loaded(
    video: str, tmp_path: Path, capsys: Capture, options: list[str], words: str
) -> None:
    manifest = tmp_path / "videos.jsonl"
    manifest.write_text(json.dumps({"video": video, "caption": "a dog"}) + "\n")
    argv = ["batch", str(manifest), "--out", str(tmp_path / "out.jsonl"), "--sampler", "stacfp"]
    for _ in range(2):
        assert cli.main(argv) == 0
    assert "1 lines, 1 of them from before" in capsys.readouterr().err
    code, err = fails(capsys, *argv, *options)
    assert code == 2
    assert words in err


def test_frames_are_saved_at_full_size_and_named_by_index_and_time(
    video: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "new" / "frames"
    argv = ["select", video, "--sampler", "uniform", "--num-frames", "3", "--save-frames"]
    assert cli.main([*argv, str(folder)]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "frame_0000020_2.000s.png",
        "frame_0000060_6.000s.png",
        "frame_0000100_10.000s.png",
    ]
    with Image.open(folder / names[1]) as image:
        assert image.size == (64, 36)
        colour = torch.from_numpy(np.asarray(image, dtype=np.float64).mean((0, 1)))
    assert frame_numbers(colour[None]) == [60]
    capsys.readouterr()


def test_a_chosen_frame_that_does_not_decode_ends_with_3_and_is_named_with_a_remedy(
    tmp_path: Path, capsys: Capture
) -> None:
    """Uniform frames are chosen by their times, and decoded only where somebody wants them."""
    path = tmp_path / "noise.mp4"
    next(broken for broken in BROKEN if broken.name == path.name).write(path)
    with open_video(path) as source:
        n_frames = source.n_frames
    argv = ["select", str(path), "--sampler", "uniform", "--num-frames", str(n_frames)]
    code, err = fails(capsys, *argv, "--save-frames", str(tmp_path / "frames"))
    assert code == 3
    assert re.fullmatch(
        rf"keyscore: cannot read {path}: frame \d+ does not decode; "
        "the file is damaged there; leave that frame out or repair the file\n",
        err,
    )


@pytest.mark.parametrize("name", ["why.png", "WHY.HTML", "why.svg"])
def test_a_report_is_written_where_asked(
    video: str, tmp_path: Path, capsys: Capture, name: str
) -> None:
    path = tmp_path / "new" / name
    argv = ["select", video, "--sampler", "stacfp", "--num-frames", "2", "--report", str(path)]
    assert cli.main(argv) == 0
    assert path.stat().st_size > 10_000
    assert capsys.readouterr().err == ""


def test_outputs_that_cannot_be_written_end_with_2_before_the_video_is_opened(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for option, place in [
        ("--save-frames", "file"),
        ("--save-frames", "file/below"),
        ("--report", "file/why.png"),
        ("--report", "folder.png"),
        ("--report", "f" * 300 + ".png"),
        ("--save-frames", "f" * 300),
    ]:
        code, err = fails(capsys, "select", "no-video.mp4", option, str(tmp_path / place))
        assert code == 2
        assert f"cannot write {tmp_path / 'f'}" in err


@pytest.mark.parametrize(
    ("option", "name"), [("--save-frames", "frames"), ("--report", "a.png"), ("--report", "a.html")]
)
def test_a_disk_that_fills_up_ends_with_2_and_one_line_and_leaves_nothing_torn(
    video: str, tmp_path: Path, capsys: Capture, option: str, name: str
) -> None:
    """A file size limit stands in for the disk."""
    argv = ["select", video, "--sampler", "stacfp", "--num-frames", "2", "--json"]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, unlimited[1]))
    try:
        code, err = fails(capsys, *argv, option, str(tmp_path / name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert code == 2
    assert err.startswith(f"keyscore: cannot write {tmp_path / name}")
    assert "File too large" in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "report.png").write_bytes(b"old")
    require_writable_file(tmp_path / "report.png")
    require_writable_folder(tmp_path)
    assert (tmp_path / "report.png").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.png"]
    with pytest.raises(InputError, match="it is a folder; give the name of a file"):
        require_writable_file(tmp_path)


def test_notes_go_to_standard_error(tmp_path: Path, capsys: Capture) -> None:
    (clip,) = [clip for clip in CLIPS if clip.name == "wrong_count.avi"]
    path = clip.write(tmp_path)
    assert cli.main(["select", str(path), "--sampler", "stacfp", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: the header promises 9999 frames, 48 can be shown\n"
    assert json.loads(out)["notes"] == [err.removeprefix("note: ").strip()]


def test_a_fallback_goes_to_standard_error_and_clips_to_the_result(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pictures are the same, so every scene is as white as the others."""
    for number in range(12):
        Image.new("RGB", (64, 36), "grey").save(tmp_path / f"{number}.png")
    encoder = ColourEncoder()
    monkeypatch.setattr(template, "load_encoder", lambda name, device: encoder)
    argv = ["select", str(tmp_path), "--fps", "2", "--sampler", "clips", "--caption", "white"]
    assert cli.main([*argv, "--json"]) == 0
    out, err = capsys.readouterr()
    selection = Selection.from_json(out)
    assert selection.clips is not None
    assert err.splitlines()[0] == f"fallback: {selection.fallback}"
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert "clips (segments):\n" in out
    assert "0:00.000 - 0:06.000    priority 1  weight 1\n" in out


def test_interruption_ends_quietly_with_130(
    video: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("keyscore_plugin.samplers.uniform.UniformSampler._choose", interrupt)
    assert cli.main(["select", video, "--sampler", "uniform"]) == 130
    assert capsys.readouterr() == ("", "")


def test_list_names_everything_once_with_a_description(capsys: Capture) -> None:
    assert cli.main(["list", "--json"]) == 0
    entries = [Entry(**values) for values in json.loads(capsys.readouterr().out)]
    names = [(entry.kind, entry.name) for entry in entries]
    assert len(set(names)) == len(names)
    assert {name for kind, name in names if kind == "sampler"} == set(SAMPLERS)
    assert {name for kind, name in names if kind == "decoder"} == set(DECODERS)
    assert {name for kind, name in names if kind == "captioner"} > set(CAPTIONERS)
    assert ("encoder", "conse") in names
    assert all(entry.description.endswith(".") for entry in entries)
    assert len({entry.description for entry in entries}) == len(entries)
    needs_text = {entry.name: entry.needs_text for entry in entries if entry.kind == "sampler"}
    assert needs_text == {name: get_sampler(name).needs_text for name in SAMPLERS}
    assert all(entry.needs_text is None for entry in entries if entry.kind != "sampler")
    assert all((entry.usable is False) == (entry.problem is not None) for entry in entries)
    needed = {name: getattr(get_sampler(name), "packages", ()) for name in SAMPLERS}
    listed = {name: listing.NEEDS.get(("sampler", name), listing.Needs("")) for name in SAMPLERS}
    assert {name: needs.packages for name, needs in listed.items()} == needed


def test_list_prints_a_line_an_entry_under_its_kind(capsys: Capture) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "samplers",
        "encoders",
        "captioners",
        "decoders",
    ]
    (uniform,) = (line for line in lines if line.startswith("  uniform "))
    (topk,) = (line for line in lines if line.startswith("  topk "))
    assert topk.endswith(" Needs a text.")
    assert not uniform.endswith(" Needs a text.")


def test_what_is_not_installed_is_listed_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    needs = listing.Needs("decord", ("no_such_package",))
    monkeypatch.setitem(listing.NEEDS, ("decoder", "pyav"), needs)
    assert cli.main(["list"]) == 0
    assert "not usable here: no_such_package is not installed; install it with: pip install " in (
        capsys.readouterr().out
    )


def test_what_is_installed_and_does_not_load_is_found_by_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "broken_decoder").mkdir()
    (tmp_path / "broken_decoder" / "__init__.py").write_text("raise RuntimeError('no libraries')")
    monkeypatch.syspath_prepend(str(tmp_path))
    load = partial(require, "broken_decoder", extra="decord")
    needs = listing.Needs("decord", ("broken_decoder",), load)
    monkeypatch.setitem(listing.NEEDS, ("decoder", "pyav"), needs)
    for words, usable in ((["list", "--json"], None), (["list", "--json", "--check"], False)):
        assert cli.main(words) == 0
        entries = json.loads(capsys.readouterr().out)
        (pyav,) = (entry for entry in entries if entry["name"] == "pyav")
        assert pyav["usable"] is usable


@pytest.mark.slow
def test_a_system_that_is_not_posix_runs_all_but_workers(video: str, tmp_path: Path) -> None:
    (tmp_path / "videos.txt").write_text(video + "\n")
    batch = ["batch", str(tmp_path / "videos.txt"), "--out", str(tmp_path / "out.jsonl"), "-q"]
    options = ["--sampler", "uniform", "--num-frames", "2"]
    code = (
        "import sys\n"
        "sys.modules['fcntl'] = None\n"
        "from keyscore_plugin.cli import main as cli\n"
        f"print(cli.main(['select', {video!r}, *{options!r}]))\n"
        f"print(cli.main([*{batch!r}, *{options!r}]))\n"
        f"print(cli.main([*{batch!r}, *{options!r}, '--workers', '2']))\n"
    )
    # filelock warns that it has no such locks either.
    python = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == ["0", "0", "2"]
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1
    assert done.stderr.startswith("keyscore: --workers and --timeout-seconds need a POSIX system")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (
            "torchcodec.decoders",
            "Could not load libtorchcodec. Likely causes:\n  1. FFmpeg is not installed",
            "torchcodec is installed but does not load (Could not load libtorchcodec); install "
            "FFmpeg's libraries (4 to 8), and the torchcodec that belongs to your torch",
        ),
        (
            "sklearn.cluster",
            "",
            "sklearn is installed but does not load (RuntimeError); reinstall it with: "
            "pip install --force-reinstall --no-deps scikit-learn",
        ),
    ],
)
def test_what_does_not_load_is_listed_with_what_helps(
    module: str, error: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = module.partition(".")[0]
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise RuntimeError({error!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError) as raised:
        require(module, extra="evals")
    assert str(raised.value) == message


def test_a_host_that_no_extra_installs_is_named_itself() -> None:
    with pytest.raises(MissingDependencyError, match=r"with: pip install keyscore_no_such_host$"):
        require("keyscore_no_such_host.cli", extra=None)


def test_progress_reaches_who_listens_and_nobody_else() -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *event: heard.append(event)):
        progress.advance("decode", 1, 2)
        other = threading.Thread(target=progress.advance, args=("decode", 9, 9))
        other.start()
        other.join()
    progress.advance("decode", 2, 2)
    assert heard == [("decode", 1, 2)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "is_shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_a_stage_is_drawn_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, video: str, stream: io.StringIO, is_shown: bool
) -> None:
    monkeypatch.setattr(meter, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr", stream)
    assert cli.main(["select", video, "--sampler", "stacfp"]) == 0
    assert ("decode: " in stream.getvalue()) == is_shown


def test_no_bar_is_drawn_for_what_is_done_in_a_second(
    monkeypatch: pytest.MonkeyPatch, video: str
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with meter.stage_bars():
        for done in range(1, 100):
            progress.advance("encode", done, 100)
    assert "encode" not in terminal.getvalue()


def test_a_long_run_without_a_terminal_says_rate_and_time_left_of_its_own_lines(
    capsys: Capture,
) -> None:
    seconds = iter([0.0, 30.0, 61.0, 62.0, 122.0])
    lines = meter.PlainLines("videos.jsonl", now=lambda: next(seconds))
    for done in (500, 501, 502, 503, 511):  # 500 of them from before
        lines.show(done, 1011)
    assert (
        capsys.readouterr().err == "videos.jsonl: 511 of 1011 videos, 5.41 a minute, 1:32:25 left\n"
    )


def test_a_run_of_many_lines_says_no_more_than_a_hundred(capsys: Capture) -> None:
    hours = iter(range(0, 10_000 * 3600, 3600))
    lines = meter.PlainLines("videos.jsonl", now=lambda: next(hours))
    for done in range(5001):
        lines.show(done, 5000)
    assert 90 <= capsys.readouterr().err.count("\n") <= 100


@pytest.mark.parametrize(("stream", "is_bar"), [(Terminal(), True), (io.StringIO(), False)])
def test_the_lines_of_a_batch_are_a_bar_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, is_bar: bool
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    with meter.line_meter("videos.jsonl") as show:
        show(0, 2)
        show(1, 2)
    assert ("videos.jsonl: " in stream.getvalue()) == is_bar


def test_stages_that_go_on_side_by_side_keep_their_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar shows once it is old enough: one that was made anew at each turn never would."""
    monkeypatch.setattr(meter, "DELAY_SECONDS", 0.1)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with meter.stage_bars():
        for done in range(1, 30):
            progress.advance("decode", done, 30)
            progress.advance("encode", done, 30)
            time.sleep(0.01)
    assert "decode: " in terminal.getvalue()
    assert "encode: " in terminal.getvalue()
