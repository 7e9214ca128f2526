"""Do the scores of a sampler rank frames as annotators do? Details: evals/summaries/README.md."""

import argparse
import sys
from collections.abc import Sequence

from evals.harness.bench import Setup
from evals.harness.main import eval_parser, names, root_of
from evals.harness.main import main as run_main
from evals.summaries.data import DATASETS, LAYOUT, SOURCE, read_data_set
from evals.summaries.evaluation import SummaryEvaluation
from evals.summaries.predict import read_texts, require_ranking


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser(
        "summaries",
        __doc__,
        samplers="keyscore,keyscore:S,keyscore:T,keyscore:D,random,uniform",
        num_frames="own",
    )
    parser.add_argument(
        "--dataset", choices=list(DATASETS), required=True, help="data set in --root"
    )
    parser.add_argument(
        "--no-splits",
        action="store_true",
        help="report the mean over all videos only; needs no split files",
    )
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> SummaryEvaluation:
    require_ranking(setup.cells, setup.config)
    captions = "captioner" if options.captioner else "titles"
    if not read_texts(setup.cells, setup.config):
        captions = "none"
    data = read_data_set(
        options.dataset,
        root_of(options, source=SOURCE, layout=LAYOUT),
        with_splits=not options.no_splits,
        with_titles=captions == "titles",
        left_out=names(options.leave_out),
    )
    return SummaryEvaluation(data, captions=captions, seed=setup.seed)


if __name__ == "__main__":
    sys.exit(main())
