"""What does KeyScore cost, compared with decoding and with other tools? Details:
evals/speed/README.md.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path

from evals.harness.versions import commit
from evals.speed import (
    clustering,
    dropping,
    gpu,
    indexed,
    processor,
    server,
    serving,
    whole,
    windows,
)
from evals.speed.measure import cpu_model
from evals.speed.plots import draw
from evals.speed.results import Facts, Results
from evals.speed.table import Table
from evals.speed.whole import Clip, Setting
from keyscore_plugin import open_video, sample_video
from keyscore_plugin.cli.words import amount, whole_number
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.hosts import require, write_whole

# Each part of the evaluation with its options. Parts that take long yield several tables.
_PARTS: Mapping[str, Callable[[argparse.Namespace, Setting], Iterable[Table]]] = {
    "clustering": lambda o, s: [
        clustering.against_sklearn(o.sizes, o.k_max, repeats=s.repeats, threads=s.threads)
    ],
    "grids": lambda o, s: [
        clustering.growth(o.sizes, o.k_max, repeats=s.repeats, threads=s.threads)
    ],
    "scoring": lambda o, s: [dropping.table(o.scored, repeats=s.repeats, threads=s.threads)],
    "select": lambda o, s: whole.tables(o.clips, s),
    "growth": lambda o, s: whole.growth(o.growth_minutes, o.growth_height, s),
    "serving": lambda o, s: [serving.table(o.clips[0], s)],
    "server": lambda o, s: [server.table(o.server, o.clips[0], s)],
    "index": lambda o, s: [indexed.table(o.index_minutes, o.index_height, o.index_questions, s)],
    "windows": lambda o, s: [windows.table(o.window_seconds, threads=s.threads)],
    "gpu": lambda o, s: [gpu.table(o.gpu_frames, repeats=s.repeats, threads=s.threads)],
    "processor": lambda o, s: [processor.table(o.processor, repeats=s.repeats)],
}
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    options = _parse(argv)
    setting = Setting(
        folder=options.root.absolute(),
        decoder=options.decoder,
        repeats=options.repeats,
        threads=options.threads,
        decord=importlib.util.find_spec("decord") is not None,
        peers=options.peers and str(options.peers.absolute()),
    )
    try:
        # A decoder that is missing shows here, not as a measuring process that failed.
        open_video(sample_video("bikes"), options.decoder).close()
        facts = _facts(options.threads, options.repeats)
        results = Results.load(options.out / "speed.json")
        for part in options.only:
            for table in _PARTS[part](options, setting):
                print(table.to_markdown(), flush=True)
                results.add(table, facts)
                _write(results, options.out)  # so that a failure later on loses nothing
    except (KeyScoreError, OSError) as error:
        return _failed(str(error))
    except subprocess.CalledProcessError as error:
        command = shlex.join(map(str, error.cmd))
        return _failed(f"a measuring process ended with exit code {error.returncode}: {command}")
    print(f"written to {options.out}: speed.md, speed.json and pictures", file=sys.stderr)
    return 0


def _failed(reason: str) -> int:
    print(f"speed: {reason}", file=sys.stderr)
    return 2


def _write(results: Results, folder: Path) -> None:
    """Write the tables as Markdown, as JSON and as pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "speed.json", results.to_json().encode())
    write_whole(folder / "speed.md", results.to_markdown().encode())
    draw([measured.table for measured in results.tables.values()], folder)


def _facts(threads: int, repeats: int) -> Facts:
    """The circumstances that the figures depend on."""
    require("sklearn", extra="evals")  # before its version is read
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cores": os.cpu_count() or 1,
        "CPU": cpu_model(),
        "threads": threads,
        "repeats": repeats,
        "commit": commit() or "unknown",
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "av", "scikit-learn")},
    }


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals.speed", description=__doc__)
    parser.add_argument(
        "--only",
        type=_parts,
        default=list(_PARTS),
        help=f"parts to measure, separated by commas: {', '.join(_PARTS)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure everything once, on small inputs"
    )
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
    options = parser.parse_args(argv)
    if options.quick:
        vars(options).update(_QUICK)
    return options


def _parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in _PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]!r}; there are {list(_PARTS)}")
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


if __name__ == "__main__":
    sys.exit(main())
