"""Does a sampler find the clip that a sentence describes? Details: evals/needle/README.md."""

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from evals.harness.bench import Setup
from evals.harness.main import eval_parser, names
from evals.harness.main import main as run_main
from evals.needle.protocol import NeedleEvaluation
from evals.needle.qvhighlights import read_qvhighlights
from evals.needle.sources import CACHE, SPLITS, get_split, make_videos
from keyscore_plugin.video.samples.joined import NeedleVideo

# All but katna and katna-fixed, which read every frame again for every budget.
SAMPLERS = (
    "uniform,random,iframes,stacfp,maxinfo,"
    "topk,aks,aks-paper,bolt,mdp3,qframe,focus,wfs-sb,clips,keyscore"
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
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> NeedleEvaluation:
    return NeedleEvaluation(options.dataset, read_videos(options), seed=setup.seed)


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add what `read_videos` reads."""
    parser.add_argument(
        "--dataset",
        choices=[*SPLITS, "qvhighlights"],
        default="held-out",
        help="a split joined from clips and photographs of packages, made in --root (31 MB for "
        "both), or QVHighlights, whose files must be there",
    )
    parser.set_defaults(root=CACHE)


def read_videos(options: argparse.Namespace) -> list[NeedleVideo]:
    """The videos of a data set, joined if it is a split.

    Raises:
        InputError: A file is missing, or a line has another format.
    """
    if options.dataset == "qvhighlights":
        return read_qvhighlights(options.root, left_out=names(options.leave_out))
    split = get_split(options.dataset)
    making = make_videos(split, options.root)
    return list(tqdm(making, total=split.n_videos, desc="join", unit="video"))


if __name__ == "__main__":
    sys.exit(main())
