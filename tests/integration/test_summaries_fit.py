"""evals.summaries.fit on real clips in the published formats: from the videos to the table."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.stats import kendalltau

from evals.summaries.__main__ import main as evaluate
from evals.summaries.fit import main
from evals.summaries.h5 import read_h5
from evals.summaries.shots import summarise
from keyscore_plugin import head_scores, load_head
from tests.support import animal_videos
from tests.support.importance import language_model_folder
from tests.support.real_clips import write_clip
from tests.support.summary_files import Video, write_h5, write_splits

pytestmark = pytest.mark.slow

CLIPS = {"a": ["tabby cat", "rocket"], "b": ["galaxies"], "c": ["geese"], "d": ["strawberries"]}
KEYS = ("video_1", "video_2", "video_3", "video_4")
TESTS = [["video_1"], ["video_2", "video_3"]]
N_FRAMES = 50
SHAPE = {"width": 16, "feed_forward": 16, "hidden": [16, 8, 8, 8], "position": "time"}
RECIPE = {"epochs": 3, "rate": 0.01}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    videos = {}
    for order, (name, words) in enumerate(CLIPS.items()):
        write_clip(folder / "Videos" / f"{name}.mp4", words, seconds=N_FRAMES / 25, seed=order)
        n_frames = N_FRAMES * len(words)
        videos[KEYS[order]] = Video.random(n_frames, n_users=15, seed=order, name=name)
    write_h5(folder / "eccv16_dataset_summe_google_pool5.h5", videos)
    write_splits(folder / "splits", dataset="SumMe", tests=TESTS, keys=KEYS)
    return folder


def options(root: Path, out: Path) -> list[str]:
    return [
        *("--root", str(root), "--out", str(out), "--dataset", "summe", "--device", "cpu"),
        *("--shape", json.dumps(SHAPE), "--recipe", json.dumps(RECIPE), "--seeds", "0,1"),
    ]


def from_videos(root: Path, out: Path) -> list[str]:
    models = ["--captioner", "labels", "--language-model", language_model_folder()]
    return [*options(root, out), *models]


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "summe"
    assert main(from_videos(root, out)) == 0
    return out


def rows(out: Path) -> dict[str, dict[str, float]]:
    found = json.loads((out / "result.json").read_text())["rows"]
    return {
        row["labels"]["scores"]: {name: one["value"] for name, one in row["figures"].items()}
        for row in found
    }


def test_the_table_has_heads_language_model_and_controls(root: Path, finished: Path) -> None:
    found = rows(finished)
    assert list(found) == [
        "head",
        "head, captions shuffled",
        "language model, expected digit",
        "language model, written digit",
        "random",
        "uniform",
        "human (each left out in turn)",
    ]
    assert found["head"]["sd of scores"] > 0
    assert "tau sd" in found["head"]


def test_the_figures_are_those_of_the_heads_on_disk(root: Path, finished: Path) -> None:
    """Tau of each head's summary against the mean of the users', by scipy."""
    from safetensors.torch import load_file

    truth = read_h5(root / "eccv16_dataset_summe_google_pool5.h5", n_users=range(15, 16))
    taus = []
    for split, keys in enumerate(TESTS):
        for seed in (0, 1):
            head, card = load_head(finished / "heads" / f"split{split}-seed{seed}")
            assert not set(card.data["trained_on"]) & set(keys)
            assert (card.captioner, card.training["select_on"]) == ("labels", "train")
            assert card.command.startswith("python -m evals.summaries.fit --root")
            of_videos = []
            for key in keys:
                kept = load_file(finished / "embeddings" / f"{key}.safetensors")
                scores = head_scores(head, kept["embeddings"], kept["pts_seconds"]).numpy()
                summary = summarise(scores, truth[key])
                users = truth[key].user_summary.mean(axis=0)
                of_videos.append(np.nan_to_num(kendalltau(summary, users).statistic))
            taus.append(np.mean(of_videos))
    assert rows(finished)["head"]["tau"] == pytest.approx(float(np.mean(taus)), abs=1e-9)
    assert rows(finished)["head"]["tau sd"] == pytest.approx(float(np.std(taus, ddof=1)), abs=1e-9)


def test_tvsum_goes_from_the_videos_to_the_table_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = animal_videos.write(tmp_path / "data")
    run = from_videos(root, tmp_path / "out")
    run[run.index("summe")] = "tvsum"
    assert main(run) == 0
    assert "| tvsum, 4 of 50 videos | head | PGL-SUM | train |" in capsys.readouterr().out
    found = rows(tmp_path / "out")
    assert found["human (each left out in turn)"]["tau"] > 0  # users agree on animals
    assert set(found) >= {"head", "head, captions shuffled", "random", "uniform"}


@pytest.mark.parametrize("option", ["shape", "recipe"])
def test_an_unknown_name_is_one_line_before_any_caption(
    option: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options(root, tmp_path), f"--{option}", '{"depth": 2}']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--{option} does not fit a " in line
    assert "keyword argument 'depth'" in line


def test_an_interrupted_run_goes_on_where_it_stopped(
    root: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = (finished / "table.md").read_text()
    journal = finished / "records-fit.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-2]) + lines[-2][:20])  # killed while it wrote a record
    (finished / "embeddings" / "video_4.safetensors").unlink()
    before = (finished / "embeddings" / "video_1.safetensors").stat().st_mtime_ns
    assert main(from_videos(root, finished)) == 0
    assert (finished / "table.md").read_text() == table
    assert (finished / "embeddings" / "video_1.safetensors").stat().st_mtime_ns == before
    assert main([*from_videos(root, finished), "--select-on", "test"]) == 2
    assert "holds a run with select_on 'train', this one has 'test'" in capsys.readouterr().err


def test_other_splits_or_weights_under_the_same_name_are_another_run(
    root: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = root / "splits" / "summe_splits.json"
    before = splits.read_bytes()
    write_splits(root / "splits", dataset="SumMe", tests=TESTS[:1], keys=KEYS)
    assert main(from_videos(root, finished)) == 2
    assert "holds a run with splits" in capsys.readouterr().err
    splits.write_bytes(before)
    weights = Path(language_model_folder(), "model.safetensors")
    os.utime(weights, ns=(0, 0))  # as another training in the same folder would
    assert main(from_videos(root, finished)) == 2
    assert "holds a run with weights {'language model': " in capsys.readouterr().err


def test_embeddings_of_an_h5_file_need_no_videos_and_no_models(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = read_h5(root / "eccv16_dataset_summe_google_pool5.h5", n_users=range(15, 16))
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for key, annotation in truth.items():
            file[f"{key}/features"] = rng.normal(size=(len(annotation.picks), 8))
            file[f"{key}/picks"] = annotation.picks
    h5 = ["--embeddings", str(tmp_path / "own.h5"), "--random-targets", "--splits", "CSTA"]
    run = [*options(root, tmp_path / "out"), *h5, "--select-on", "test"]
    assert main(run) == 0
    assert "| head | CSTA | test |" in capsys.readouterr().out
    with h5py.File(tmp_path / "own.h5", "r+") as file:
        file["video_1/features"][0, 0] += 1  # in place: the name and the size stay
    assert main(run) == 2
    assert "holds a run with embeddings_sha256" in capsys.readouterr().err
    assert main([*options(root, tmp_path / "other"), "--captioner", "labels"]) == 2
    assert "set llmvs.model (--language-model)" in capsys.readouterr().err


def test_the_sampler_ranks_in_the_usual_table_with_a_trained_head(
    root: Path, finished: Path, tmp_path: Path
) -> None:
    head = finished / "heads" / "split0-seed0"
    config = {
        "llmvs": {"model": language_model_folder(), "head": str(head)},
        "guide": "importance",
    }
    command = ["--root", str(root), "--dataset", "summe", "--out", str(tmp_path / "run")]
    command += ["--captioner", "labels", "--encoder", "conse", "--device", "cpu"]
    command += ["--sampler", "llmvs,keyscore:S,keyscore,random"]
    assert evaluate([*command, "--config", json.dumps(config)]) == 0
    found = json.loads((tmp_path / "run" / "result.json").read_text())["rows"]
    taus = {row["labels"]["sampler"]: row["figures"]["tau"]["value"] for row in found}
    assert set(taus) >= {"llmvs", "keyscore", "random"}
    assert taus["keyscore:S"] == taus["llmvs"]  # importance stands in for the cosine
