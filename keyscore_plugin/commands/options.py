"""The options that several commands share, and the sampler they describe."""

import argparse
import math
from functools import partial
from typing import get_args

from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.config import GridConfig, GridKind, SamplerConfig
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.registries import DECODERS
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
        type=_threshold,
        metavar="X",
        help="instead: every frame whose total score, 0 to 1, is at least X",
    )
    add_choice_options(parser)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add what `make_sampler` reads."""
    parser.add_argument("--sampler", default="keyscore", metavar="NAME", help="default: keyscore")
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
        help="who writes a sentence where none is given: labels (no download), or the model id or "
        "folder of a Video-LLM",
    )
    parser.add_argument("--decoder", default="auto", choices=["auto", *sorted(DECODERS)])
    parser.add_argument(
        "--grid",
        default="fps",
        choices=get_args(GridKind),
        help="look at frames evenly in time, at the codec's own keyframes (cheaper), or at these "
        "first and then closer around those that score",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 ...")


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the text that scores the frames."""
    text = parser.add_mutually_exclusive_group()
    text.add_argument(
        "--caption", type=non_empty_text, metavar="T", help="a sentence about what is wanted"
    )
    text.add_argument(
        "--question", type=non_empty_text, metavar="T", help="what a model will be asked"
    )


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """Add the bounds of the part to choose from."""
    parser.add_argument(
        "--start",
        type=_seconds,
        metavar="S",
        help="choose from here on, in seconds from the first frame",
    )
    parser.add_argument("--end", type=_seconds, metavar="S", help="choose up to here")


def make_sampler(args: argparse.Namespace, *, load_models: bool = False) -> Sampler:
    """The sampler that the options describe.

    Args:
        args: Parsed options of `add_sampler_options`.
        load_models: Load what the sampler needs now rather than at its first call, so that a
            wrong name ends the command before any video is opened.

    Raises:
        InputError: A name is unknown.
        ModelError: A model does not load (with ``load_models``).
    """
    make = partial(
        get_sampler,
        args.sampler,
        config=make_config(args),
        decoder=args.decoder,
        device=args.device,
    )
    sampler = make(encoder=args.encoder, captioner=args.captioner)
    if not (load_models and sampler.needs_text):
        return sampler
    return make(
        encoder=load_encoder(args.encoder, device=args.device),
        captioner=load_captioner(args.captioner, device=args.device),
    )


def make_config(args: argparse.Namespace) -> SamplerConfig:
    """The settings that the options describe."""
    return SamplerConfig(grid=GridConfig(kind=args.grid))


def non_empty_text(text: str) -> str:
    """An argparse type: a text that says something."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the text is empty; give a sentence, or leave it out")
    return text


def whole_number(text: str) -> int:
    """An argparse type: a count of things that must be there."""
    if not text.lstrip("+-").isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def amount(text: str, *, unit: str) -> float:
    """An argparse type: a number above 0 of some unit."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of {unit} above 0, got {text!r}")
    return value


def _seconds(text: str) -> float:
    """An argparse type: a time from the first frame on."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds from the first frame, 0 or more, got {text!r}"
        )
    return value


def _threshold(text: str) -> float:
    value = _number(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def _number(text: str) -> float:
    """The number, or NaN where the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
