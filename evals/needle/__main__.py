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
from evals.needle.protocol import NeedleEvaluation
from evals.needle.qvhighlights import read_qvhighlights
from evals.needle.sources import CACHE, SPLITS, get_split, make_videos
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
        "that comes four times, one clip of an hour, or the whole video (default: one)",
    )
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> NeedleEvaluation:
    if options.ask == "hour":
        found = _read_hours(options)
    else:
        found = read_videos(options, appearances=APPEARANCES if options.ask == "every" else 1)
    videos = [ask_for(video, options.ask, seed=order) for order, video in enumerate(found)]
    return NeedleEvaluation(options.dataset, videos, seed=setup.seed, ask=options.ask)


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


def read_videos(options: argparse.Namespace, *, appearances: int = 1) -> list[NeedleVideo]:
    """The videos of a data set, joined if it is a split.

    Args:
        options: The options of `add_dataset`.
        appearances: How often each clip of a split appears in a video.

    Raises:
        InputError: A file is missing, or a line has another format.
    """
    if options.dataset == "qvhighlights":
        return read_qvhighlights(options.root, left_out=names(options.leave_out))
    split = get_split(options.dataset)
    making = make_videos(split, options.root, appearances=appearances)
    return list(tqdm(making, total=split.n_videos, desc="join", unit="video"))


def _read_hours(options: argparse.Namespace) -> list[NeedleVideo]:
    making = make_hours(get_split(options.dataset), options.root)
    return list(tqdm(making, total=N_HOURS, desc="join", unit="video"))


if __name__ == "__main__":
    sys.exit(main())
