"""The needle evaluation end to end, on a video of three colours whose figures are known by hand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import PartialState
from PIL import Image

from evals.harness.bench import Setup
from evals.harness.cache import CachedEncoder, CachedSource
from evals.harness.cells import make_cells
from evals.harness.result import Result
from evals.harness.run import run
from evals.needle.__main__ import main
from evals.needle.hour import make_hours
from evals.needle.metrics import judge
from evals.needle.protocol import NeedleEvaluation
from evals.needle.sources import Split
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.joined import FPS, Needle, NeedleVideo, join
from keyscore_plugin.video.samples.sources import SIZE
from keyscore_plugin.video.source import open_video
from tests.support.colour_encoder import ColourEncoder

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


@dataclass(frozen=True)
class Colour:
    """A source of one colour."""

    caption: str

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        for _ in range(n_frames):
            yield Image.new("RGB", SIZE, COLOURS[self.caption])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> NeedleVideo:
    return _join(tmp_path_factory.mktemp("needle"))


def _join(root: Path) -> NeedleVideo:
    sources = [Colour(name) for name in COLOURS]
    return join(
        sources, root=root, name="colours", rng=np.random.default_rng(1), clip_seconds=(2.0, 2.5)
    )


def test_needles_lie_where_the_frames_show_them(video: NeedleVideo) -> None:
    with open_video(video.path) as source:
        times = source.pts_seconds()
        assert len(times) == round(FPS * video.needles[-1].spans[0][1])
        for needle in video.needles:
            ((start, end),) = needle.spans
            inside = (times >= start) & (times < end)
            frames = source.read(inside.nonzero().flatten()[[0, -1]])
            seen = frames.pixels.float().mean((1, 2)).argmax(-1)
            assert seen.tolist() == [list(COLOURS).index(needle.caption)] * 2


def test_the_same_seed_joins_the_same_video(video: NeedleVideo, tmp_path: Path) -> None:
    again = _join(tmp_path)
    assert again.needles == video.needles
    assert again.path.name == video.path.name
    assert again.path.read_bytes() == video.path.read_bytes()


def test_a_joined_video_is_not_made_twice(video: NeedleVideo) -> None:
    made = video.path.stat().st_mtime_ns
    assert _join(video.path.parent).path.stat().st_mtime_ns == made


@pytest.mark.slow
def test_each_clip_is_asked_for_in_a_long_video_where_it_comes_once(tmp_path: Path) -> None:
    split = Split("colours", tuple(map(Colour, COLOURS)), n_videos=3, seed=0)
    videos = list(make_hours(split, tmp_path, seconds=40, n_videos=3, n_takes=1))
    assert {needle.caption for video in videos for needle in video.needles} == set(COLOURS)
    for video in videos:
        (needle,) = video.needles
        ((start, end),) = needle.spans
        with open_video(video.path) as source:
            times = source.pts_seconds()
            assert source.n_frames in (40 * FPS - 1, 40 * FPS)
            frames = source.read(range(0, source.n_frames, 5))
        seen = frames.pixels.float().mean((1, 2)).argmax(-1)
        inside = (frames.pts_seconds >= start) & (frames.pts_seconds < end)
        assert torch.equal(seen == list(COLOURS).index(needle.caption), inside)
        assert bool((times.diff() - 1 / FPS < 1e-4).all())
    again = make_hours(split, tmp_path, seconds=40, n_videos=3, n_takes=1)
    assert [video.needles for video in again] == [video.needles for video in videos]


@dataclass(frozen=True)
class Interrupted(Colour):
    """A source in the middle of whose filming something happens."""

    meanwhile: Callable[[], None] = field(repr=False)

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        for row, image in enumerate(super().render(n_frames, rng)):
            if row == n_frames // 2:
                self.meanwhile()
            yield image


def _join_one(root: Path, meanwhile: Callable[[], None]) -> NeedleVideo:
    rng = np.random.default_rng(1)
    source = Interrupted("red", meanwhile)
    return join([source], root=root, name="red", rng=rng, clip_seconds=(1.0, 1.0))


def test_two_runs_may_make_the_same_video_at_the_same_time(tmp_path: Path) -> None:
    others: list[bytes] = []

    def another_run() -> None:
        others.append(_join_one(tmp_path, lambda: None).path.read_bytes())

    joined = _join_one(tmp_path, another_run)
    assert others == [joined.path.read_bytes()]
    assert list(tmp_path.iterdir()) == [joined.path]


def test_a_video_whose_making_is_cut_off_is_not_there(tmp_path: Path) -> None:
    def cut_off() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _join_one(tmp_path, cut_off)
    assert list(tmp_path.iterdir()) == []


def _run(video: NeedleVideo, samplers: list[str], budgets: list[int], out: Path) -> Result:
    encoder = ColourEncoder()
    setup = Setup(make_cells(samplers, budgets, []), SamplerConfig(), encoder_asked=encoder)
    result = run(NeedleEvaluation("colours", [video]), setup, out=out, state=PartialState())
    # Each grid frame is embedded once, whatever the samplers, budgets and captions.
    assert encoder.n_encoded <= round(2 * video.needles[-1].spans[0][1])
    assert result is not None
    return result


def test_figures_of_known_samplers_on_known_colours(video: NeedleVideo, tmp_path: Path) -> None:
    result = _run(video, ["uniform", "topk", "keyscore"], [1, 3], tmp_path)
    figures = {
        (row.labels["sampler"], row.labels["num_frames"], name): figure.value
        for row in result.rows
        for name, figure in row.figures.items()
    }
    assert [row.n for row in result.rows] == [3] * 6
    # One frame in the middle of three clips: right for one of the three captions.
    assert figures["uniform", 1, "precision"] == pytest.approx(1 / 3)
    assert figures["uniform", 3, "hit"] == 1.0
    assert figures["uniform", 3, "precision"] == pytest.approx(1 / 3)
    for budget in (1, 3):
        assert figures["topk", budget, "precision"] == 1.0
        assert figures["keyscore", budget, "hit"] == 1.0


def test_a_query_behind_the_end_of_its_video_is_named(video: NeedleVideo, tmp_path: Path) -> None:
    late = NeedleVideo(video.path, (Needle("red", ((60.0, 64.0),)),))
    setup = Setup(make_cells(["uniform"], [1], []), SamplerConfig())
    with pytest.raises(InputError, match="s long, and a query points at 64 s"):
        run(NeedleEvaluation("colours", [late]), setup, out=tmp_path, state=PartialState())


def test_a_video_that_is_not_there_is_left_out_by_name_alone(
    video: NeedleVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "here.mp4").symlink_to(video.path)
    asked = {"query": "red", "relevant_windows": [[0, 2]]}
    lines = [json.dumps({"qid": name, "vid": name, **asked}) for name in ("here", "gone")]
    (tmp_path / "highlight_val_release.jsonl").write_text("\n".join(lines))
    arguments = ["--dataset=qvhighlights", "--sampler=uniform", "--num-frames=1"]
    arguments += [f"--root={tmp_path}", f"--out={tmp_path / 'out'}"]
    assert main(arguments) == 2
    assert "1 of 2 files are not under" in capsys.readouterr().err
    assert main([*arguments, "--leave-out=gone"]) == 0
    assert "Left out by name: gone." in capsys.readouterr().out


def test_a_cached_video_gives_what_the_video_gives(video: NeedleVideo) -> None:
    grid = [0, 40, 90]
    with open_video(video.path) as source, CachedSource(open_video(video.path)) as cached:
        for _ in range(2):
            for ours, theirs in zip(
                cached.thumbnails(grid, short_side=32),
                source.thumbnails(grid, short_side=32),
                strict=True,
            ):
                assert ours.pixels.equal(theirs.pixels)
                assert ours.pts_seconds.equal(theirs.pts_seconds)


def test_a_cached_encoder_gives_what_the_encoder_gives(video: NeedleVideo) -> None:
    with open_video(video.path) as source:
        frames = source.read([3, 60, 120], size=(36, 64))
    cached = CachedEncoder(ColourEncoder)
    cached.encode_frames(frames[[1]])
    assert cached.encode_frames(frames).vectors.equal(ColourEncoder().encode_frames(frames).vectors)
    assert cached.n_encoded == 3


def test_a_text_is_embedded_once_for_all_videos(video: NeedleVideo) -> None:
    encoder = ColourEncoder()
    setup = Setup((), SamplerConfig(), encoder_asked=encoder)
    for _ in range(2):
        with setup.open(video.path) as bench:
            bench.encoder.encode_text("red")
    assert encoder.texts == ["red"]


def test_results_can_be_read_and_repeated(video: NeedleVideo, tmp_path: Path) -> None:
    result = _run(video, ["uniform"], [3], tmp_path)
    assert result.to_markdown().splitlines()[-1].startswith("| uniform | 3 | 3 | 0.333 [0.333, 0.3")
    value = json.loads(json.dumps(result.to_dict()))
    assert value["settings"]["dataset"] == "colours"
    assert value["settings"]["encoder"] == "colour"
    assert value["rows"][0]["figures"]["5 s"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    with open_video(video.path) as source:
        pts_seconds = source.pts_seconds().tolist()
    assert all(judge(pts_seconds, needle).coverage_1s == 1.0 for needle in video.needles)


@pytest.mark.parametrize(
    ("argument", "named"),
    [("--sampler=nonsense", "nonsense"), ('--config={"select": {"policy": "best"}}', "best")],
)
def test_a_wrong_name_is_one_line_and_exit_code_2(
    argument: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument, "--encoder=conse", f"--root={tmp_path}", f"--out={tmp_path / 'out'}"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert named in error
    assert len(error.strip().splitlines()) == 1
