"""The options that several commands share, and the settings and samplers they describe."""

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.cli.words import (
    amount,
    finite_number,
    non_empty_text,
    one_of,
    seconds,
    whole_number,
)
from keyscore_plugin.config import ClipMode, GridKind, Guide, SamplerConfig
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import AUTO_DECODER, names
from keyscore_plugin.samplers.base import Sampler, get_sampler


def add_sampler_options(parser: argparse.ArgumentParser) -> None:
    """Add the budget, and what `make_sampler` reads."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--num-frames",
        type=whole_number,
        metavar="K",
        help="how many frames to choose (default: 8; stacfp: as many as it finds)",
    )
    budget.add_argument(
        "--threshold",
        type=finite_number,
        metavar="X",
        help="instead: every frame whose total score, 0 to 1, is at least X",
    )
    parser.add_argument("--sampler", default="keyscore", metavar="NAME", help="default: keyscore")
    add_choice_options(parser)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add what `make_samplers` reads, but for the names of the samplers."""
    parser.add_argument(
        "--encoder",
        default="auto",
        metavar="NAME",
        help="conse (no download), a model id or a folder, of OpenCLIP after open_clip:; "
        "default: auto, which is SigLIP 2",
    )
    parser.add_argument(
        "--captioner",
        metavar="NAME",
        help="the model that writes a caption if you give no text, and that kframes asks for "
        "clips: the model id or folder of a Video-LLM or of a PEFT adapter for one; for captions "
        "also labels (no download)",
    )
    parser.add_argument(
        "--adapter",
        metavar="NAME",
        help="a PEFT adapter, by its id or folder, for the Video-LLM that --captioner names",
    )
    decoders = ("auto", *names("decoder"))
    parser.add_argument(
        "--decoder",
        default="auto",
        type=one_of("decoder", decoders),
        metavar="NAME",
        help=f"{', '.join(decoders)}; default: auto, which is {AUTO_DECODER}",
    )
    add_settings_options(parser)
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 ...")


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the text that scores the frames."""
    text = parser.add_mutually_exclusive_group()
    text.add_argument(
        "--caption",
        type=non_empty_text,
        metavar="T",
        help="sentence that describes the frames you want",
    )
    text.add_argument(
        "--question",
        type=non_empty_text,
        metavar="T",
        help="question that the Video-LLM will be asked",
    )


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Add the one video to choose from, which may be a folder of images."""
    parser.add_argument(
        "video", metavar="VIDEO", help="a video file, or with --fps a folder of images"
    )
    parser.add_argument(
        "--fps",
        type=partial(amount, unit="pictures per second"),
        metavar="F",
        help="pictures per second of a folder of images, taken in natural order (2.png, 10.png)",
    )


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """Add the bounds of the part to choose from."""
    parser.add_argument(
        "--start",
        type=seconds,
        metavar="S",
        help="choose from here on, in seconds from the first frame",
    )
    parser.add_argument("--end", type=seconds, metavar="S", help="choose up to here")


def make_sampler(args: argparse.Namespace, *, load_models: bool = False) -> Sampler:
    """The sampler that the options describe.

    Args:
        args: Parsed options of `add_sampler_options`.
        load_models: Whether to load the models now; `make_samplers` says why.

    Raises:
        InputError: A name is unknown.
        ModelError: A model does not load (with ``load_models``).
    """
    (sampler,) = make_samplers(args, [args.sampler], load_models=load_models)
    return sampler


def make_samplers(
    args: argparse.Namespace, names: Sequence[str], *, load_models: bool = False
) -> list[Sampler]:
    """Samplers that differ by their names alone, and share their models.

    Args:
        args: Parsed options of `add_choice_options`.
        names: Names of the samplers.
        load_models: Whether to load the models now rather than at the first call, so that a wrong
            name ends the command before any video is opened.

    Raises:
        InputError: A name is unknown.
        ModelError: A model does not load (with ``load_models``).
    """
    make = partial(
        get_sampler,
        config=make_config(args),
        decoder=args.decoder,
        device=args.device,
    )
    samplers = [make(name, encoder=args.encoder, captioner=args.captioner) for name in names]
    if not (load_models and any(sampler.needs_text for sampler in samplers)):
        return samplers
    encoder = load_encoder(args.encoder, device=args.device)
    captioner = load_captioner(args.captioner, device=args.device, adapter=args.adapter)
    return [make(name, encoder=encoder, captioner=captioner) for name in names]


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add what `make_config` reads."""
    parser.add_argument(
        "--grid",
        type=one_of("grid", get_args(GridKind)),
        metavar="|".join(get_args(GridKind)),
        help="look at frames evenly in time, at the codec's own keyframes (cheaper), or at these "
        "first and then closer around those that score; default: fps",
    )
    parser.add_argument(
        "--guide",
        type=one_of("guide", get_args(Guide)),
        metavar="|".join(get_args(Guide)),
        help="the text that scores: the one that was given, a caption (given or generated), the "
        "question, or the mean of both; default: given",
    )
    parser.add_argument(
        "--clip-mode",
        type=one_of("clip mode", get_args(ClipMode)),
        metavar="|".join(get_args(ClipMode)),
        help="for samplers that choose clips: frames inside of the clips only (focused), or some "
        "outside (hybrid); default: auto, which is focused below 16 frames",
    )
    parser.add_argument(
        "--config",
        type=_settings_file,
        metavar="FILE",
        help='settings as JSON, such as {"grid": {"sample_fps": 4}}; what is absent keeps its '
        "default",
    )
    parser.add_argument(
        "--set",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as grid.sample_fps=4 or proposal.bins=8,4,4; may be repeated, and "
        "wins over --config (--grid, --guide and --clip-mode win over both)",
    )


def make_config(args: argparse.Namespace) -> SamplerConfig:
    """The settings that the options describe.

    Raises:
        InputError: A setting is unknown, or a value is out of range.
    """
    values = SamplerConfig.of(args.config).to_dict()
    named = [("grid.kind", args.grid), ("guide", args.guide), ("clips.mode", args.clip_mode)]
    for name, value in [*args.set, *(one for one in named if one[1] is not None)]:
        stage, _, field = name.rpartition(".")
        if stage:
            inner = values.get(stage)
            values[stage] = {**(inner if isinstance(inner, dict) else {}), field: value}
        else:
            values[field] = value
    return SamplerConfig.from_dict(values)


def _settings_file(name: str) -> Mapping[str, Any]:
    """An argparse type: the settings of a JSON file, read once, for workers too."""
    try:
        values = json.loads(Path(name).read_text(encoding="utf-8-sig"))
        return SamplerConfig.from_dict(values).to_dict()
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"cannot read {name}: {error.strerror or error}; give a JSON file of settings"
        ) from error
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError, UnicodeDecodeError ...
        raise argparse.ArgumentTypeError(
            f'{name} is not JSON ({error}); write settings such as {{"guide": "both"}}'
        ) from error


def _setting(text: str) -> tuple[str, Any]:
    """An argparse type: the name and the value of one setting."""
    name, is_given, value = text.partition("=")
    if not is_given:
        raise argparse.ArgumentTypeError(
            f"expected NAME=VALUE such as grid.sample_fps=4, got {shown(text)}"
        )
    return name, _value(value)


def _value(text: str) -> Any:
    """A number, a list, true, false or null as in JSON; else a text. The settings check it."""
    try:
        values = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        return text
    return values[0] if len(values) == 1 else values or text
