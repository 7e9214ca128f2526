"""GRPO on videos: the policy sees them in generation and in the loss, or the run fails."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keyscore_plugin.errors import InputError, ModelError
from keyscore_trl import ShownVideo, VideoPrompts
from tests.support.requires import require_or_skip
from tests.support.tiny import build, save

pytestmark = [
    pytest.mark.slow,  # to import TRL takes seconds
    # TRL 1.16 asks transformers for names that version 5.23 renamed.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]

LENGTHS = {"dark": 2, "bright": 4}


@pytest.fixture(scope="module", autouse=True)
def needs_trl() -> None:
    require_or_skip("trl")


def read(name: str) -> ShownVideo:
    """Two videos of different length, one black and one white."""
    n_frames = LENGTHS[name]
    pixels = torch.full((n_frames, 56, 56, 3), 255 * (name == "bright"), dtype=torch.uint8)
    return ShownVideo(pixels, torch.arange(n_frames).double(), float(n_frames))


def chat(*names: str) -> list[dict[str, Any]]:
    blocks = [{"type": "video", "video": name} for name in names]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": "?"}]}]


def dataset(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


def arguments(folder: Path, **more: Any) -> Any:
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "max_steps": 1,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "max_completion_length": 4,
        "beta": 0.0,
        "learning_rate": 1e-3,
        "seed": 0,
    }
    from trl import GRPOConfig

    return GRPOConfig(**settings | more)


def trainer(folder: Path, *, reward: Any, **more: Any) -> Any:
    from keyscore_trl import VideoGRPOTrainer

    processor, model = build("qwen2_5_vl")
    config = model.config
    rows = [{"prompt": chat(name), "want": name} for name in LENGTHS] * 16
    return VideoGRPOTrainer(
        model=model,
        reward_funcs=reward,
        processing_class=processor,
        train_dataset=dataset(rows),
        prompts=VideoPrompts(processor, read),
        args=arguments(
            folder,
            generation_kwargs={"suppress_tokens": [config.video_token_id, config.image_token_id]},
            **more,
        ),
    )


def varied(completion_ids: list[list[int]], **_: Any) -> list[float]:
    return [float(ids[0] % 7) for ids in completion_ids]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call of a vision tower was made with gradient."""
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

    calls: list[bool] = []
    tower = qwen.Qwen2_5_VisionTransformerPretrainedModel
    stock = tower.forward

    def forward(self: Any, *args: Any, **keywords: Any) -> Any:
        calls.append(torch.is_grad_enabled())
        return stock(self, *args, **keywords)

    monkeypatch.setattr(tower, "forward", forward)
    return calls


def test_the_vision_tower_is_called_with_gradient_and_gets_some(
    tmp_path: Path, seen: list[bool]
) -> None:
    run = trainer(tmp_path, reward=varied)
    tower = run.model.model.visual
    before = tower.patch_embed.proj.weight.detach().clone()
    run.train()
    assert seen.count(False) == 1  # one generation
    assert seen.count(True) == 2  # a loss for each step of accumulation
    assert not torch.equal(tower.patch_embed.proj.weight, before)


def test_the_trainer_of_trl_computes_the_loss_without_the_video(
    tmp_path: Path, seen: list[bool]
) -> None:
    # Should this fail, TRL has learnt to see, and VideoGRPOTrainer may no longer be needed.
    from trl import GRPOTrainer

    processor, model = build("qwen2_5_vl")

    stock = processor.apply_chat_template

    def with_pixels(conversation: Any, **keywords: Any) -> Any:
        for row in conversation:
            for block in row[0]["content"]:
                if block["type"] == "video":
                    block["video"] = read(block["video"]).pixels.permute(0, 3, 1, 2)
                    block.pop("text", None)
                else:
                    block.pop("video", None)
        return stock(conversation, **keywords)

    processor.apply_chat_template = with_pixels
    rows = [{"prompt": chat(name), "want": name} for name in LENGTHS] * 16
    GRPOTrainer(
        model=model,
        reward_funcs=varied,
        processing_class=processor,
        train_dataset=dataset(rows),
        args=arguments(
            tmp_path,
            chat_template_kwargs={"processor_kwargs": {"do_sample_frames": False}},
            generation_kwargs={
                "suppress_tokens": [model.config.video_token_id, model.config.image_token_id]
            },
        ),
    ).train()
    assert seen == [False]  # generation only


