"""evals.summaries on real clips in the published formats; every figure is worked out again.

What is worked out again: KeyScore by eq. 1-4 with loops, the knapsack by trying all sets of shots,
the correlations by scipy on what the files say.
"""

import json
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr

from evals.harness.figures import Floats
from evals.summaries.__main__ import main
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.video.source import open_video
from tests.support.real_clips import write_clip
from tests.support.summary_files import (
    Video,
    steps_of,
    write_h5,
    write_splits,
    write_titles,
    write_tsv,
)

pytestmark = pytest.mark.slow

CLIPS = {
    "aaaaaaaaaaa": ["tabby cat", "rocket", "strawberries"],
    "-bbbbbbbbbb": ["spotted dog", "galaxies"],
    "ccccccccccc": ["stained glass", "geese"],
}
TITLES = {
    "aaaaaaaaaaa": "A cat, a rocket and fruit",
    "-bbbbbbbbbb": 'The "dog" show',
    "ccccccccccc": "Geese",
}
KEYS = ("video_1", "video_2", "video_3")
TESTS = [["video_1", "video_3"], ["video_2", "video_1"]]
N_FRAMES = 30  # of each clip, at 25 a second


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips as TVSum and as SumMe."""
    folder = tmp_path_factory.mktemp("summaries")
    n_frames = {}
    for seed, (name, words) in enumerate(CLIPS.items()):
        write_clip(folder / "Videos" / f"{name}.mp4", words, seconds=N_FRAMES / 25, seed=seed)
        n_frames[name] = N_FRAMES * len(words)
    for dataset, n_users in (("tvsum", 20), ("summe", 15)):
        videos = {
            key: Video.random(
                n_frames[name], n_users=n_users, seed=order, name=name if n_users == 15 else None
            )
            for order, (key, name) in enumerate(zip(KEYS, CLIPS, strict=True))
        }
        write_h5(folder / f"eccv16_dataset_{dataset}_google_pool5.h5", videos)
    scores = {
        name: steps_of(n_frames[name], n_users=20, seed=order) for order, name in enumerate(CLIPS)
    }
    write_tsv(folder / "ydata-tvsum50-anno.tsv", scores)
    write_titles(folder / "ydata-tvsum50-info.tsv", TITLES)
    for dataset in ("TVSum", "SumMe"):
        write_splits(folder / "splits", dataset=dataset, tests=TESTS, keys=KEYS)
    return folder


SAMPLERS = "keyscore,keyscore:S,keyscore:T,keyscore:D,topk,random,uniform"


@pytest.fixture(scope="module", params=["tvsum", "summe"])
def finished(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A finished run."""
    dataset: str = request.param
    out = tmp_path_factory.mktemp("runs") / dataset
    assert main([*options(root, out, dataset), "--sampler", SAMPLERS]) == 0
    return dataset, out


def options(root: Path, out: Path, dataset: str) -> list[str]:
    return [
        *("--root", str(root), "--out", str(out), "--dataset", dataset, "--encoder", "conse"),
        *("--device", "cpu"),
    ]


