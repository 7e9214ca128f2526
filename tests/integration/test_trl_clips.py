"""The curriculum of clips: SFT that teaches, GRPO that improves, a control that stays blind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from keyscore_plugin import ClipQuestion, clip_prompt, parse_clips
from keyscore_plugin.types import Frames
from keyscore_trl import ShownVideo, UniformReader, VideoCollator, curriculum
from keyscore_trl.clip_prompts import ClipPrompts, clip_chat, read_rows
from keyscore_trl.clips import main
from tests.support.bright_second import (
    QUERY,
    SECONDS,
    BrightVideo,
    clip_lines,
    question_lines,
    save_answerer,
    save_policy,
    write_lines,
    write_videos,
)
from tests.support.requires import require_or_skip

pytestmark = [
    pytest.mark.slow,  # to import TRL takes seconds
    # TRL 1.16 asks transformers for names that version 5.23 renamed.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]

LOOKED_AT = 4
SFT_STEPS, HALF_WAY, RL_STEPS, BLIND_STEPS = 60, 50, 12, 8
# Of a policy that does not see: one frame shows one of the seconds.
CHANCE = 1 / SECONDS
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


@pytest.fixture(scope="module")
def answerer(root: Path) -> Path:
    """A frozen model that was trained to name colours."""
    return save_answerer(root / "answerer")


def sft(root: Path, out: str, *more: str, model: str = "random") -> int:
    arguments = ["sft", "--stage", "2", "--data", str(root / "clips.jsonl"), "--train-vision"]
    arguments += ["--model", str(root / model), "--out", str(root / out)]
    arguments += ["--looked-at", str(LOOKED_AT), "--batch", "16", "--rate", "3e-3"]
    return main([*arguments, *more])


def rl(root: Path, out: str, *more: str, model: str = "random") -> int:
    return main([*rl_arguments(root, out, model=model), *more])


def rl_arguments(root: Path, out: str, *, model: str) -> list[str]:
    arguments = ["rl", "--data", str(root / "questions.jsonl"), "--model", str(root / model)]
    arguments += ["--answerer", str(root / "answerer"), "--by-words", "--num-frames", "1"]
    arguments += ["--out", str(root / out), "--looked-at", str(LOOKED_AT), "--train-vision"]
    return [*arguments, "--rate", "1e-3", "--batch", "32", "--max-new-tokens", "24"]


def log_of(folder: Path, name: str) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry[name] for entry in history if name in entry]


def mean_iou(folder: Path, videos: Sequence[BrightVideo], *, shown: int = 0) -> float:
    """Mean IoU of the first clip that a policy names greedily.

    Args:
        folder: Policy.
        videos: Videos.
        shown: By how many places the videos that the policy sees are shifted.
    """
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(folder)
    models: Any = AutoModelForImageTextToText
    model = models.from_pretrained(folder).eval()
    paths = [video.path for video in videos]
    paths = paths[shown:] + paths[:shown]
    batch = ClipPrompts(processor, UniformReader(LOOKED_AT))(
        [clip_chat(str(path), QUERY) for path in paths]
    )
    tokens = model.generate(**batch, max_new_tokens=40, do_sample=False)
    texts = processor.batch_decode(
        tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
    )
    pairs = zip(texts, videos, strict=True)
    return fmean(_iou(text, video.second) for text, video in pairs)


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
    steps = ["--steps", str(SFT_STEPS), "--save-every", str(HALF_WAY)]
    assert sft(root, "sft", *steps, "--rate", "4e-3") == 0
    return root / "sft"


@pytest.fixture(scope="module")
def half_taught(taught: Path) -> str:
    """The policy before the last steps of SFT, which leaves something to improve."""
    return f"{taught.name}/checkpoint-{HALF_WAY}"


def test_sft_teaches_what_the_video_shows(root: Path, taught: Path) -> None:
    held_out = write_videos(root / "held-out", 3, seed=9)
    assert mean_iou(root / "random", held_out) == 0
    assert mean_iou(taught, held_out) >= 0.7
    # The control: clips are named of another video than the one that was seen.
    assert mean_iou(taught, held_out, shown=1) <= 0.1


@pytest.mark.usefixtures("answerer")
def test_grpo_improves_what_sft_has_begun(root: Path, half_taught: str) -> None:
    settings = ["--steps", str(RL_STEPS), "--num-frames", "2"]
    assert rl(root, "rl", *settings, model=half_taught) == 0
    rewards = log_of(root / "rl", "reward")
    assert fmean(rewards[-4:]) - fmean(rewards[:4]) >= 0.15, rewards
    assert len(log_of(root / "rl", "uniform_reward")) == RL_STEPS
    assert abs(log_of(root / "rl", "kl")[0]) < 1e-6


class BlindReader(UniformReader):
    """Reads the frames of a video, all black."""

    def __call__(self, path: str) -> ShownVideo:
        video = super().__call__(path)
        return ShownVideo(torch.zeros_like(video.pixels), video.seconds, video.duration_seconds)


@pytest.mark.usefixtures("answerer")
def test_grpo_of_a_policy_that_does_not_see_stays_at_chance(
    root: Path, taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curriculum, "UniformReader", BlindReader)
    assert rl(root, "blind", "--steps", str(BLIND_STEPS), model=taught.name) == 0
    rewards = log_of(root / "blind", "reward")
    assert fmean(rewards[-4:]) <= CHANCE + 0.15, rewards


def in_process(arguments: Sequence[str], *, launcher: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the command in a process that can be killed."""
    command = [sys.executable, *launcher, "-m", "keyscore_trl.clips", *arguments]
    paths = os.pathsep.join([*map(str, (SITE, *sys.path[:1])), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, text=True, env=os.environ | {"PYTHONPATH": paths})


def same_next_steps(whole: Path, killed: Path, *, n_steps: int) -> None:
    """Up to the last bits, which in another process depend on where the memory lies."""
    assert log_of(killed, "loss") == pytest.approx(log_of(whole, "loss"), abs=1e-4)
    assert len(log_of(whole, "loss")) == n_steps
    expected, found = (load_file(folder / "model.safetensors") for folder in (whole, killed))
    assert expected.keys() == found.keys()
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights, rtol=0, atol=1e-4)


