"""Are the clips the stretches that a sentence describes? Details: evals/clips/README.md."""

import argparse
import sys
from collections.abc import Sequence

from evals.clips.protocol import ClipsEvaluation
from evals.harness.bench import Setup
from evals.harness.main import eval_parser
from evals.harness.main import main as run_main
from evals.needle.__main__ import add_dataset, read_videos


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser(
        "clips",
        __doc__,
        samplers="uniform,keyscore,clips",
        num_frames="4,8,16",
        encoder="conse",
    )
    add_dataset(parser)
    parser.set_defaults(dataset="held-out")  # the split of evals/clips/README.md
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> ClipsEvaluation:
    return ClipsEvaluation(options.dataset, read_videos(options), seed=setup.seed)


if __name__ == "__main__":
    sys.exit(main())
