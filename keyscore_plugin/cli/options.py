"""Options that several commands share, and the settings and samplers that they describe."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
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
from keyscore_plugin.types import Join


def add_sampler_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the budget, and those that `make_sampler` reads."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--num-frames",
        type=whole_number,
        metavar="K",
        help="number of frames to choose (default: 8; stacfp: as many as it finds)",
    )
    budget.add_argument(
        "--threshold",
        type=finite_number,
        metavar="X",
        help="instead of --num-frames: choose every frame whose total score, 0 to 1, is at least X",
    )
    parser.add_argument(
        "--sampler",
        default="keyscore",
        metavar="NAME",
        help="name of the sampler, as `keyscore list` prints it (default: keyscore)",
    )
    add_choice_options(parser)


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `make_samplers` reads, except the names of the samplers."""
    parser.add_argument(
        "--encoder",
        default="auto",
        metavar="NAME",
        help="encoder: conse (no download), or a model id or folder, of OpenCLIP after open_clip: "
        "(default: auto, which is SigLIP 2)",
    )
    parser.add_argument(
        "--captioner",
        metavar="NAME",
        help="model that writes a caption if you give no text, that kframes asks for clips, and "
        "that describes the frames for llmvs: the model id or folder of a Video-LLM, or the folder "
        "of a PEFT adapter for one; for captions also labels (no download)",
    )
    parser.add_argument(
        "--adapter",
        metavar="NAME",
        help="PEFT adapter, by its id or folder, for the Video-LLM that --captioner names",
    )
    decoders = ("auto", *names("decoder"))
    parser.add_argument(
        "--decoder",
        default="auto",
        type=one_of("decoder", decoders),
        metavar="NAME",
        help=f"decoder: {', '.join(decoders)} (default: auto, which is {AUTO_DECODER})",
    )
    add_settings_options(parser)
    parser.add_argument(
        "--device",
        default="auto",
        metavar="D",
        help="device of the models: auto, cpu, cuda, cuda:1 ... (default: auto)",
    )


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the text that scores the frames."""
    text = parser.add_mutually_exclusive_group()
    text.add_argument(
        "--caption",
        action="append",
        type=non_empty_text,
        metavar="T",
        help="sentence that describes the frames you want; repeat it for several",
    )
    text.add_argument(
        "--question",
        action="append",
        type=non_empty_text,
        metavar="T",
        help="question that the Video-LLM will be asked; repeat it for several",
    )
    parser.add_argument(
        "--join",
        default="all",
        type=one_of("join", get_args(Join)),
        metavar="|".join(get_args(Join)),
        help="how several texts are joined: the best moments of each, the same but less for a text "
        "without a clear moment, one after the other, or all in one frame (default: all)",
    )


def add_subtitle_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of the subtitles of one video."""
    parser.add_argument(
        "--subtitles",
        type=_subtitles,
        metavar="FILE",
        help="subtitles whose lines score, too: a file, or true for the file next to the video or "
        "the stream in it, false for none (default: the file next to it, if the text is about what "
        "is said)",
    )


