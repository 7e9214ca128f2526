"""The options of the evaluation of speed."""

import argparse
import os
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from evals.speed.whole import Clip
from keyscore_plugin.cli.words import amount, whole_number

_LEAST_FRAMES = 3
_CLIPS: list[Clip] = [(minutes, height) for minutes in (1, 5, 30) for height in (360, 720, 1080)]
_QUICK = {
    "sizes": [60, 120],
    "k_max": [6],
    "scored": [16],
    "clips": [(0.1, 96)],
    "growth_minutes": [0.1, 0.2],
    "growth_height": 96,
    "index_minutes": 0.1,
    "index_height": 96,
    "index_questions": 2,
    "window_seconds": 2.0,
    "gpu_frames": 60,
    "repeats": 1,
}


def parse(
    argv: Sequence[str] | None, *, parts: Collection[str], description: str | None
) -> argparse.Namespace:
    """Read the options.

    Args:
        argv: Arguments of the command; None takes those of the process.
        parts: Names of the parts that can be measured.
        description: Text of ``--help``.
    """
    parser = argparse.ArgumentParser(prog="python -m evals.speed", description=description)
    parser.add_argument(
        "--only",
        type=partial(_parts, known=parts),
        default=list(parts),
        help=f"parts to measure, separated by commas: {', '.join(parts)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure everything once, on small inputs"
    )
    _add_sizes(parser)
    _add_conditions(parser)
    options = parser.parse_args(argv)
    if options.quick:
        vars(options).update(_QUICK)
    return options


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options of how much each part measures."""
    parser.add_argument(
        "--sizes", type=_sizes, default=[600, 3600, 7200], help="numbers of grid frames to cluster"
    )
    parser.add_argument("--k-max", type=_ints, default=[32, 64], help="largest numbers of clusters")
    parser.add_argument(
        "--scored", type=_ints, default=[64, 256, 1024], help="numbers of frames to score"
    )
    parser.add_argument(
        "--clips", type=_clips, default=_CLIPS, help="videos for whole calls: MINUTES@HEIGHT,..."
    )
    parser.add_argument(
        "--growth-minutes",
        type=_lengths,
        default=[1.0, 5.0, 20.0, 60.0],
        help="lengths for --only growth",
    )
    parser.add_argument(
        "--growth-height",
        type=_height,
        default=180,
        help="height of the videos of --only growth, in pixels",
    )
    parser.add_argument(
        "--index-minutes",
        type=partial(amount, unit="minutes"),
        default=60.0,
        help="length of the video of --only index (default: 60)",
    )
    parser.add_argument(
        "--index-height",
        type=_height,
        default=720,
        help="height of the video of --only index, in pixels (default: 720)",
    )
    parser.add_argument(
        "--index-questions",
        type=whole_number,
        default=1000,
        help="number of further questions of --only index (default: 1000)",
    )
    parser.add_argument(
        "--window-seconds",
        type=partial(amount, unit="seconds"),
        default=60.0,
        help="length of the video for --only windows, in seconds (default: 60)",
    )
    parser.add_argument(
        "--gpu-frames",
        type=whole_number,
        default=7200,
        help="number of grid frames for --only gpu (default: an hour at 2 fps)",
    )


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    """Add the options of how it is measured, and where the files go."""
    parser.add_argument(
        "--repeats",
        type=whole_number,
        default=3,
        help="number of repetitions, whose median is reported",
    )
    parser.add_argument(
        "--threads",
        type=whole_number,
        default=os.cpu_count(),
        help="number of threads of torch and OpenMP",
    )
    parser.add_argument("--decoder", default="pyav", help="decoder of our rows (default: pyav)")
    parser.add_argument(
        "--peers",
        type=Path,
        help="Python executable of an environment with Katna and PySceneDetect",
    )
    parser.add_argument(
        "--server", help="address of a running server with the plugin, for --only server"
    )
    parser.add_argument("--processor", type=Path, help="folder of a saved transformers processor")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(tempfile.gettempdir(), "keyscore-speed"),
        help="folder that keeps the videos (1.2 GB with the default lengths and heights)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the results")


def _parts(text: str, known: Collection[str]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]!r}; there are {list(known)}")
    return names


def _clips(text: str) -> list[Clip]:
    pairs = [part.partition("@")[::2] for part in text.split(",")]
    return [(amount(minutes, unit="minutes"), _height(height)) for minutes, height in pairs]


def _sizes(text: str) -> list[int]:
    sizes = _ints(text)
    if min(sizes) < _LEAST_FRAMES:
        raise argparse.ArgumentTypeError(
            f"two clusters or more need {_LEAST_FRAMES} frames or more, got {text!r}"
        )
    return sizes


def _ints(text: str) -> list[int]:
    return [whole_number(part.strip()) for part in text.split(",")]


def _lengths(text: str) -> list[float]:
    return [amount(part, unit="minutes") for part in text.split(",")]


def _height(text: str) -> int:
    height = whole_number(text)
    if height % 2:
        raise argparse.ArgumentTypeError(f"expected an even number of pixels, got {text!r}")
    return height
