"""Do the frames that a caption chooses show the action? Details: evals/hmdb51/README.md."""

import argparse
import sys
from collections.abc import Sequence

from accelerate import PartialState

from evals.harness.bench import Setup
from evals.harness.main import eval_parser, names, root_of
from evals.harness.main import main as run_main
from evals.hmdb51.data import LAYOUT, SOURCE, SPLITS, Hmdb51, Part, read_hmdb51
from evals.hmdb51.prompts import DEFAULT_TEMPLATES, read_templates
from evals.hmdb51.protocol import Hmdb51Evaluation
from evals.hmdb51.table import sweeps
from keyscore_plugin.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser("hmdb51", __doc__, samplers="uniform,keyscore", num_frames="8")
    parser.add_argument(
        "--templates",
        nargs="+",
        default=list(DEFAULT_TEMPLATES),
        metavar="T",
        help="texts with {c} in place of the class, or files with one per line; several are "
        f"averaged (default: {DEFAULT_TEMPLATES[0]!r})",
    )
    parser.add_argument("--splits", default="1,2,3", help="official splits (default: 1,2,3)")
    parser.add_argument(
        "--clips",
        choices=["all", "test"],
        default="all",
        help="measure all clips, or only those in the test part of a split: fewer captions, but no "
        "threshold can be chosen on a training part (default: all)",
    )
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> Hmdb51Evaluation:
    mute = [cell.key for cell in setup.cells if cell.needs_text]
    if mute and setup.captioner_asked is None:
        raise InputError(
            f"{mute[0]} needs a caption; give --captioner labels (no download), or the model id or "
            "folder of a Video-LLM"
        )
    root = root_of(options, source=SOURCE, layout=LAYOUT)
    data = read_hmdb51(root, _splits(options.splits), left_out=names(options.leave_out))
    everything = options.clips == "all"
    if everything and sweeps(setup.cells):
        _require_training(data)
    if data.uneven and PartialState().is_main_process:
        print(
            f"hmdb51: {len(data.uneven)} of {len(data.classes) * len(data.splits)} lists do not "
            f"have the official 70 clips to train and 30 to test on, the first: {data.uneven[0]}",
            file=sys.stderr,
        )
    return Hmdb51Evaluation(
        data,
        templates=read_templates(options.templates),
        everything=everything,
        seed=setup.seed,
        sweeps=any(cell.threshold is not None for cell in setup.cells),
    )


def _splits(text: str) -> list[int]:
    known = {str(split): split for split in SPLITS}
    asked = names(text)
    if not asked or len(set(asked)) != len(asked) or not set(asked) <= known.keys():
        raise InputError(f"--splits {text!r} names no splits; give some of 1,2,3, each once")
    return sorted(known[name] for name in asked)


def _require_training(data: Hmdb51) -> None:
    for split in data.splits:
        if not data.of_part(split, Part.TRAIN):
            raise InputError(
                f"split {split} has no clip to train on (ID 1), so no threshold can be chosen "
                "on it; give --clips test to choose none"
            )


if __name__ == "__main__":
    sys.exit(main())