def test_sft_that_was_killed_takes_the_same_next_steps(root: Path) -> None:
    arguments = ["--steps", "4", "--save-every", "2"]
    assert sft(root, "whole", *arguments) == 0
    # What a kill after the second step leaves.
    shutil.copytree(root / "whole" / "checkpoint-2", root / "killed" / "checkpoint-2")
    assert sft(root, "killed", *arguments) == 0
    same_next_steps(root / "whole", root / "killed", n_steps=4)


@pytest.mark.usefixtures("answerer")
def test_grpo_that_is_killed_takes_the_same_next_steps(root: Path, half_taught: str) -> None:
    often = ["--save-every", "2"]
    process = in_process([*rl_arguments(root, "rl-killed", model=half_taught), *often])
    try:
        first = root / "rl-killed" / "checkpoint-2" / "trainer_state.json"
        until = time.monotonic() + 240
        while not first.is_file() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    begun = [int(one.name[11:]) for one in (root / "rl-killed").glob("checkpoint-*")]
    steps = max(begun) + 2
    for out in ("rl-whole", "rl-killed"):
        assert rl(root, out, "--steps", str(steps), *often, model=half_taught) == 0
    same_next_steps(root / "rl-whole", root / "rl-killed", n_steps=steps)


def test_a_checkpoint_that_was_not_written_to_its_end_is_left_out(root: Path) -> None:
    assert sft(root, "torn", "--steps", "1", "--save-every", "1") == 0
    (root / "torn" / "checkpoint-2").mkdir()
    (root / "torn" / "checkpoint-2" / "model.safetensors").write_bytes(b"half of a")
    assert sft(root, "torn", "--steps", "2", "--save-every", "1") == 0
    assert len(log_of(root / "torn", "loss")) == 2


def test_the_folder_of_another_run_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sft(root, "taken", "--steps", "1", "--save-every", "1") == 0
    assert sft(root, "taken", "--steps", "2", "--seed", "1") == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.usefixtures("answerer")
def test_an_adapter_is_trained_and_its_training_goes_on(root: Path) -> None:
    assert sft(root, "adapter", "--steps", "1", "--lora", "2") == 0
    assert (root / "adapter" / "adapter_config.json").is_file()
    few = ["--batch", "4", "--num-generations", "4", "--max-new-tokens", "8"]
    assert rl(root, "adapter-rl", "--steps", "1", *few, model="adapter") == 0
    assert (root / "adapter-rl" / "adapter_config.json").is_file()


def test_two_processes_share_a_run(root: Path) -> None:
    arguments = ["sft", "--stage", "2", "--train-vision", "--data", str(root / "clips.jsonl")]
    arguments += ["--model", str(root / "random"), "--out", str(root / "two")]
    arguments += ["--looked-at", "4", "--steps", "1", "--batch", "2"]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    assert in_process(arguments, launcher=launcher).wait(timeout=280) == 0
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
