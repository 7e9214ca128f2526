"""Train a Video-LLM to name the clips that a question needs, in the stages of K-frames.

python -m keyscore_trl.clips build --manifest M.jsonl --captioner ID --scorer ID --encoder E \\
    --out DATA
python -m keyscore_trl.clips sft --stage 1 --data DATA --model ID --out DIR1
python -m keyscore_trl.clips sft --stage 2 --data DATA --model DIR1 --out DIR2
python -m keyscore_trl.clips rl --data questions.jsonl --model DIR2 --answerer ID --out DIR3

Give the same command again to resume. Several processes: torchrun --nproc-per-node N -m ...
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import KeyScoreError
from keyscore_trl.build import BuildConfig, build
from keyscore_trl.curriculum import RewardConfig, RunConfig, train_rl, train_sft

_HELP = {
    "data": "JSON Lines file, or a folder that build wrote",
    "model": "policy to start from: a model id, a folder, or the folder of a PEFT adapter",
    "out": "folder of the run",
    "looked_at": "uniform frames that the policy sees",
    "steps": "optimizer steps",
    "batch": "rows of a step for each process; for rl completions",
    "rate": "learning rate",
    "lora": "rank of a new LoRA adapter; 0 trains the weights",
    "train_vision": "train the vision encoder too",
    "save_every": "steps between checkpoints",
    "seed": "seed of the run",
    "answerer": "frozen model that answers",
    "by_words": "the answerer's possible answers are the options themselves, not their letters",
    "num_frames": "frames that the answerer sees",
    "tau": "temperature of the reward",
    "beta": "weight of the KL to the policy at the start",
    "num_generations": "completions of a prompt",
    "max_new_tokens": "most tokens of a completion",
    "manifest": "JSON Lines file or CSV: a video and a question in each line",
    "captioner": "what writes captions: labels, or the id or folder of a Video-LLM",
    "scorer": "language model that marks captions: an id or a folder",
    "scorer_share": "share of the marks in the relevance; the rest is the encoder's",
    "encoder": "what compares frames and questions: conse, or the id or folder of an encoder",
    "decoder": "what decodes videos: auto, pyav, torchcodec or decord",
    "device": "device of the models: auto, cpu, cuda, cuda:1, ...",
}
_VIDEOS_LACK = 4  # the exit code of `keyscore batch` in the same case
_RL_RATE = 1e-6  # K-frames, section 3


def main(argv: Sequence[str] | None = None) -> int:
    """Build data or run one stage.

    Returns:
        The exit code: 0, 2 for what cannot be used, 4 if the data lacks some videos because of an
        error, 130 if interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "build":
            return _VIDEOS_LACK if build(_config(BuildConfig, options)) else 0
        if options.command == "sft":
            train_sft(_config(RunConfig, options))
        else:
            train_rl(_config(RunConfig, options), _config(RewardConfig, options))
    except KeyScoreError as error:
        print(f"clips: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("clips: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keyscore_trl.clips",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="label the scenes of videos: data for sft")
    sft = commands.add_parser("sft", help="supervised training: grounding (1), clips (2)")
    sft.add_argument("--stage", choices=("1", "2"), required=True, help="stage of the training")
    rl = commands.add_parser("rl", help="GRPO with the reward of a frozen answerer")
    rl.set_defaults(stage="rl")
    rows = ((builder, (BuildConfig,)), (sft, (RunConfig,)), (rl, (RunConfig, RewardConfig)))
    for command, configs in rows:
        for config in configs:
            _add_options(command, config)
    rl.set_defaults(rate=_RL_RATE)
    return parser


def _add_options(parser: argparse.ArgumentParser, config: Any) -> None:
    """Add an option for each field of a config, with its type and default."""
    kinds = {"int": int, "float": float, "Path": Path, "str": str}
    for field in fields(config):
        if field.name == "stage":
            continue
        name = f"--{field.name.replace('_', '-')}"
        kind = getattr(field.type, "__name__", str(field.type))
        if kind == "bool":
            parser.add_argument(name, action="store_true", help=_HELP[field.name])
            continue
        required = field.default is MISSING
        shown = "" if required else " (default: %(default)s)"
        parser.add_argument(
            name,
            type=kinds[kind],
            required=required,
            default=None if required else field.default,
            help=_HELP[field.name] + shown,
        )


def _config(config: Any, options: argparse.Namespace) -> Any:
    return config(**{field.name: getattr(options, field.name) for field in fields(config)})


if __name__ == "__main__":
    sys.exit(main())
