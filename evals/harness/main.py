"""The command line that all evaluations share."""

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import PartialState

from evals.harness.bench import Setup, require_samplers
from evals.harness.cells import make_cells
from evals.harness.data import advice, parse_json
from evals.harness.evaluation import Evaluation
from evals.harness.run import run, write
from keyscore_plugin import SamplerConfig
from keyscore_plugin.errors import InputError, KeyScoreError, VideoError, shown

# One process may be done long before another; by default torch gives up on it after 30 minutes.
_PATIENCE = timedelta(days=30)


def eval_parser(
    name: str, description: str | None, *, samplers: str, num_frames: str, encoder: str = "auto"
) -> argparse.ArgumentParser:
    """A parser of the common options.

    Args:
        name: Name of the evaluation.
        description: Text of ``--help``.
        samplers: Default of ``--sampler``.
        num_frames: Default of ``--num-frames``.
        encoder: Default of ``--encoder``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m evals.{name}", description=description)
    parser.set_defaults(name=name, default_num_frames=num_frames)
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument(
        "--sampler",
        default=samplers,
        help="names, separated by commas; keyscore:S+D scores with these terms only; uniform@8, "
        f"stacfp@own and keyscore@t0.5 set the budget of one sampler (default: {samplers})",
    )
    parser.add_argument(
        "--num-frames",
        help="budgets, such as 4,8,16; 'own' leaves the number to the sampler "
        f"(default: {num_frames}, without --threshold)",
    )
    parser.add_argument(
        "--threshold",
        help="least scores of a chosen frame, such as 0.5,0.6; with or without --num-frames",
    )
    parser.add_argument(
        "--encoder",
        default=encoder,
        help="conse, a model id, a folder, or a model of OpenCLIP such as "
        f"open_clip:timm/PE-Core-bigG-14-448 (default: {encoder})",
    )
    parser.add_argument(
        "--captioner", help="model that writes captions: labels (no download), a model id, a folder"
    )
    parser.add_argument(
        "--config", default="{}", help='settings as JSON, such as {"select": {"policy": "top"}}'
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default: auto)"
    )
    parser.add_argument(
        "--decoder",
        default="auto",
        help="auto, or a name that `keyscore list` shows (default: auto)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the bootstrap and of random samplers (default: 0)",
    )
    parser.add_argument(
        "--leave-out",
        default="",
        help="ids of videos to skip, separated by commas; the result names them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs", name),
        help=f"folder of the run; an interrupted run is resumed (default: runs/{name})",
    )
    return parser


def main(
    options: argparse.Namespace, make: Callable[[argparse.Namespace, Setup], Evaluation]
) -> int:
    """Run an evaluation; returns the exit code.

    Args:
        options: Options of an `eval_parser`.
        make: Function that reads the annotations. The first process of a machine calls it before
            the others, so that it may make files.
    """
    on_cpu = options.device == "cpu" or not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu, timeout=_PATIENCE)
    try:
        setup = make_setup(options, state)
        with state.local_main_process_first():
            evaluation = _evaluation(options, setup, make)
        leave_out = names(options.leave_out)
        result = run(evaluation, setup, out=options.out, state=state, leave_out=leave_out)
        if result is not None:
            write(result, evaluation, options.out)
            print(result.to_markdown(), end="")
            print(f"written to {options.out}", file=sys.stderr)
    except KeyScoreError as error:
        print(f"{options.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.name}: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    return 0


def _evaluation(
    options: argparse.Namespace,
    setup: Setup,
    make: Callable[[argparse.Namespace, Setup], Evaluation],
) -> Evaluation:
    """The evaluation that `make` returns.

    Raises:
        InputError: An annotation is wrong, or a file or folder cannot be read.
    """
    try:
        return make(options, setup)
    except VideoError:
        raise
    except OSError as error:
        at = options.root if error.filename is None else error.filename
        raise InputError(f"cannot read {at}: {error.strerror or error}; check --root") from error


def make_setup(options: argparse.Namespace, state: PartialState) -> Setup:
    """The setup that the options describe.

    Args:
        options: Options of an `eval_parser`.
        state: State of this process; each of several takes another GPU.

    Raises:
        InputError: An option cannot be read, or a sampler is unknown.
    """
    one_of_several = options.device == "auto" and state.num_processes > 1
    thresholds = [_threshold(text) for text in names(options.threshold or "")]
    asked = options.num_frames
    if asked is None:
        asked = "" if thresholds else options.default_num_frames
    budgets = [None if text == "own" else budget(text) for text in names(asked)]
    config = parse_json(options.config, where=f"--config {options.config!r:.80}")
    if not isinstance(config, dict):
        raise InputError(
            f"--config {options.config!r} is not a JSON object; give one such as '{{}}'"
        )
    if options.seed < 0:
        raise InputError(f"--seed: expected a whole number of 0 or more, got {options.seed}")
    cells = make_cells(names(options.sampler), budgets, thresholds)
    if not cells:
        raise InputError(
            "there is nothing to compare; give --sampler, and --num-frames or --threshold"
        )
    require_samplers(cells)
    return Setup(
        cells=cells,
        config=SamplerConfig.from_dict(config),
        encoder_asked=options.encoder,
        captioner_asked=options.captioner,
        device=str(state.device) if one_of_several else options.device,
        decoder=options.decoder,
        seed=options.seed,
    )


def root_of(options: argparse.Namespace, *, source: str, layout: str) -> Path:
    """The folder of the data set.

    Args:
        options: Options of an `eval_parser`.
        source: Place to get the files from.
        layout: Layout of the files in the folder.

    Raises:
        InputError: No ``--root`` was given.
    """
    if options.root is None:
        raise InputError(
            "--root is missing; name the folder with the files of the data set: "
            f"{advice(source=source, layout=layout)}"
        )
    root: Path = options.root
    return root


def names(text: str) -> list[str]:
    """Split names at commas.

    Example:
        >>> names("uniform, keyscore")
        ['uniform', 'keyscore']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def budget(text: str) -> int:
    """A number of frames.

    Raises:
        InputError: It is not a whole number of 1 or more.
    """
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--num-frames: expected a whole number of 1 or more, got {shown(text)}")
    return int(text)


def _threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"--threshold: {shown(text)} is not a number; give one from 0 to 1"
        ) from error
