"""The curriculum of clips: SFT that teaches, GRPO that improves, a control that stays blind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from keyscore_plugin import ClipQuestion, clip_prompt, parse_clips
from keyscore_plugin.types import Frames
from keyscore_trl import UniformReader, VideoCollator
from keyscore_trl.clip_prompts import ClipPrompts, clip_chat, read_rows
from keyscore_trl.clips import main
from keyscore_trl.curriculum import RewardConfig, RunConfig, train_rl
from tests.support.bright_second import (
    QUERY,
    SECONDS,
    Brightness,
    clip_lines,
    question_lines,
    save_policy,
    write_lines,
    write_videos,
)
from tests.support.requires import require_or_skip

# TRL 1.16 asks transformers for names that version 5.23 renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

LOOKED_AT = 4
SFT_STEPS, RL_STEPS = 60, 24
SITE = Path(__file__).parents[1] / "support" / "site"


@pytest.fixture(scope="module", autouse=True)
def needs_trl() -> None:
    require_or_skip("trl")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos, the data of two stages, and a random policy."""
    folder = tmp_path_factory.mktemp("clips")
    videos = write_videos(folder / "videos", 4)
    write_lines(folder / "clips.jsonl", clip_lines(videos))
    write_lines(folder / "questions.jsonl", question_lines(videos))
    save_policy(folder / "random", folder / "clips.jsonl", looked_at=LOOKED_AT)
    return folder


def sft(root: Path, out: str, *more: str, model: str = "random") -> int:
    arguments = ["sft", "--stage", "2", "--data", str(root / "clips.jsonl"), "--train-vision"]
    arguments += ["--model", str(root / model), "--out", str(root / out)]
    arguments += ["--looked-at", str(LOOKED_AT), "--batch", "16", "--rate", "3e-3"]
    return main([*arguments, *more])


def rl(root: Path, out: str, *more: str, model: str = "random") -> int:
    arguments = ["rl", "--data", str(root / "questions.jsonl"), "--model", str(root / model)]
    arguments += ["--answerer", str(root / "random"), "--out", str(root / out)]
    arguments += ["--looked-at", str(LOOKED_AT), "--batch", "4", "--num-generations", "4"]
    return main([*arguments, "--num-frames", "2", "--max-new-tokens", "8", *more])


def log_of(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry[name] for entry in history if name in entry]


def mean_iou(folder: Path, videos: Sequence[tuple[Path, int]], *, shown: int = 0) -> float:
    """Mean IoU of the first clip that a policy names greedily.

    Args:
        folder: Policy.
        videos: Videos and their bright seconds.
        shown: By how many places the videos that the policy sees are shifted.
    """
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(folder)
    models: Any = AutoModelForImageTextToText
    model = models.from_pretrained(folder).eval()
    paths = [path for path, _ in videos]
    paths = paths[shown:] + paths[:shown]
    batch = ClipPrompts(processor, UniformReader(LOOKED_AT))(
        [clip_chat(str(path), QUERY) for path in paths]
    )
    tokens = model.generate(**batch, max_new_tokens=40, do_sample=False)
    texts = processor.batch_decode(
        tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return fmean(_iou(text, second) for text, (_, second) in zip(texts, videos, strict=True))


def _iou(text: str, second: int) -> float:
    clips = parse_clips(text, float(SECONDS)).clips
    if not clips:
        return 0.0
    start, end = clips[0].start_seconds, clips[0].end_seconds
    common = max(0.0, min(end, second + 1) - max(start, second))
    return common / (end - start + 1 - common)


@pytest.fixture(scope="module")
def taught(root: Path) -> Path:
    """A policy after SFT."""
    assert sft(root, "sft", "--steps", str(SFT_STEPS), "--rate", "4e-3") == 0
    return root / "sft"


def improve(root: Path, policy: Path, out: str, *, steps: int) -> list[float]:
    """Run GRPO with an answerer that is sure as far as its frames are bright; returns rewards."""
    train_rl(
        RunConfig(
            stage="rl",
            data=root / "questions.jsonl",
            model=str(policy),
            out=root / out,
            looked_at=LOOKED_AT,
            steps=steps,
            batch=32,
            rate=1e-3,
            train_vision=True,
            save_every=2,
        ),
        RewardConfig(answerer="", num_frames=2, max_new_tokens=40),
        answerer=Brightness(),
    )
    return log_of(root / out, "reward")


@pytest.mark.slow
def test_sft_teaches_what_the_video_shows(root: Path, taught: Path) -> None:
    held_out = write_videos(root / "held-out", 3, seed=9)
    assert mean_iou(root / "random", held_out) == 0
    assert mean_iou(taught, held_out) >= 0.7
    # The control: clips are named of another video than the one that was seen.
    assert mean_iou(taught, held_out, shown=1) <= 0.1


@pytest.mark.slow
def test_grpo_improves_what_sft_taught(root: Path, taught: Path) -> None:
    rewards = improve(root, taught, "rl", steps=RL_STEPS)
    assert fmean(rewards[-4:]) - fmean(rewards[:4]) >= 0.15, rewards
    assert len(log_of(root / "rl", "uniform_reward")) == RL_STEPS
    assert abs(log_of(root / "rl", "kl")[0]) < 1e-6


def same_next_steps(whole: Path, killed: Path) -> None:
    assert log_of(whole, "loss") == log_of(killed, "loss")
    assert len(log_of(whole, "loss")) == 4
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, killed)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_sft_that_was_killed_takes_the_same_next_steps(root: Path) -> None:
    arguments = ["--steps", "4", "--save-every", "2"]
    assert sft(root, "whole", *arguments) == 0
    # What a kill after the second step leaves.
    shutil.copytree(root / "whole" / "checkpoint-2", root / "killed" / "checkpoint-2")
    assert sft(root, "killed", *arguments) == 0
    same_next_steps(root / "whole", root / "killed")


