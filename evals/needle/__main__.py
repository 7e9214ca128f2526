"""Does a sampler find the clip that a sentence describes? Details: evals/needle/README.md."""

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from evals.harness.bench import Setup
from evals.harness.main import eval_parser, names
from evals.harness.main import main as run_main
from evals.needle.asks import APPEARANCES, ASKS, ask_for
from evals.needle.hour import N_HOURS, make_hours
from evals.needle.lines import Kind
from evals.needle.protocol import NeedleEvaluation
from evals.needle.qvhighlights import read_qvhighlights
from evals.needle.sources import CACHE, SPLITS, get_split, make_videos
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.joined import NeedleVideo

# All but katna and katna-fixed, which read every frame again for every budget.
SAMPLERS = (
    "uniform,random,iframes,stacfp,maxinfo,"
    "topk,aks,aks-paper,bolt,mdp3,qframe,focus,wfs-sb,gift,adaq,segments,clips,keyscore"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser(
        "needle",
        __doc__,
        samplers=SAMPLERS,
        num_frames="1,2,4,8,16,32,64",
        encoder="conse",
    )
    add_dataset(parser)
    parser.add_argument(
        "--ask",
        choices=ASKS,
        default="one",
        help="what a query asks for: one clip, two or three at once, every appearance of a clip "
        "that comes four times, one clip of an hour, the whole video, or a line that is said, or "
        "written, in a clip (default: one)",
    )
    parser.add_argument(
        "--lines",
        choices=("said", "written"),
        help="let a line be said, or written, in each clip although the queries do not ask for it",
    )
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> NeedleEvaluation:
    lines = options.ask if options.ask in ("said", "written") else options.lines
    if options.ask == "hour":
        given = _read_hours(options)
    else:
        every = options.ask == "every"
        given = read_videos(options, appearances=APPEARANCES if every else 1, lines=lines)
    videos = [ask_for(video, options.ask, seed=order) for order, video in enumerate(given)]
    return NeedleEvaluation(options.dataset, videos, seed=setup.seed, ask=options.ask, lines=lines)


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add what `read_videos` reads."""
    parser.add_argument(
        "--dataset",
        choices=[*SPLITS, "qvhighlights"],
        default="held-out-2",
        help="a split joined from clips and photographs of packages, made in --root, or "
        "QVHighlights, whose files must be there",
    )
    parser.set_defaults(root=CACHE)


def read_videos(
    options: argparse.Namespace, *, appearances: int = 1, lines: Kind | None = None
) -> list[NeedleVideo]:
    """The videos of a data set, joined if it is a split.

    Args:
        options: The options of `add_dataset`.
        appearances: Number of times that each clip of a split appears in a video.
        lines: Whether a line is said, or written, in each clip of a split; None for neither.

    Raises:
        InputError: A file is missing, a line has another format, or lines are asked of videos that
            are not joined here.
    """
    if options.dataset == "qvhighlights" and lines is not None:
        raise InputError(f"no line is {lines} in qvhighlights; give one of: {', '.join(SPLITS)}")
    if options.dataset == "qvhighlights":
        return read_qvhighlights(options.root, left_out=names(options.leave_out))
    split = get_split(options.dataset)
    making = make_videos(split, options.root, appearances=appearances, lines=lines)
    return list(tqdm(making, total=split.n_videos, desc="join", unit="video"))


def _read_hours(options: argparse.Namespace) -> list[NeedleVideo]:
    if options.lines is not None:
        raise InputError(f"no line is {options.lines} in an hour; leave --lines or --ask hour out")
    making = make_hours(get_split(options.dataset), options.root)
    return list(tqdm(making, total=N_HOURS, desc="join", unit="video"))


if __name__ == "__main__":
    sys.exit(main())
