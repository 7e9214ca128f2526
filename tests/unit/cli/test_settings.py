"""Settings on the command line, and how much it says."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin import SamplerConfig
from keyscore_plugin._runtime import progress
from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.cli import main as cli
from keyscore_plugin.cli import meter
from keyscore_plugin.cli.batch import EXIT_LINES
from keyscore_plugin.cli.streams import speaking
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import ModelError
from tests.support.clips import CLIPS
from tests.support.tiny.videos import numbered_video

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cli") / "numbered.mp4"
    return str(numbered_video(path, n=40, fps=10, size=(36, 64)))


def chosen_with(capsys: Capture, video: str, *options: str) -> dict[str, Any]:
    """The settings that a selection records."""
    assert cli.main(["select", video, "--sampler", "uniform", "--json", *options]) == 0
    config: dict[str, Any] = json.loads(capsys.readouterr().out)["config"]
    return config


def test_settings_come_from_a_file_then_one_by_one_then_from_their_own_option(
    video: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "settings.json"
    grid = {"kind": "keyframes", "sample_fps": 1.5, "max_frames": 99}
    file.write_text(json.dumps({"grid": grid, "guide": "both", "score": {"pooling": "text"}}))
    options = ["--config", str(file)]
    assert chosen_with(capsys, video) == SamplerConfig().to_dict()
    of_file = {"grid": grid, "guide": "both", "score": {"pooling": "text"}}
    assert chosen_with(capsys, video, *options) == SamplerConfig.of(of_file).to_dict()
    options += ["--set", "grid.sample_fps=4", "--set", "guide=question"]
    values = chosen_with(capsys, video, *options, "--grid", "fps")
    assert values["grid"] | {"short_side": 0} == {
        "kind": "fps",
        "sample_fps": 4,
        "max_frames": 99,
        "max_closer": 128,
        "short_side": 0,
    }
    assert (values["guide"], values["score"]["pooling"]) == ("question", "text")
    assert chosen_with(capsys, video, *options, "--guide", "caption")["guide"] == "caption"
    options += ["--set", "clips.mode=focused"]
    assert chosen_with(capsys, video, *options)["clips"]["mode"] == "focused"
    options += ["--clip-mode", "hybrid"]
    assert chosen_with(capsys, video, *options)["clips"]["mode"] == "hybrid"


@pytest.mark.parametrize(
    ("word", "stage", "value"),
    [
        ("grid.kind=keyframes", "grid", {"kind": "keyframes"}),
        ("grid.max_frames=64", "grid", {"max_frames": 64}),
        ("proposal.bins=4,2,2", "proposal", {"bins": [4, 2, 2]}),
        ("proposal.bins=[4, 2, 2]", "proposal", {"bins": [4, 2, 2]}),
        ("proposal.k_max=9", "proposal", {"k_max": 9}),
        ("proposal.k_max=null", "proposal", {"k_max": None}),
        ("score.temperature=1e-2", "score", {"temperature": 0.01}),
        ("select.policy=top", "select", {"policy": "top"}),
    ],
)
def test_a_setting_takes_the_kind_of_value_that_its_field_has(
    video: str, capsys: Capture, word: str, stage: str, value: dict[str, Any]
) -> None:
    values = chosen_with(capsys, video, "--set", word)
    assert values == SamplerConfig.of({stage: value}).to_dict()


def test_weights_that_only_together_sum_to_one_can_be_set(video: str, capsys: Capture) -> None:
    options = ["--set", "score.alpha=1", "--set", "score.beta=0", "--set", "score.gamma=0"]
    assert chosen_with(capsys, video, *options)["score"]["alpha"] == 1


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--set=grid.sample_fps", "expected NAME=VALUE such as grid.sample_fps=4, got 'grid.sam"),
        ("--set=grid.sample_fp=4", "unknown setting 'sample_fp' (did you mean 'sample_fps'?); the"),
        ("--set=sample_fps=4", "unknown setting 'sample_fps' (did you mean 'grid.sample_fps'?)"),
        ("--set=gird.kind=fps", "unknown setting 'gird' (did you mean 'grid'?); the settings are"),
        ("--set=guide.text=1", "guide {'text': 1} is not given|caption|question|both"),
        ("--set=grid=fps", "GridConfig: expected a dict of settings, got 'fps'"),
        ("--set=grid.sample_fps=fast", "GridConfig: sample_fps 'fast' is not a number"),
        ("--set=grid.max_frames=2.5", "GridConfig: max_frames 2.5 is not a whole number"),
        (f"--set=grid.sample_fps={'[' * 100_000}", "is not a number"),
        ("--set=grid.sample_fps=", "GridConfig: sample_fps '' is not a number"),
        (
            "--config=nowhere.json",
            "cannot read nowhere.json: No such file or directory; give a JSON",
        ),
        ("--config=broken.json", "broken.json is not JSON (Expecting"),
        ("--config=list.json", "list.json: SamplerConfig: expected a dict of settings, got [1]"),
        (
            "--config=typo.json",
            "typo.json: SamplerConfig: unknown setting 'gride' (did you mean 'gr",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_one_line_that_says_what_can(
    option: str, said: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("broken", '{"grid"'), ("list", "[1]"), ("typo", '{"gride": {}}')):
        (tmp_path / f"{name}.json").write_text(text)
    try:
        code = cli.main(["select", "no-video.mp4", option])
    except SystemExit as stop:
        code = int(str(stop.code))
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_quiet_says_nothing_but_the_result(tmp_path: Path, capsys: Capture) -> None:
    (clip,) = [clip for clip in CLIPS if clip.name == "wrong_count.avi"]
    argv = ["select", str(clip.write(tmp_path)), "--sampler", "stacfp", "--json"]
    assert cli.main([*argv, "-q"]) == 0
    out, err = capsys.readouterr()
    assert (len(json.loads(out)["notes"]), err) == (1, "")
    assert cli.main(argv) == 0
    assert capsys.readouterr().err.startswith("note: ")
    assert cli.main(["select", "no-video.mp4", "--sampler", "stacfp", "-q"]) == 3
    assert capsys.readouterr().err.startswith("keyscore: cannot read no-video.mp4: ")


def test_quiet_draws_no_bar_and_verbose_says_what_it_took(
    video: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["select", video, "--sampler", "stacfp", "--num-frames", "2", "--json"]
    assert cli.main([*argv, "-v"]) == 0
    assert capsys.readouterr().err.startswith("2 of 40 frames, sampler stacfp, decoder pyav, ")
    monkeypatch.setattr(meter, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    assert cli.main([*argv, "-q"]) == 0
    with speaking(-1), meter.line_meter("videos.jsonl") as show:
        show(1, 2)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("stream", "verbosity", "lines"),
    [
        (Terminal(), 0, ["loading encoder conse ..."]),
        (Terminal(), -1, []),
        (io.StringIO(), 0, []),
        (io.StringIO(), 1, ["loading encoder conse ...", "loaded encoder conse in 0.0 s"]),
    ],
)
def test_a_model_that_is_being_loaded_is_named_where_somebody_watches(
    stream: io.StringIO, verbosity: int, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    with speaking(verbosity), meter.stage_bars(), progress.loading("encoder conse"):
        pass
    assert stream.getvalue().splitlines() == lines


def test_encoders_and_captioners_say_that_they_are_loaded(tmp_path: Path) -> None:
    heard = []

    @contextmanager
    def listen(what: str) -> Iterator[None]:
        heard.append(what)
        yield

    with progress.watching_loads(listen):
        for load in (load_encoder, load_captioner):
            with pytest.raises(ModelError):
                load(str(tmp_path))
    assert heard == [f"encoder {tmp_path}", f"captioner {tmp_path}"]


def test_a_batch_over_a_folder_says_of_each_video_what_came_of_it(
    video: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "videos"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a.mp4").write_bytes(Path(video).read_bytes())
    (folder / "bad.mp4").touch()
    argv = ["batch", str(folder), "--out", str(tmp_path / "out.jsonl"), "--sampler", "uniform"]
    assert cli.main([*argv, "-v"]) == EXIT_LINES == 4
    bad, good, summary = capsys.readouterr().err.splitlines()
    assert bad.startswith(f"bad.mp4: cannot read {folder / 'bad.mp4'}: ")
    assert re.fullmatch(r"below/a\.mp4: 8 frames in \d+\.\d\d s", good)
    assert summary.endswith("out.jsonl: 2 lines, 0 of them from before, 1 with an error")
    (folder / "below" / "new.mp4").write_bytes(Path(video).read_bytes())
    assert cli.main([*argv, "-q"]) == EXIT_LINES
    assert capsys.readouterr() == ("", "")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["bad.mp4", "below/a.mp4", "below/new.mp4"]