def records_of(out: Path) -> dict[str, dict[str, Any]]:
    (path,) = out.glob("records-*.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record["id"]: record for record in records}


def figures_of(out: Path, sampler: str, videos: str) -> dict[str, float]:
    rows = json.loads((out / "result.json").read_text())["rows"]
    wanted = {"sampler": sampler, "videos": videos}
    (row,) = [row for row in rows if wanted.items() <= row["labels"].items()]
    return {name: figure["value"] for name, figure in row["figures"].items()}


@pytest.fixture(scope="module")
def embedded(root: Path) -> dict[str, Floats]:
    """``(n_steps, d)`` embeddings of every 15th frame, by video."""
    encoder = load_encoder("conse", device="cpu")
    found = {}
    for name, words in CLIPS.items():
        with open_video(root / "Videos" / f"{name}.mp4") as source:
            frames = source.read(range(0, N_FRAMES * len(words), 15), size=(260, 462))
        found[name] = encoder.encode_frames(frames).vectors.double().numpy()
    return found


def test_the_scores_are_eq_1_to_4_on_the_annotated_frames(
    finished: tuple[str, Path], embedded: dict[str, Floats]
) -> None:
    dataset, out = finished
    encoder = load_encoder("conse", device="cpu")
    for key, name in zip(KEYS, CLIPS, strict=True):
        f = embedded[name]
        title = TITLES[name] if dataset == "tvsum" else name
        t = encoder.encode_text(title).vector.double().numpy()

        def unit(v: Floats) -> Floats:
            u: Floats = v / np.linalg.norm(v)
            return u

        def min_max(values: list[float]) -> Floats:
            low, high = min(values), max(values)
            return np.array([(value - low) / (high - low) for value in values])

        semantic = [float(unit(frame) @ unit(t)) for frame in f]
        temporal = [float(unit(frame) @ unit(f.mean(0))) for frame in f]
        whole = float(unit(f.mean(0)) @ unit(t))
        drop = [
            whole - float(unit(np.delete(f, i, axis=0).mean(0)) @ unit(t)) for i in range(len(f))
        ]
        s, v, d = min_max(semantic), min_max(temporal), min_max(drop)
        expected = {
            "keyscore:S@own": s,
            "keyscore:T@own": v,
            "keyscore:D@own": d,
            "topk@own": s,
            "keyscore@own": min_max((0.6 * s + 0.1 * v + 0.3 * d).tolist()),
            "uniform@own": np.ones(len(f)),
        }
        found = records_of(out)[key]["scores"]
        for cell, scores in expected.items():
            assert found[cell] == pytest.approx(scores.tolist(), abs=1e-4), cell
        assert len(found["random@own"]) == len(f)


def by_hand(scores: list[float], dataset: str, key: str, root: Path) -> dict[str, float]:
    """The figures of one ranking on one video, from the files themselves."""
    with h5py.File(root / f"eccv16_dataset_{dataset}_google_pool5.h5", "r") as file:
        shots = file[f"{key}/change_points"][()]
        users = file[f"{key}/user_summary"][()]
        n_frames = int(file[f"{key}/n_frames"][()])
    frame_scores = np.repeat(scores, 15)[:n_frames]
    summary = best_summary(frame_scores, shots, n_frames)
    f = [f_measure(summary, user) for user in users]
    if dataset == "summe":
        mean = users.mean(axis=0)
        tau = kendalltau(rankdata(summary), rankdata(mean)).statistic
        return {"tau": tau, "rho": spearmanr(summary, mean).statistic, "F": max(f)}
    lines = (root / "ydata-tvsum50-anno.tsv").read_text().splitlines()
    block = lines[20 * KEYS.index(key) :][:20]
    annotated = [np.array(line.split("\t")[2].split(","), dtype=float)[::15] for line in block]
    return {
        "tau": float(
            np.mean([kendalltau(rankdata(scores), rankdata(a)).statistic for a in annotated])
        ),
        "rho": float(np.mean([spearmanr(scores, a / a.max()).statistic for a in annotated])),
        "F": float(np.mean(f)),
    }


def best_summary(frame_scores: Floats, shots: npt.NDArray[np.int32], n_frames: int) -> Floats:
    def sets() -> Iterator[tuple[int, ...]]:
        rows = range(len(shots))
        return chain.from_iterable(combinations(rows, size) for size in range(len(shots) + 1))

    def length(chosen: tuple[int, ...]) -> int:
        return sum(int(shots[i][1] - shots[i][0] + 1) for i in chosen)

    def worth(chosen: tuple[int, ...]) -> float:
        return sum(float(frame_scores[shots[i][0] : shots[i][1] + 1].mean()) for i in chosen)

    chosen = max((c for c in sets() if length(c) <= int(n_frames * 0.15)), key=worth)
    summary = np.zeros(n_frames)
    for i in chosen:
        summary[shots[i][0] : shots[i][1] + 1] = 1
    return summary


def f_measure(summary: Floats, user: npt.NDArray[np.float32]) -> float:
    shared = float((summary * user).sum())
    if not shared:
        return 0.0
    precision, recall = shared / summary.sum(), shared / user.sum()
    return float(2 * precision * recall / (precision + recall))


def test_every_figure_can_be_worked_out_from_the_files(
    finished: tuple[str, Path], root: Path
) -> None:
    dataset, out = finished
    records = records_of(out)
    assert set(records) == set(KEYS)
    for sampler in ("keyscore", "keyscore:T", "random"):
        of = {
            key: by_hand(record["scores"][f"{sampler}@own"], dataset, key, root)
            for key, record in records.items()
        }
        for name in ("tau", "rho", "F"):
            everything = np.mean([of[key][name] for key in KEYS])
            split_means = [np.mean([of[key][name] for key in test]) for test in TESTS]
            assert figures_of(out, sampler, "all")[name] == pytest.approx(everything)
            for published in ("PGL-SUM", "CSTA"):
                found = figures_of(out, sampler, f"{published} splits, 2 of 5 splits")
                assert found[name] == pytest.approx(np.mean(split_means))
        assert figures_of(out, sampler, "all")["undefined"] == 0


def test_what_ranks_nothing_is_counted_and_counts_as_zero(finished: tuple[str, Path]) -> None:
    dataset, out = finished
    figures = figures_of(out, "uniform", "all")
    if dataset == "tvsum":
        assert (figures["tau"], figures["rho"], figures["undefined"]) == (0, 0, 3 * 20)
    else:  # equal scores fill the knapsack with as many shots as fit: a summary like any other
        assert figures["undefined"] == 0


def test_the_human_anchor_comes_from_the_same_file(finished: tuple[str, Path], root: Path) -> None:
    dataset, out = finished
    taus = []
    for order, key in enumerate(KEYS):
        if dataset == "tvsum":
            lines = (root / "ydata-tvsum50-anno.tsv").read_text().splitlines()[20 * order :][:20]
            users = np.array([line.split("\t")[2].split(",")[::15] for line in lines], dtype=float)
            pairs = [kendalltau(a, b).statistic for a, b in combinations(users, 2)]
            taus.append(np.mean(pairs))
        else:
            with h5py.File(root / "eccv16_dataset_summe_google_pool5.h5", "r") as file:
                users = file[f"{key}/user_summary"][()].astype(float)
            rests = [np.delete(users, i, axis=0).mean(axis=0) for i in range(len(users))]
            taus.append(
                np.mean([kendalltau(u, r).statistic for u, r in zip(users, rests, strict=True)])
            )
    found = figures_of(out, "human (each left out in turn)", "all")
    assert found["tau"] == pytest.approx(np.mean(taus))


def test_the_table_and_the_settings_say_what_was_done(finished: tuple[str, Path]) -> None:
    dataset, out = finished
    result = json.loads((out / "result.json").read_text())
    assert result["settings"]["dataset"] == dataset
    assert result["settings"]["captions"] == "titles"
    assert result["settings"]["capacity"] == "floor(0.15 n_frames), as LLMVS"
    assert result["settings"]["capacity_differs_from_csta"] == 0
    lines = (out / "table.md").read_text().splitlines()
    assert lines[0] == "| dataset | sampler | videos | n | tau | rho | F | undefined |"
    part = f"{dataset}, 3 of {50 if dataset == 'tvsum' else 25} videos"
    assert all(line.startswith(f"| {part} | ") for line in lines[2:])
    # The picture draws its text as paths, each with a comment that says which.
    assert part in (out / "plot.svg").read_text()


def test_a_captioner_needs_no_titles(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = ["--sampler", "keyscore", "--captioner", "labels", "--no-splits"]
    left_out = ["--leave-out", "video_1,video_3"]
    assert main([*options(root, out, "tvsum"), *asked, *left_out]) == 0
    assert json.loads((out / "result.json").read_text())["settings"]["captions"] == "captioner"
    assert figures_of(out, "keyscore", "all")["undefined"] == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--sampler", "aks"], "aks gives no score to the frames that it does not choose"),
        (["--num-frames", "8"], "keyscore@8: every frame is ranked"),
        (["--sampler", "keyscore:X"], "unknown terms 'X'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    asked: list[str], message: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options(root, tmp_path, "tvsum"), *asked]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("summaries: ")
    assert message in line


def test_a_root_is_asked_for_with_the_source_and_the_layout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--dataset", "summe"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("summaries: --root is missing; ")
    assert "github.com/thswodnjs3/CSTA" in line
    assert "and lay them out as eccv16_dataset_*_google_pool5.h5" in line
    assert line.endswith("ydata-tvsum50-info.tsv")  # nothing is cut out of a long message
    assert " ... " not in line


def test_another_copy_of_a_video_is_named(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for path in root.iterdir():
        if path.name != "Videos":
            (folder / path.name).symlink_to(path)
    (folder / "Videos").mkdir()
    for name, shown in zip(CLIPS, [*list(CLIPS)[1:], "aaaaaaaaaaa"], strict=True):
        (folder / "Videos" / f"{name}.mp4").symlink_to(root / "Videos" / f"{shown}.mp4")
    asked = ["--sampler", "random", "--no-splits"]
    assert main([*options(folder, tmp_path / "run", "tvsum"), *asked]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 3 videos could not be measured" in line
    assert "its annotations (video_1 of the h5 file) are of 90 frames and it has 60 frames" in line
    assert "--leave-out=video_1,video_3" in line


def test_a_video_that_is_not_there_is_left_out_by_name_alone(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Videos").mkdir()
    for path in root.iterdir():
        if path.name != "Videos":
            (tmp_path / path.name).symlink_to(path)
    for name in list(CLIPS)[1:]:
        (tmp_path / "Videos" / f"{name}.mp4").symlink_to(root / "Videos" / f"{name}.mp4")
    asked = [*options(tmp_path, tmp_path / "run", "tvsum"), "--sampler", "random", "--no-splits"]
    assert main(asked) == 2
    assert "1 of 3 files are not under" in capsys.readouterr().err
    assert main([*asked, "--leave-out=video_1"]) == 0
    assert "| tvsum, 2 of 50 videos | random |" in capsys.readouterr().out
