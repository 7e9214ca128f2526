"""The command line as a process: hard clips, signals, pipes, and a batch that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.harness.cache import CachedEncoder
from keyscore_plugin.cli import demo
from keyscore_plugin.cli import main as cli
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.video.samples.joined import NeedleVideo, join
from tests.support.clips import CLIPS, Clip
from tests.support.real_clips import find
from tests.support.tiny.videos import numbered_video

ROOT = Path(__file__).parents[2]
KEYSCORE = [sys.executable, "-m", "keyscore_plugin.cli"]


def keyscore(*argv: str, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KEYSCORE, *argv], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cli") / "numbered.mp4"
    return str(numbered_video(path, n=48, fps=10, size=(36, 64)))


# One of each kind that frames or a report could differ on; the contract of decoders has them all.
TELLING = {
    "edit_list.mp4",
    "late_start.mkv",
    "no_duration.mkv",
    "odd_size.mp4",
    "one_frame.mp4",
    "rotated_90.mp4",
    "vfr_b_frames.mkv",
    "wrong_count.avi",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "clip", [clip for clip in CLIPS if clip.name in TELLING], ids=lambda clip: clip.name
)
def test_a_hard_clip_is_answered_with_saved_frames_and_a_report(
    clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clip.write(tmp_path)
    argv = ["select", str(path), "--sampler", "stacfp", "--num-frames", "4", "--json"]
    frames, report = tmp_path / "frames", tmp_path / "why.html"
    assert cli.main([*argv, "--save-frames", str(frames), "--report", str(report)]) == 0
    values = json.loads(capsys.readouterr().out)
    assert len(values["indices"]) == min(4, values["n_frames"])
    assert len(list(frames.iterdir())) == len(values["indices"])
    assert report.is_file()


def test_a_process_answers_json_on_stdout_and_nothing_on_stderr(video: str, tmp_path: Path) -> None:
    """Also for a file name that is no UTF-8."""
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(Path(video).read_bytes())
    done = keyscore("select", str(path), "--sampler", "uniform", "--num-frames", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    assert (values["video"], values["indices"]) == (str(path), [12, 36])


def test_a_reader_that_goes_away_ends_it_quietly(video: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = keyscore("select", video, "--sampler", "uniform", "--json", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_output_is_one_line(video: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = keyscore("select", video, "--sampler", "uniform", "--json", stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        "keyscore: cannot write standard output: No space left on device; send it elsewhere\n"
    )


@pytest.mark.slow
def test_streams_that_are_closed_or_full_end_no_run(video: str, tmp_path: Path) -> None:
    """As a daemon has them, or a log on a full disk."""
    line = {"video": video}, {"video": "gone.mp4"}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(one) + "\n" for one in line))
    uniform = ["--sampler", "uniform", "--num-frames", "2"]

    def shell(streams: str, *argv: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f'exec "$@" {streams}', "sh", *KEYSCORE, *argv, *uniform]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = shell(">&-", "select", video, "--json")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "keyscore: cannot write standard output: it is closed; send it elsewhere\n",
    )
    for name, streams in (("closed", "<&- >&- 2>&-"), ("full", "2>/dev/full")):
        out = tmp_path / f"{name}.jsonl"
        done = shell(streams, "batch", str(tmp_path / "m.jsonl"), "--out", str(out))
        assert (done.returncode, done.stdout, done.stderr) == (4, "", "")
        assert ["error" in record for record in read_lines(out)] == [False, True]


def test_a_batch_answers_good_and_bad_videos_and_counts_them(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.mp4").touch()
    manifest = tmp_path / "manifest.jsonl"
    lines = [{"video": video}, {"video": "empty.mp4", "id": "e"}, {"video": "gone.mp4"}]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out.jsonl"
    argv = ("batch", str(manifest), "--out", str(out), "--sampler", "uniform", "--num-frames", "2")
    assert cli.main(argv) == 4
    counted = f"{out}: 3 lines, 0 of them from before, 2 with an error\n"
    assert capsys.readouterr() == ("", counted)
    good, empty, gone = read_lines(out)
    assert (good["id"], good["indices"]) == (1, [12, 36])
    assert empty["error"].startswith(f"cannot read {tmp_path / 'empty.mp4'}: ")
    assert (gone["id"], gone["video"]) == (3, "gone.mp4")
    assert cli.main([*argv, "-v"]) == 4
    assert capsys.readouterr().err == f"{out}: 3 lines, 3 of them from before, 2 with an error\n"
    assert len(read_lines(out)) == 3


# Imports once and forks, so that a run takes milliseconds and can be killed many times.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import keyscore_plugin.samplers.uniform, keyscore_plugin.video.decoders.pyav
from keyscore_plugin.cli import main as cli

seed, most_bytes, out, *argv = sys.argv[1:]
chance = random.Random(int(seed))
n_killed = 0

def size():
    return Path(out).stat().st_size if Path(out).exists() else 0

while True:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(cli.main(argv))
    # By what was written, not by the clock: so a fast machine is interrupted as often.
    enough = size() + chance.randrange(int(most_bytes))
    ended, status = 0, 0
    while not ended and size() < enough:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if not ended:
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        print(n_killed)
        sys.exit(os.WEXITSTATUS(status))
    n_killed += 1
"""


