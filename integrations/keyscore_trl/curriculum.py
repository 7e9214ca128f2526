"""The runs of the curriculum: supervised stages, then reinforcement learning."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.hosts import require, write_whole
from keyscore_trl.clip_prompts import ClipPrompts, Stage, read_rows
from keyscore_trl.collator import VideoCollator
from keyscore_trl.reading import UniformReader
from keyscore_trl.resuming import WholeCheckpoints
from keyscore_trl.rewards import ClipReward, FrozenAnswerer

# Ours: the attention of the language model; K-frames does not mention LoRA.
_LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)"
# Parts of the names of vision encoders in transformers; the projector of Qwen lies in ``visual``.
_VISION = (".visual.", ".vision_tower.", ".vision_model.")
_SETTINGS = "run.json"
_STATE = "trainer_state.json"  # of a checkpoint
_PACKAGES = ("keyscore-plugin", "trl", "transformers", "torch", "peft", "datasets", "accelerate")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Settings of a run of any stage.

    Attributes:
        stage: Stage: ``"1"``, ``"2"`` or ``"rl"``.
        data: JSON Lines file, see `keyscore_trl.clip_prompts.read_rows`.
        model: Policy to start from: a model id, a folder, or the folder of a PEFT adapter, whose
            training then goes on.
        out: Folder of the run. A run that was interrupted goes on from its last checkpoint.
        looked_at: Number of uniform frames that the policy sees (256 in the paper).
        steps: Number of optimizer steps.
        batch: Rows of a step for each process; for RL completions.
        rate: Learning rate, held constant (1e-5 for SFT and 1e-6 for RL in the paper).
        lora: Rank of a new LoRA adapter; 0 trains the weights themselves.
        train_vision: Whether the vision encoder is trained, if there is no adapter. The paper
            freezes it, but not the projector after it.
        save_every: Steps between checkpoints.
        seed: Seed of the order of the rows, of the adapter and of the completions.
    """

    stage: Stage
    data: Path
    model: str
    out: Path
    looked_at: int = 256
    steps: int = 1000
    batch: int = 8
    rate: float = 1e-5
    lora: int = 0
    train_vision: bool = False
    save_every: int = 100
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """Settings of reinforcement learning.

    Attributes:
        answerer: Frozen model that answers: a model id or a folder.
        by_words: Whether its possible answers are the options themselves, not their letters; see
            `keyscore_trl.FrozenAnswerer`.
        num_frames: Number of frames that it sees.
        tau: Temperature of the reward; ours, the paper does not give it.
        beta: Weight of the KL to the policy at the start (.01 in the paper).
        num_generations: Completions of a prompt; ours, the paper does not give it.
        max_new_tokens: Most tokens of a completion.
    """

    answerer: str
    by_words: bool = False
    num_frames: int = 8
    tau: float = 1.0
    beta: float = 0.01
    num_generations: int = 8
    max_new_tokens: int = 512


def train_sft(config: RunConfig) -> None:
    """Run a supervised stage; the policy and its processor are written to ``config.out``.

    Raises:
        MissingDependencyError: TRL is not installed.
        InputError: The data cannot be read.
        ModelError: The model cannot be loaded.
    """
    trl = _require()
    processor, model, adapter = _policy(config)
    prompts = ClipPrompts(processor, UniformReader(config.looked_at))
    trainer = type("SFTTrainer", (WholeCheckpoints, trl.SFTTrainer), {})(
        model=model,
        processing_class=processor,
        train_dataset=_dataset(config),
        data_collator=VideoCollator(prompts),
        peft_config=adapter,
        args=trl.SFTConfig(
            **_arguments(config),
            per_device_train_batch_size=config.batch,
            remove_unused_columns=False,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
    )
    _train(trainer, config, processor, None)


def train_rl(config: RunConfig, reward: RewardConfig) -> None:
    """Run reinforcement learning; the policy and its processor are written to ``config.out``.

    Args:
        config: Settings of the run.
        reward: Settings of the reward.

    Raises:
        MissingDependencyError: TRL is not installed.
        InputError: The data cannot be read, or the batch is no multiple of the completions.
        ModelError: A model cannot be loaded.
    """
    trl = _require()
    from keyscore_trl.grpo import VideoGRPOTrainer

    if config.batch % reward.num_generations:
        raise InputError(
            f"--batch {config.batch} is no multiple of --num-generations "
            f"{reward.num_generations}; give one, as a step holds all completions of a prompt"
        )
    processor, model, adapter = _policy(config)
    tokens = [model.config.video_token_id, model.config.image_token_id]
    trainer = VideoGRPOTrainer(
        model=model,
        processing_class=processor,
        train_dataset=_dataset(config),
        reward_funcs=ClipReward(
            _load_answerer(reward),
            num_frames=reward.num_frames,
            tau=reward.tau,
            seed=config.seed,
        ),
        prompts=ClipPrompts(processor, UniformReader(config.looked_at)),
        peft_config=adapter,
        args=trl.GRPOConfig(
            **_arguments(config),
            per_device_train_batch_size=config.batch,
            num_generations=reward.num_generations,
            max_completion_length=reward.max_new_tokens,
            beta=reward.beta,
            loss_type="grpo",
            # Ours: the rewards of a sure answerer differ in the third digit. Divided by the spread
            # of their group, such noise would be a gradient as large as any.
            scale_rewards="batch",
            generation_kwargs={"suppress_tokens": tokens},
        ),
    )
    _train(trainer, config, processor, reward)


def _require() -> Any:
    """TRL, of the version whose private methods were tried."""
    trl = require("trl", extra="train")
    require("peft", extra="train")
    require("datasets", extra="train")
    return trl


def _dataset(config: RunConfig) -> Any:
    from datasets import Dataset

    return Dataset.from_list(read_rows(config.data, config.stage))


def _arguments(config: RunConfig) -> dict[str, Any]:
    """Arguments that all stages share."""
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(config.out),
        "max_steps": config.steps,
        "learning_rate": config.rate,
        "lr_scheduler_type": "constant",
        "save_steps": config.save_every,
        "seed": config.seed,
        "use_cpu": on_cpu,
        "bf16": not on_cpu,
        "activation_checkpointing": not on_cpu,
        "ddp_find_unused_parameters": False,
        "logging_steps": 1,
        "report_to": "none",
    }