def _subtitles(text: str) -> str | bool:
    """Read a path, ``true`` or ``false`` (an argparse type)."""
    return {"true": True, "false": False}.get(text, text)


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Add the argument of the video to choose from, which may be a folder of images."""
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
    """Add the options of the part to choose from."""
    parser.add_argument(
        "--start",
        type=seconds,
        metavar="S",
        help="start of the part to choose from, in seconds from the first frame",
    )
    parser.add_argument(
        "--end",
        type=seconds,
        metavar="S",
        help="end of the part to choose from, in seconds from the first frame",
    )


def make_sampler(args: argparse.Namespace, *, load_models: bool = False) -> Sampler:
    """Make the sampler that the options describe.

    Args:
        args: Parsed options of `add_sampler_options`.
        load_models: Whether to load the models now rather than at the first call.

    Raises:
        InputError: A name is unknown.
        ModelError: A model does not load (with ``load_models``).
    """
    (sampler,) = make_samplers(args, [args.sampler], load_models=load_models)
    return sampler


def make_samplers(
    args: argparse.Namespace, names: Sequence[str], *, load_models: bool = False
) -> list[Sampler]:
    """Make samplers that differ only by their names, and share their models.

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
    read_text = any(sampler.needs_text for sampler in samplers)
    read_captions = any(getattr(sampler, "reads_captions", False) for sampler in samplers)
    # Alone, a sampler of captions loads what it needs itself: also a model that reads no videos.
    if not (load_models and (read_text or (read_captions and args.adapter is not None))):
        return samplers
    encoder = load_encoder(args.encoder, device=args.device) if read_text else args.encoder
    captioner = load_captioner(args.captioner, device=args.device, adapter=args.adapter)
    return [make(name, encoder=encoder, captioner=captioner) for name in names]


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `make_config` reads."""
    parser.add_argument(
        "--grid",
        type=one_of("grid", get_args(GridKind)),
        metavar="|".join(get_args(GridKind)),
        help="frames to look at: evenly in time, only the codec's keyframes (cheaper), or these "
        "first and then more around those that score highest (default: fps)",
    )
    parser.add_argument(
        "--guide",
        type=one_of("guide", get_args(Guide)),
        metavar="|".join(get_args(Guide)),
        help="text that scores: the one that was given, a caption (given or generated), the "
        "question, or both; or, with keyscore, no text but the importance of each frame "
        "(default: given)",
    )
    parser.add_argument(
        "--clip-mode",
        type=one_of("clip mode", get_args(ClipMode)),
        metavar="|".join(get_args(ClipMode)),
        help="places of the frames of a sampler that chooses clips: inside of them only, or some "
        "outside as well (default: auto, which is focused below 16 frames, else hybrid)",
    )
    _add_reader_options(parser)
    _add_config_options(parser)


def _add_reader_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what reads captions, speech and text in the picture."""
    parser.add_argument(
        "--language-model",
        metavar="NAME",
        help="model id or folder of a language model that chats, which reads the captions of "
        "frames for llmvs, and splits texts with --set split=model; the same as --set "
        "llmvs.model=NAME",
    )
    parser.add_argument(
        "--head",
        metavar="DIR",
        help="folder of a trained head for llmvs; the same as --set llmvs.head=DIR",
    )
    parser.add_argument(
        "--heard",
        metavar="MODEL",
        help="speech model whose words score, too: the folder of a Whisper model for CTranslate2, "
        "or a name of faster-whisper such as small; the same as --set heard=MODEL",
    )
    parser.add_argument(
        "--written",
        action="store_const",
        const=True,
        help="let what is written in the picture score, too; the same as --set written=true",
    )


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of all settings, by a file or by their names, and of the index."""
    parser.add_argument(
        "--config",
        type=_settings_file,
        metavar="FILE",
        help='file of settings as JSON, such as {"grid": {"sample_fps": 4}}; a setting that is not '
        "in it keeps its default",
    )
    parser.add_argument(
        "--set",
        action="append",
        type=_setting,
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as grid.sample_fps=4 or proposal.bins=8,4,4; it may be repeated, "
        "and overrides --config (the options for single settings override both)",
    )
    parser.add_argument(
        "--index",
        metavar="DIR",
        help="folder in which looks at videos are kept for the next question; auto is the one in "
        "the user's cache",
    )


def make_config(args: argparse.Namespace) -> SamplerConfig:
    """Make the settings that the options describe.

    Raises:
        InputError: A setting is unknown, or a value is out of range.
    """
    config = SamplerConfig.of(args.config)
    values = {**config.to_dict(), "index": config.index and asdict(config.index)}
    options = [
        ("grid.kind", args.grid),
        ("guide", args.guide),
        ("clips.mode", args.clip_mode),
        ("llmvs.model", args.language_model),
        ("llmvs.head", args.head),
        ("heard", args.heard),
        ("written", args.written),
    ]
    named = [(name, value) for name, value in options if value is not None]
    if args.index is not None:
        named.append(("index.folder", None if args.index == "auto" else args.index))
    for name, value in [*args.set, *named]:
        stage, _, field = name.rpartition(".")
        if stage:
            inner = values.get(stage)
            values[stage] = {**(inner if isinstance(inner, dict) else {}), field: value}
        else:
            values[field] = value
    return SamplerConfig.from_dict(values)


def _settings_file(name: str) -> SamplerConfig:
    """Read the settings of a JSON file, once for all workers (an argparse type)."""
    try:
        values = json.loads(Path(name).read_text(encoding="utf-8-sig"))
        return SamplerConfig.from_dict(values)
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
    """Read the name and the value of one setting (an argparse type)."""
    name, is_given, value = text.partition("=")
    if not is_given:
        raise argparse.ArgumentTypeError(
            f"expected NAME=VALUE such as grid.sample_fps=4, got {shown(text)}"
        )
    return name, _value(value)


def _value(text: str) -> Any:
    """Read a value: a number, a list, true, false or null as in JSON; anything else is a text."""
    try:
        values = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        return text
    return values[0] if len(values) == 1 else values or text