@pytest.mark.slow
def test_a_batch_killed_again_and_again_ends_with_each_line_once(
    video: str, tmp_path: Path
) -> None:
    n_lines = 60
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out.jsonl"
    lines = [{"video": "bad.mp4" if n % 7 == 3 else video, "id": f"q{n}"} for n in range(n_lines)]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    argv = ["batch", str(manifest), "--out", str(out), "--sampler", "uniform"]
    done = subprocess.run(
        [sys.executable, "-c", KILLER, "0", "4000", str(out), *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr  # some lines hold an error
    assert int(done.stdout) >= 5
    records = read_lines(out)
    assert [record["id"] for record in records] == [line["id"] for line in lines]
    assert ["error" in record for record in records] == [n % 7 == 3 for n in range(n_lines)]


@pytest.mark.slow
def test_a_second_batch_on_one_output_is_refused_and_ctrl_c_ends_the_first(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out.jsonl"
    manifest.write_text("".join(json.dumps({"video": video}) + "\n" for _ in range(500)))
    argv = ["batch", str(manifest), "--out", str(out), "--sampler", "uniform"]
    with subprocess.Popen([*KEYSCORE, *argv], cwd=ROOT, stderr=subprocess.PIPE, text=True) as first:
        while not (out.exists() and out.stat().st_size):
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)  # so that it cannot end before the second one starts
        code = cli.main(argv)
        first.send_signal(signal.SIGINT)
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate()
    assert code == 2
    assert capsys.readouterr().err == (
        f"keyscore: another process writes to {out}; wait for it, or give another --out\n"
    )
    assert (first.returncode, err) == (130, "")
    n_answered = len(read_lines(out))
    assert 0 < n_answered < 500


@pytest.mark.slow
def test_the_demo_finds_more_of_the_clips_it_asks_for_than_uniform_frames_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A quarter of the sixteen clips, of some three seconds each: `make demo` joins all of them.
    sources = [find(words) for words in ("fat grey cartoon", "tabby cat", "rocket", "bow tie")]

    def short_video(folder: Path) -> NeedleVideo:
        rng = np.random.default_rng(1)
        return join(sources, root=folder, name="needle", rng=rng, clip_seconds=(2.8, 3.2))

    monkeypatch.setattr(demo, "demo_video", short_video)
    # Both sentences are asked of one video, whose frames need not be embedded twice here.
    once = CachedEncoder(partial(load_encoder, "conse"))
    monkeypatch.setattr(demo, "load_encoder", {"conse": once}.__getitem__)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    found = re.findall(
        r"(uniform|keyscore) +(\d+) of 8 frames in the clip, (\d+)%", capsys.readouterr().out
    )
    shown = [(name, int(n_inside), int(share)) for name, n_inside, share in found]
    assert [name for name, _, _ in shown] == ["uniform", "keyscore"] * 2
    for uniform, keyscore in zip(shown[::2], shown[1::2], strict=True):
        assert uniform[1] <= 2 < keyscore[1]
        assert keyscore[2] >= 90
    names = ("a-man-in-a", "a-rocket-waits-on")
    written = {path.name for path in tmp_path.iterdir() if path.suffix == ".png"}
    assert written == {f"{name}{end}.png" for name in names for end in ("", "-why")}


def test_compare_draws_every_sampler_at_one_budget(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "strips.svg"
    words = ["--sampler", "uniform,stacfp", "--num-frames", "3", "--picture", str(picture)]
    assert cli.main(["compare", video, *words]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"(\d+) of 48 frames, sampler (\w+)", out) == [
        ("3", "uniform"),
        ("3", "stacfp"),
    ]
    assert picture.read_text().count("<image") == 6
