"""An offline ``LLM`` with Qwen2.5-VL: exact times, held to transformers with positions by hand."""

import json
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.video_utils import VideoMetadata

from keyscore_plugin import get_sampler, open_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.requires import environment_or_skip
from tests.support.tiny.family import hf
from tests.support.tiny.videos import numbered_video
from tests.support.vllm import models
from tests.support.vllm.offline import CAPTION, NUM_FRAMES, PROMPT
from tests.support.vllm.servers import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FPS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offline")
    models.save("Qwen2_5_VL", folder / "model")
    numbered_video(folder / "clip.mp4", fps=FPS)
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, Any]:
    return _answers(folder, "plugin", VLLM_MEDIA_CONNECTOR="keyscore")


def _answers(folder: Path, plugin: str, **variables: str) -> dict[str, Any]:
    """What `tests.support.vllm.offline` prints."""
    python = environment_or_skip("vllm") / "bin" / "python"
    asked = ["model", str(folder / "clip.mp4"), plugin]
    done = subprocess.run(
        [str(python), "-m", "tests.support.vllm.offline", *asked],
        env=environment(VLLM_ENABLE_V1_MULTIPROCESSING="0", **variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("call", ["chat", "generate"])
def test_each_patch_of_chosen_frames_has_the_position_of_its_true_time(
    answers: dict[str, Any], reference: "Reference", call: str
) -> None:
    reference.require(answers[call], reference.seconds)


def test_frames_that_we_did_not_choose_have_the_mean_spacing_as_without_the_plugin(
    answers: dict[str, Any], reference: "Reference"
) -> None:
    spacing = reference.inputs["second_per_grid_ts"].item()
    reference.require(answers["stock"], [i * spacing for i in range(NUM_FRAMES)])


def test_a_stock_request_is_answered_as_without_the_plugin_to_the_last_bit(
    folder: Path, answers: dict[str, Any]
) -> None:
    assert answers["whole video"] == _answers(folder, "without")["whole video"]


def test_pruned_tokens_of_videos_are_refused_at_the_start(answers: dict[str, Any]) -> None:
    assert "with --video-pruning-rate" in answers["pruning"]


@dataclass(frozen=True)
class Reference:
    """The model in transformers, and its inputs for the frames that are chosen.

    Attributes:
        model: The model.
        inputs: What the processor made of the frames.
        seconds: True time of each patch.
    """

    model: Any
    inputs: Any
    seconds: list[float]

    def require(self, found: dict[str, float], seconds: Sequence[float]) -> None:
        """Compare log-probabilities of the first token.

        Args:
            found: By token id.
            seconds: Time of each patch that the model is given.
        """
        positions = self.positions(seconds)
        with torch.no_grad():
            logits = self.model(**self.inputs, position_ids=positions).logits
        expected = logits[0, -1].log_softmax(-1)
        assert len(found) >= 5
        for token, value in found.items():
            assert value == pytest.approx(expected[int(token)].item(), abs=1e-5)

    def positions(self, seconds: Sequence[float]) -> torch.Tensor:
        """``(3, 1, n)`` positions, counted here; the text goes on after the largest of a video."""
        config = self.model.config
        ids = self.inputs["input_ids"][0]
        places = (ids == config.video_token_id).nonzero()[:, 0].tolist()
        start, end = places[0], places[-1] + 1
        steps, height, width = self.inputs["video_grid_thw"][0].tolist()
        merge = config.vision_config.spatial_merge_size
        grid = np.indices((steps, height // merge, width // merge))
        rate = config.vision_config.tokens_per_second
        for step, time in enumerate(seconds):
            grid[0, step] = math.floor((time - seconds[0]) * rate + 1e-6)
        visual = grid.reshape(3, -1) + start
        rest = np.arange(len(ids) - end) + visual.max() + 1
        rows = [np.tile(np.arange(start), (3, 1)), visual, np.tile(rest, (3, 1))]
        return torch.from_numpy(np.concatenate(rows, axis=1))[:, None]


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    with open_video(folder / "clip.mp4") as source:
        sampler = get_sampler("topk", encoder=ColourEncoder())
        keyframes = sampler(source, num_frames=NUM_FRAMES, caption=CAPTION).indices
        frames = [frame for frame in keyframes for _ in range(2)]
        pixels = source.read(frames).pixels.permute(0, 3, 1, 2)
    processor = hf("AutoProcessor").from_pretrained(folder / "model")
    model = hf("AutoModelForImageTextToText").from_pretrained(folder / "model", dtype=torch.float32)
    facts = VideoMetadata(
        total_num_frames=120, fps=FPS, duration=12.0, frames_indices=frames, video_backend="pyav"
    )
    inputs = processor(
        text=[PROMPT],
        videos=[pixels],
        video_metadata=[facts],
        do_sample_frames=False,
        return_tensors="pt",
    )
    return Reference(model, inputs, [frame / FPS for frame in keyframes])
