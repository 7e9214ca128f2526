"""Does a caption find its video by a few frames of it? Details: evals/retrieval/README.md."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from evals.harness.bench import Setup
from evals.harness.data import require_files
from evals.harness.main import eval_parser, names, root_of
from evals.harness.main import main as run_main
from evals.retrieval import didemo, msrvtt, msvd
from evals.retrieval.dataset import Dataset
from evals.retrieval.protocol import RetrievalEvaluation
from evals.retrieval.settings import parse_settings
from keyscore_plugin import Encoder

# The reader of each data set, the place to get it from, and its layout.
_DATASETS: dict[str, tuple[Callable[[Path], Dataset], str, str]] = {
    "msrvtt": (msrvtt.read_msrvtt, msrvtt.SOURCE, msrvtt.LAYOUT),
    "msvd": (msvd.read_msvd, msvd.SOURCE, msvd.LAYOUT),
    "didemo": (didemo.read_didemo, didemo.SOURCE, didemo.LAYOUT),
}


def main(argv: Sequence[str] | None = None, *, encoder: Encoder | None = None) -> int:
    """Run the evaluation; returns the exit code.

    Args:
        argv: Arguments; None takes those of the process.
        encoder: Encoder object in place of ``--encoder``.
    """
    parser = eval_parser(
        "retrieval", __doc__, samplers="uniform,stacfp@own,keyscore:T", num_frames="8"
    )
    parser.add_argument(
        "--dataset", choices=list(_DATASETS), required=True, help="data set in --root"
    )
    parser.add_argument(
        "--setting",
        default="free",
        help="texts that choose the frames, separated by commas: free (no text), caption (written "
        "by --captioner), pair (each query for each video), leak (the ground-truth caption, an "
        "upper bound only) (default: free)",
    )
    options = parser.parse_args(argv)
    options.encoder = encoder or options.encoder
    return run_main(options, _make)


def _make(options: argparse.Namespace, setup: Setup) -> RetrievalEvaluation:
    read, source, layout = _DATASETS[options.dataset]
    root = root_of(options, source=source, layout=layout)
    dataset = read(root)
    left_out = names(options.leave_out)
    wanted = [video.video for video in dataset.videos if video.id not in left_out]
    paths = [video.relative_to(root) for video in wanted]
    require_files(root, paths, source=source, layout=layout)
    return RetrievalEvaluation(dataset, parse_settings(options.setting), setup)


if __name__ == "__main__":
    sys.exit(main())
