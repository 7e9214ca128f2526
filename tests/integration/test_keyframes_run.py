"""evals.keyframes on real clips in the published layout; the figures are worked out again.

What is worked out again: histograms by numpy, cosines by scipy, the pairing by sorting all pairs.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import savemat
from scipy.spatial.distance import cosine

from evals.harness.figures import Floats
from evals.keyframes.__main__ import main
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.video.source import open_video
from tests.support.real_clips import write_clip
from tests.support.summary_files import write_titles

pytestmark = pytest.mark.slow

CLIPS = {
    "-aaaaaaaaaa": ["tabby cat", "rocket", "strawberries"],
    "bbbbbbbbbbb": ["spotted dog", "galaxies", "geese"],
}
TITLES = {"-aaaaaaaaaa": "A rocket", "bbbbbbbbbbb": "A dog"}
# Of three clips of 20 frames each. The middle frame of the second video shows galaxies, which
# none of its true keyframes is like.
TRUTH = {"-aaaaaaaaaa": [5, 35, 52], "bbbbbbbbbbb": [3, 50]}
N_FRAMES = 60
ORACLE = "ground truth (an oracle)"
PART = "tvsum20, 2 of 20 videos"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tvsum20")
    for seed, (name, words) in enumerate(CLIPS.items()):
        write_clip(folder / "Videos" / f"{name}.mp4", words, seconds=0.8, seed=seed)
        (folder / "Keyframe" / f"{name}.mp4").mkdir(parents=True)
        for index in TRUTH[name]:
            (folder / "Keyframe" / f"{name}.mp4" / f"{index}.jpg").touch()
    write_titles(folder / "ydata-tvsum50-info.tsv", TITLES)
    return folder


def options(root: Path, out: Path) -> list[str]:
    return [
        *("--root", str(root), "--out", str(out), "--dataset", "tvsum20", "--encoder", "conse"),
        *("--device", "cpu"),
    ]


@pytest.fixture(scope="module")
def out(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "keyframes"
    asked = ["--sampler", "keyscore,keyscore@t0.5", "--num-frames", "1,3", "--oracle"]
    assert main([*options(root, folder), *asked]) == 0
    return folder


def records_of(out: Path) -> dict[str, dict[str, Any]]:
    (path,) = out.glob("records-*.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record["id"]: record for record in records}


def figures_of(out: Path, **labels: str | float | None) -> dict[str, float]:
    told = {"dataset": PART, "num_frames": None, "threshold": None, "as_many_as": None}
    wanted = {**told, **labels}
    rows = json.loads((out / "result.json").read_text())["rows"]
    (row,) = [row for row in rows if row["labels"] == wanted]
    assert row["n"] == len(CLIPS)
    return {name: figure["value"] for name, figure in row["figures"].items()}


LINES: dict[str, dict[str, str | float | None]] = {
    "keyscore@1": {"sampler": "keyscore", "num_frames": 1},
    "keyscore@3": {"sampler": "keyscore", "num_frames": 3},
    "keyscore@t0.5": {"sampler": "keyscore", "threshold": 0.5},
    "uniform@1": {"sampler": "uniform", "num_frames": 1},
    "random@1": {"sampler": "random", "num_frames": 1},
    "uniform@3": {"sampler": "uniform", "num_frames": 3},
    "random@3": {"sampler": "random", "num_frames": 3},
    "uniform, as many as keyscore@t0.5": {"sampler": "uniform", "as_many_as": "keyscore@t0.5"},
    "random, as many as keyscore@t0.5": {"sampler": "random", "as_many_as": "keyscore@t0.5"},
    f"keyscore, as many as {ORACLE}": {"sampler": "keyscore", "as_many_as": ORACLE},
    f"uniform, as many as {ORACLE}": {"sampler": "uniform", "as_many_as": ORACLE},
    f"random, as many as {ORACLE}": {"sampler": "random", "as_many_as": ORACLE},
}


def test_every_row_has_rows_of_as_many_uniform_and_random_frames(out: Path) -> None:
    rows = json.loads((out / "result.json").read_text())["rows"]
    assert len(rows) == len(LINES)
    for record in records_of(out).values():
        chosen = record["chosen"]
        assert list(chosen) == list(LINES)
        n_found = len(chosen["keyscore@t0.5"][0])
        assert {len(draw) for draw in chosen["random, as many as keyscore@t0.5"]} == {n_found}
        assert len(chosen["uniform, as many as keyscore@t0.5"][0]) == n_found
        assert len(chosen[f"keyscore, as many as {ORACLE}"][0]) == len(record["truth"])
        assert len({tuple(draw) for draw in chosen["random@3"]}) == 5


def test_the_frames_are_those_of_the_products_own_call(out: Path, root: Path) -> None:
    for name, record in records_of(out).items():
        path = root / "Videos" / f"{name}.mp4"
        keyscore = get_sampler("keyscore", encoder="conse", device="cpu")
        three = keyscore(path, num_frames=3, caption=TITLES[name])
        above = keyscore(path, threshold=0.5, caption=TITLES[name])
        assert record["chosen"]["keyscore@3"] == [three.indices]
        assert record["chosen"]["keyscore@t0.5"] == [above.indices]
        assert record["chosen"]["uniform@3"] == [get_sampler("uniform")(path, num_frames=3).indices]
        assert record["truth"] == TRUTH[name]


def histogram(pixels: npt.NDArray[np.uint8]) -> Floats:
    bgr = pixels.reshape(-1, 3)[:, ::-1].astype(float)
    edges = [np.linspace(0, 255, 9)] * 3
    counts, _ = np.histogramdd(bgr[(bgr < 255).all(1)], bins=edges)
    found: Floats = (counts.ravel() - counts.min()) / (counts.max() - counts.min())
    return found


def by_hand(chosen: list[int], truth: list[int], shown: dict[int, Floats]) -> tuple[float, ...]:
    """Precision, recall, F1."""
    pairs = [
        (1 - cosine(shown[true], shown[frame]), i, j)
        for i, true in enumerate(truth)
        for j, frame in enumerate(chosen)
    ]
    rows: set[int] = set()
    columns: set[int] = set()
    for similarity, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if similarity > 0.9 and i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
    if not rows:
        return 0.0, 0.0, 0.0
    precision, recall = len(rows) / len(chosen), len(rows) / len(truth)
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_every_figure_can_be_worked_out_from_the_videos(out: Path, root: Path) -> None:
    records = records_of(out)
    shown = {}
    for name in CLIPS:
        with open_video(root / "Videos" / f"{name}.mp4") as source:
            frames = source.read(range(N_FRAMES)).pixels.numpy()
        shown[name] = {index: histogram(frame) for index, frame in enumerate(frames)}
    some_match_missing = 0
    for key, labels in LINES.items():
        judged = {
            name: [by_hand(draw, TRUTH[name], shown[name]) for draw in record["chosen"][key]]
            for name, record in records.items()
        }
        means = np.mean([np.mean(draws, axis=0) for draws in judged.values()], axis=0)
        figures = figures_of(out, **labels)
        found = [figures[name] for name in ("precision", "recall", "F1")]
        assert found == pytest.approx(means.tolist()), key
        every_f1 = np.array([f1 for draws in judged.values() for _, _, f1 in draws])
        inflated = every_f1[every_f1 > 0].mean() if every_f1.any() else 0.0
        assert figures["F1 without zero-match videos (inflated)"] == pytest.approx(inflated), key
        share = np.mean([[f1 == 0 for _, _, f1 in draws] for draws in judged.values()], axis=1)
        assert figures["zero-match videos"] == pytest.approx(share.sum()), key
        some_match_missing += every_f1.min() == 0
    assert some_match_missing


def test_a_video_without_a_match_is_not_left_out(out: Path) -> None:
    judged = {
        name: record["judged"]["uniform@1"][0]["f1"] for name, record in records_of(out).items()
    }
    assert judged["bbbbbbbbbbb"] == 0  # galaxies are like neither dog nor geese
    figures = figures_of(out, sampler="uniform", num_frames=1)
    assert figures["zero-match videos"] == 1
    assert figures["F1"] == pytest.approx(judged["-aaaaaaaaaa"] / 2)
    assert figures["F1 without zero-match videos (inflated)"] == pytest.approx(
        judged["-aaaaaaaaaa"]
    )


def test_the_settings_and_the_files_of_a_run(out: Path) -> None:
    settings = json.loads((out / "result.json").read_text())["settings"]
    assert settings["ground_truth"] == "files"
    assert settings["captions"] == "titles"
    assert settings["n_keyframes"] == 5
    lines = (out / "table.md").read_text().splitlines()
    assert "F1 without zero-match videos (inflated)" in lines[0]
    assert all(PART in line for line in lines[2:])
    # The picture draws its text as paths, each with a comment that says which.
    assert PART in (out / "plot.svg").read_text()


def test_keyframes_of_summe_are_made_of_its_votes(root: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "GT").mkdir(parents=True)
    (tmp_path / "data" / "Videos").mkdir()
    (tmp_path / "data" / "Videos" / "Two_cats.mp4").symlink_to(root / "Videos" / "bbbbbbbbbbb.mp4")
    kept = np.zeros((N_FRAMES, 15))
    kept[50:, :9] = 3  # the second stretch of two seconds, at 25 a second
    savemat(tmp_path / "data" / "GT" / "Two cats.mat", {"user_score": kept, "FPS": 25.0})
    asked = ["--dataset", "summe", "--ground-truth", "votes", "--captioner", "labels"]
    out = tmp_path / "run"
    asked += ["--sampler", "topk", "--num-frames", "2"]
    assert main([*options(tmp_path / "data", out), *asked]) == 0
    assert records_of(out)["Two cats"]["truth"] == [59]  # its middle lies behind the end
    settings = json.loads((out / "result.json").read_text())["settings"]
    assert settings["ground_truth"] == "votes (ours)"
    assert settings["captions"] == "captioner"


def test_a_copy_with_another_number_of_frames_is_not_the_one_that_people_saw(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "GT").mkdir(parents=True)
    (tmp_path / "data" / "Videos").symlink_to(root / "Videos")
    kept = np.zeros((N_FRAMES // 2, 15))
    kept[10:20] = 1
    savemat(tmp_path / "data" / "GT" / "bbbbbbbbbbb.mat", {"user_score": kept, "FPS": 5.0})
    asked = ["--dataset", "summe", "--ground-truth", "votes", "--sampler", "iframes"]
    assert main([*options(tmp_path / "data", tmp_path / "run"), *asked]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "its keyframes are of 30 frames and it has 60 frames" in line


@pytest.mark.parametrize(
    ("asked", "source", "layout"),
    [
        (["--dataset=tvsum20"], "ttharden/Keyframe-extraction", "Keyframe/<id>.mp4/<frame index>"),
        (["--dataset=summe", "--ground-truth=votes"], "cvl/SumMe", "GT/<name>.mat and Videos"),
    ],
)
def test_a_root_is_asked_for_with_the_source_and_the_layout(
    asked: list[str], source: str, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keyframes: --root is missing; ")
    assert source in line
    assert f"and lay them out as {layout}" in line


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--ground-truth", "votes"], "votes is for --dataset summe"),
        (["--dataset", "summe", "--ground-truth", "votes"], "1 of 2 files are not under"),
        (["--root", "nowhere"], "Keyframe, Videos; get them from github.com/ttharden"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    asked: list[str], message: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options(root, tmp_path), *asked]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keyframes: ")
    assert message in line


def test_titles_that_are_not_there_and_keyframes_behind_the_end_are_named(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "Keyframe" / "bbbbbbbbbbb.mp4").mkdir(parents=True)
    (data / "Keyframe" / "bbbbbbbbbbb.mp4" / "60.jpg").touch()
    (data / "Videos").symlink_to(root / "Videos")
    asked = [*options(data, tmp_path / "run"), "--sampler", "topk", "--num-frames", "2"]
    assert main(asked) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "ydata-tvsum50-info.tsv; get them from TVSum" in line
    assert "--captioner" in line
    write_titles(data / "ydata-tvsum50-info.tsv", {"-aaaaaaaaaa": "A rocket"})
    assert main(asked) == 2
    assert "has no title of bbbbbbbbbbb" in capsys.readouterr().err
    write_titles(data / "ydata-tvsum50-info.tsv", TITLES)
    assert main(asked) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "its keyframes go up to frame 60 and it has 60 frames" in line


def test_where_nothing_reads_a_text_no_titles_are_wanted(root: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for name in ("Keyframe", "Videos"):
        (data / name).symlink_to(root / name)
    assert main([*options(data, out), "--sampler", "iframes", "--num-frames", "2"]) == 0
    settings = json.loads((out / "result.json").read_text())["settings"]
    assert settings["captions"] == "none"


def test_a_video_that_is_not_there_is_left_out_by_name_alone(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "Videos").mkdir(parents=True)
    (data / "Keyframe").symlink_to(root / "Keyframe")
    (data / "Videos" / "bbbbbbbbbbb.mp4").symlink_to(root / "Videos" / "bbbbbbbbbbb.mp4")
    asked = [*options(data, tmp_path / "run"), "--sampler", "iframes", "--num-frames", "2"]
    assert main(asked) == 2
    assert "1 of 2 files are not under" in capsys.readouterr().err
    assert main([*asked, "--leave-out=-aaaaaaaaaa"]) == 0
    assert "| tvsum20, 1 of 20 videos | iframes |" in capsys.readouterr().out
