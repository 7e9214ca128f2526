"""The options that several commands share, and the sampler they describe."""

import argparse
from collections.abc import Sequence
from functools import partial

from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.cli.settings import add_settings_options, make_config
from keyscore_plugin.cli.words import (
    amount,
    finite_number,
    non_empty_text,
    one_of,
    seconds,
    whole_number,
)
from keyscore_plugin.encoders import load_encoder
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
        help="the model that writes a caption if you give no text: labels (no download), or the "
        "model id or folder of a Video-LLM",
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
        "--caption", type=non_empty_text, metavar="T", help="a sentence about what is wanted"
    )
    text.add_argument(
        "--question", type=non_empty_text, metavar="T", help="what a model will be asked"
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
        load_models: See `make_samplers`.

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
        names: Of the samplers.
        load_models: Load what they need now rather than at their first call, so that a wrong name
            ends the command before any video is opened.

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
    captioner = load_captioner(args.captioner, device=args.device)
    return [make(name, encoder=encoder, captioner=captioner) for name in names]
