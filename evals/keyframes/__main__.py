"""Do the chosen frames look like the keyframes that people chose? Details:
evals/keyframes/README.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.harness.bench import Setup
from evals.harness.data import require_files
from evals.harness.main import eval_parser, names, root_of
from evals.harness.main import main as run_main
from evals.keyframes.evaluation import KeyframeEvaluation
from evals.keyframes.ground_truth import LAYOUT, SOURCES, Labelled, read_keyframes
from evals.keyframes.votes import LAYOUT as VOTES_LAYOUT
from evals.keyframes.votes import read_votes
from evals.summaries.videos import TITLES, read_titles, title_of_name
from keyscore_plugin.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    parser = eval_parser("keyframes", __doc__, samplers="keyscore", num_frames="4,8,16,32")
    parser.add_argument(
        "--dataset", choices=list(SOURCES), required=True, help="data set in --root"
    )
    parser.add_argument(
        "--ground-truth",
        choices=["files", "votes"],
        default="files",
        help="true keyframes from Keyframe/<id>.mp4/<frame>.jpg or, for summe, from the votes in "
        "GT/<name>.mat, by our own rule (see the README)",
    )
    parser.add_argument(
        "--oracle",
        action="store_true",
        help="also run every sampler with as many frames as each video has true keyframes",
    )
    return run_main(parser.parse_args(argv), _make)


def _make(options: argparse.Namespace, setup: Setup) -> KeyframeEvaluation:
    root, videos = _read(options)
    captions = _captions(options, setup)
    return KeyframeEvaluation(
        dataset=options.dataset,
        videos=videos,
        titles=_titles(root, videos, dataset=options.dataset) if captions == "titles" else None,
        captions=captions,
        truth=options.ground_truth if options.ground_truth == "files" else "votes (ours)",
        oracle=options.oracle,
        seed=setup.seed,
    )


def _read(options: argparse.Namespace) -> tuple[Path, list[Labelled]]:
    """The folder of the data set, and the videos with their true keyframes."""
    source, left_out = SOURCES[options.dataset], names(options.leave_out)
    if options.ground_truth == "files":
        root = root_of(options, source=source, layout=LAYOUT)
        return root, read_keyframes(root, source=source, left_out=left_out)
    if options.dataset != "summe":
        raise InputError(
            "--ground-truth votes is for --dataset summe; tvsum20 has keyframes: leave it out"
        )
    root = root_of(options, source=source, layout=VOTES_LAYOUT)
    return root, read_votes(root, source=source, left_out=left_out)


def _captions(options: argparse.Namespace, setup: Setup) -> str:
    """The kind of texts that the samplers read."""
    if not any(cell.needs_text for cell in setup.cells):
        return "none"
    return "captioner" if options.captioner else "titles"


def _titles(root: Path, videos: Sequence[Labelled], *, dataset: str) -> Mapping[str, str]:
    """The title of every video."""
    if dataset == "summe":
        return {video.id: title_of_name(video.id) for video in videos}
    require_files(
        root,
        [TITLES],
        source="TVSum (people.csail.mit.edu/yalesong/tvsum), or give a --captioner instead",
        layout=TITLES,
    )
    titles = read_titles(root / TITLES)
    missing = [video.id for video in videos if video.id not in titles]
    if missing:
        raise InputError(
            f"{root / TITLES} has no title of {missing[0]}; add it, or give --captioner"
        )
    return titles


if __name__ == "__main__":
    sys.exit(main())