def _policy(config: RunConfig) -> tuple[Any, Any, Any]:
    """The processor, the model with the parameters that are trained, and a new adapter's config."""
    from peft import LoraConfig, PeftModel

    processor, model = _load(config.model)
    if isinstance(model, PeftModel):
        if config.lora:
            raise InputError(
                f"--model {shown(config.model)} is an adapter, whose training goes on; "
                "leave out --lora"
            )
        return processor, model, None
    if config.lora:
        return processor, model, LoraConfig(r=config.lora, target_modules=_LORA_TARGETS)
    if not config.train_vision:
        for name, parameter in model.named_parameters():
            if any(part in name for part in _VISION) and "merger" not in name:
                parameter.requires_grad_(False)
    return processor, model, None


def _load(name: str) -> tuple[Any, Any]:
    """A processor and a model, or an adapter on its model.

    Raises:
        ModelError: They cannot be loaded.
    """
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    try:
        processor = processors.from_pretrained(name)
        if not Path(name, "adapter_config.json").is_file():
            return processor, models.from_pretrained(name)
        base = models.from_pretrained(PeftConfig.from_pretrained(name).base_model_name_or_path)
        return processor, PeftModel.from_pretrained(base, name, is_trainable=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"cannot load {shown(name)}: {error}; give a Video-LLM of transformers with its "
            "processor, or a PEFT adapter of one"
        ) from error


def _load_answerer(reward: RewardConfig) -> FrozenAnswerer:
    processor, model = _load(reward.answerer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return FrozenAnswerer(model.to(device), processor, by_words=reward.by_words)


def _train(trainer: Any, config: RunConfig, processor: Any, reward: RewardConfig | None) -> None:
    """Train, from the last checkpoint if there is one, and write the policy."""
    last = _last_checkpoint(config.out)
    settings = _settings(config, reward, trainer.accelerator.num_processes)
    if last is not None:
        _require_same_run(config.out, settings)
    if trainer.accelerator.is_main_process:
        begun = f"from {last}" if last else "from the start"
        print(f"clips: {settings['processes']} processes, {begun}", file=sys.stderr)
        config.out.mkdir(parents=True, exist_ok=True)
        write_whole(config.out / _SETTINGS, json.dumps(settings, indent=1).encode())
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(config.out))
    trainer.save_state()
    if trainer.accelerator.is_main_process:
        processor.save_pretrained(config.out)


def _last_checkpoint(out: Path) -> str | None:
    """The latest whole checkpoint of a run; one without a state, written last, is torn."""
    folders = [state.parent for state in out.glob(f"checkpoint-*/{_STATE}")]
    by_step = sorted(folders, key=lambda folder: int(folder.name.rpartition("-")[2]))
    return str(by_step[-1]) if by_step else None


def _settings(config: RunConfig, reward: RewardConfig | None, n_processes: int) -> dict[str, Any]:
    """Settings, versions and the number of processes, as plain JSON values."""
    return {
        "config": {name: _plain(value) for name, value in asdict(config).items()},
        "reward": None if reward is None else asdict(reward),
        "processes": n_processes,
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _require_same_run(out: Path, settings: Mapping[str, Any]) -> None:
    """Check that the checkpoints in a folder are of a run with these settings.

    The folder itself may have moved, and the number of steps may grow.

    Raises:
        InputError: They are not.
    """
    path = out / _SETTINGS
    if not path.is_file():
        return
    before = json.loads(path.read_text("utf-8"))
    free = dict.fromkeys(("out", "steps"))
    theirs, ours = ((one["config"] | free, one["reward"]) for one in (before, settings))
    if theirs != ours:
        raise InputError(
            f"{out} holds the checkpoints of a run with other settings, see {_SETTINGS}; give the "
            "same command to resume it, or another --out"
        )
