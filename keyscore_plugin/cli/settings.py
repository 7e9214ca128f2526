"""The settings of a sampler, from a file and from the words of the command line."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from keyscore_plugin.cli.words import one_of
from keyscore_plugin.config import GridKind, Guide, SamplerConfig
from keyscore_plugin.errors import InputError, shown


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
        "wins over --config (--grid and --guide win over both)",
    )


def make_config(args: argparse.Namespace) -> SamplerConfig:
    """The settings that the options describe.

    Raises:
        InputError: A setting is unknown, or a value is out of range.
    """
    values = SamplerConfig.of(args.config).to_dict()
    named = [("grid.kind", args.grid), ("guide", args.guide)]
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
    """A number, several, a truth or nothing as in JSON; else a word. The settings check which."""
    try:
        values = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        return text
    return values[0] if len(values) == 1 else values or text
