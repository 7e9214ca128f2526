"""Does selection change the answers of a Video-LLM? Details: evals/answers/README.md."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from evals.answers.material import make_videos
from evals.answers.protocol import AnswersEvaluation
from evals.answers.train import TrainConfig, add_training_options, load_or_train
from evals.harness.bench import Setup
from evals.harness.main import budget, eval_parser
from evals.harness.main import main as run_main
from evals.needle.sources import HELD_OUT

SAMPLERS = "uniform,random,topk,keyscore,clips"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser("answers", __doc__, samplers=SAMPLERS, num_frames="2,4,8", encoder="conse")
    parser.add_argument(
        "--videos", default="32", help="number of joined videos, one question each (default: 32)"
    )
    add_training_options(parser)
    parser.set_defaults(root=Path(tempfile.gettempdir(), "keyscore-answers"))
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> AnswersEvaluation:
    n_videos = budget(options.videos)
    making = make_videos(HELD_OUT, n_videos, options.root)
    videos = list(tqdm(making, total=n_videos, desc="join", unit="video"))
    answerers = {
        name: load_or_train(
            options.root, TrainConfig(options.steps, options.training_seed, shuffled)
        )
        for name, shuffled in (("trained", False), ("shuffled answers", True))
    }
    return AnswersEvaluation(videos, answerers, seed=setup.seed)


if __name__ == "__main__":
    sys.exit(main())