@pytest.mark.slow
def test_grpo_that_was_killed_takes_the_same_next_steps(root: Path, taught: Path) -> None:
    whole = improve(root, taught, "rl-whole", steps=4)
    shutil.copytree(root / "rl-whole" / "checkpoint-2", root / "rl-killed" / "checkpoint-2")
    assert improve(root, taught, "rl-killed", steps=4) == whole
    same_next_steps(root / "rl-whole", root / "rl-killed")


@pytest.mark.slow
def test_the_folder_of_another_run_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft(root, "taken", "--steps", "1", "--save-every", "1") == 0
    assert sft(root, "taken", "--steps", "2", "--seed", "1") == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_an_adapter_is_trained_and_its_training_goes_on(root: Path) -> None:
    assert sft(root, "adapter", "--steps", "1", "--lora", "2") == 0
    assert (root / "adapter" / "adapter_config.json").is_file()
    assert rl(root, "adapter-rl", "--steps", "1", model="adapter") == 0
    assert (root / "adapter-rl" / "adapter_config.json").is_file()


@pytest.mark.slow
def test_two_processes_share_a_run(root: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "keyscore_trl.clips", "sft", "--stage", "2", "--train-vision"]
    command += ["--data", str(root / "clips.jsonl"), "--model", str(root / "random")]
    command += ["--out", str(root / "two"), "--looked-at", "4", "--steps", "1", "--batch", "2"]
    paths = os.pathsep.join([*map(str, (SITE, *sys.path[:1])), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": paths}, timeout=280)
    assert json.loads((root / "two" / "run.json").read_text())["processes"] == 2


def test_inference_sft_and_rl_build_the_same_inputs(root: Path) -> None:
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(root / "random")
    (row, *_) = read_rows(root / "clips.jsonl", "2")
    read = UniformReader(LOOKED_AT)
    prompts = ClipPrompts(processor, read)
    video = read(row["prompt"][0]["content"][0]["video"])
    frames = Frames(video.pixels, torch.arange(len(video.pixels)), video.seconds)
    asked = clip_prompt(processor, [ClipQuestion(frames, QUERY, video.duration_seconds)])
    trained = VideoCollator(prompts)([row])
    rolled_out = prompts([row["prompt"]])
    n_prompt = asked["input_ids"].shape[1]
    for name, value in asked.items():
        assert torch.equal(rolled_out[name], value), name
        is_text = value.shape == asked["input_ids"].shape
        assert torch.equal(trained[name][:, :n_prompt] if is_text else trained[name], value), name
    answer = trained["labels"][0, n_prompt:]
    assert (trained["labels"][0, :n_prompt] == -100).all()
    assert processor.tokenizer.decode(answer) == row["completion"] + processor.tokenizer.eos_token


@pytest.mark.parametrize(
    ("command", "line", "wanted"),
    [
        ("sft", '{"video": "a.mp4"}', "line 1: expected"),
        ("sft", '{"video": "a.mp4", "query": " ", "clips": []}', "a text is empty"),
        ("sft", "", "has no line"),
        ("rl", '{"video": "a.mp4", "question": "?", "options": [], "answer": 0}', "two options"),
        ("rl", "{", "line 1: expected"),
    ],
)
def test_bad_data_is_one_clear_line(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    line: str,
    wanted: str,
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(line)
    shared = ["--data", str(data), "--model", str(root / "random"), "--out", str(tmp_path / "out")]
    stage = ["--stage", "2"] if command == "sft" else ["--answerer", str(root / "random")]
    assert main([command, *stage, *shared]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("clips: ")
    assert wanted in error


def test_a_machine_without_the_extra_is_one_clear_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    assert sft(root, "none") == 2
    assert "keyscore-plugin[train]" in capsys.readouterr().err
