"""``keyscore batch``: a manifest of videos, one JSON object a line, resumable."""

import argparse
from pathlib import Path

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import read_manifest
from keyscore_plugin.batch.run import Budget, run_batch
from keyscore_plugin.commands.meter import line_bar
from keyscore_plugin.commands.options import add_sampler_options, make_sampler
from keyscore_plugin.commands.streams import own_stdout, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "manifest",
        type=Path,
        metavar="MANIFEST.jsonl",
        help='lines such as {"video": "a.mp4", "caption": "a dog", "id": 7}; a relative video '
        "name starts at the manifest's folder; an id is the line number where none is given",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="one object a line; run the same command again to go on where it stopped",
    )
    add_sampler_options(parser)


def run(args: argparse.Namespace) -> int:
    """Answer the lines that have no answer yet; 0 when every line has one."""
    with own_stdout():
        sampler = make_sampler(args)
        items = read_manifest(
            args.manifest, needs_text=sampler.needs_text and args.captioner is None
        )
        budget = Budget(num_frames=args.num_frames, threshold=args.threshold)
        with Journal(args.out) as journal, line_bar(args.manifest.name) as on_answer:
            sampler = make_sampler(args, load_models=True)
            summary = run_batch(items, journal, sampler, budget, on_answer=on_answer)
    say(
        f"{args.out}: {summary.n_lines} lines, {summary.n_before} of them from before, "
        f"{summary.n_errors} with an error"
    )
    return 0
