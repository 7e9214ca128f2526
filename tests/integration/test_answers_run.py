"""The evaluation of answers end to end, small: a model is trained and asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.answers.__main__ import main
from evals.answers.material import COLOURS, make_videos
from evals.answers.train import TrainConfig, load_answerer, save, train
from evals.needle.sources import HELD_OUT, TUNING
from keyscore_plugin.video.source import open_video

N_VIDEOS = 4
STEPS = 80


def _rows(out: Path) -> dict[tuple[str, str], dict[str, float]]:
    result: dict[str, Any] = json.loads((out / "result.json").read_text())
    return {
        (row["labels"]["model"], row["labels"]["sampler"]): {
            name: figure["value"] for name, figure in row["figures"].items()
        }
        for row in result["rows"]
    }


@pytest.mark.slow
def test_the_frames_that_keyscore_chooses_are_answered_from(tmp_path: Path) -> None:
    arguments = ["--videos", str(N_VIDEOS), "--steps", str(STEPS), "--num-frames", "4"]
    arguments += ["--sampler", "uniform,keyscore", "--device", "cpu"]
    assert main([*arguments, "--root", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    rows = _rows(tmp_path / "run")
    chosen, uniform = rows["trained", "keyscore"], rows["trained", "uniform"]
    assert chosen["hit"] > uniform["hit"]
    assert chosen["accuracy"] > uniform["accuracy"]
    # Of four answers one may be wrong by chance, or right.
    assert chosen["accuracy"] == pytest.approx(chosen["hit"], abs=0.25)
    assert rows["shuffled answers", "keyscore"]["accuracy"] <= 0.5


@pytest.mark.slow
def test_one_clip_of_a_video_carries_a_frame_and_no_source_is_trained_on(tmp_path: Path) -> None:
    (asked,) = make_videos(HELD_OUT, 1, tmp_path)
    colour = COLOURS[asked.question.answer]
    with open_video(asked.video.path) as source:
        times = source.pts_seconds() - source.start_pts_seconds
        corners = source.read(range(source.n_frames)).pixels[:, 4:20, 4:20].float().mean((1, 2))
    distance = (corners - corners.new_tensor(colour)).abs().amax(1)
    inside = (times >= asked.span[0]) & (times < asked.span[1])
    assert (distance[inside] < 60).all()
    assert not set(HELD_OUT.sources) & set(TUNING.sources)


@pytest.mark.slow
def test_the_same_config_trains_the_same_weights(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        save(tmp_path / name, *train(TrainConfig(steps=2)))
        digests.add(load_answerer(tmp_path / name).weights_sha256)
    assert len(digests) == 1