def test_the_log_probabilities_depend_on_the_video(tmp_path: Path) -> None:
    run = trainer(tmp_path, reward=varied)
    ids, _, _ = run._tokenize_prompts([chat("dark")])
    tokens = torch.tensor([[*ids[0], 65, 66]])
    found = {}
    for shade in (0, 255):
        rows = [dict(row) for row in run._rows or []]
        rows[0]["pixel_values_videos"] = torch.full_like(rows[0]["pixel_values_videos"], shade)
        run._rows = rows
        found[shade] = run._get_per_token_logps_and_entropies(
            run.model, tokens, torch.ones_like(tokens), 2
        )[0]
    assert not torch.allclose(found[0], found[255])


def test_a_kl_of_zero_at_the_first_step(tmp_path: Path) -> None:
    folder = save("qwen2_5_vl", tmp_path / "model")
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from keyscore_trl import VideoGRPOTrainer

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(folder)
    model = models.from_pretrained(folder)
    run = VideoGRPOTrainer(
        model=model,
        reward_funcs=varied,
        processing_class=processor,
        train_dataset=dataset([{"prompt": chat(name)} for name in LENGTHS] * 16),
        prompts=VideoPrompts(processor, read),
        args=arguments(tmp_path / "out", beta=0.1),
    )
    run.train()
    (kl,) = [entry["kl"] for entry in run.state.log_history if "kl" in entry]
    assert kl == pytest.approx(0, abs=1e-6)


def test_a_policy_learns_a_reward_that_depends_on_the_video(tmp_path: Path) -> None:
    def agrees(completion_ids: list[list[int]], want: list[str], **_: Any) -> list[float]:
        return [
            float(np.mean([(token < 128) == (name == "dark") for token in ids]))
            for ids, name in zip(completion_ids, want, strict=True)
        ]

    run = trainer(
        tmp_path,
        reward=agrees,
        max_steps=60,
        learning_rate=3e-3,
        lr_scheduler_type="constant",
        logging_steps=10,
        per_device_train_batch_size=16,
        num_generations=16,
    )
    run.train()
    rewards = [entry["reward"] for entry in run.state.log_history if "reward" in entry]
    assert rewards[-1] >= 0.9, rewards  # a blind policy stays at .5


def test_videos_of_prompts_are_separated_and_joined_again() -> None:
    from keyscore_trl.grpo import joined, rows_of_prompts

    processor, model = build("qwen2_5_vl")
    chats = [chat("dark"), chat("bright", "dark"), chat("bright")]
    batch = VideoPrompts(processor, read)(chats)
    rows = rows_of_prompts(batch, model.config)
    assert [row["video_grid_thw"][:, 0].tolist() for row in rows] == [[2], [4, 2], [4]]
    for name, value in joined(rows).items():
        assert torch.equal(value, torch.as_tensor(batch[name])), name


def test_a_processor_that_gives_no_grid_is_one_clear_line() -> None:
    from keyscore_trl.grpo import rows_of_prompts

    _, model = build("qwen2_5_vl")
    with pytest.raises(ModelError, match=r"Qwen2\.5-VL"):
        rows_of_prompts({"input_ids": torch.zeros(1, 3)}, model.config)


def test_a_chat_without_a_video_is_one_clear_line() -> None:
    processor, _ = build("qwen2_5_vl")
    with pytest.raises(InputError, match="has no video"):
        VideoPrompts(processor, read)([[{"role": "user", "content": "?"}]])
