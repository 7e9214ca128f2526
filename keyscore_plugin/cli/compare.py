"""``keyscore compare``: show what several samplers choose from one video, in one picture."""

import argparse
from pathlib import Path

from keyscore_plugin.cli.meter import stage_bars
from keyscore_plugin.cli.options import (
    add_choice_options,
    add_part_options,
    add_subtitle_option,
    add_text_options,
    add_video_options,
    make_samplers,
)
from keyscore_plugin.cli.outputs import require_writable_file
from keyscore_plugin.cli.streams import own_stdout, tell
from keyscore_plugin.cli.words import whole_number
from keyscore_plugin.report import require_picture_suffix, write_comparison
from keyscore_plugin.report.text import facts, times
from keyscore_plugin.samplers.base import text_keywords
from keyscore_plugin.samplers.within import within

_SAMPLERS = "uniform,topk,keyscore"
_NUM_FRAMES = 8  # the usual budget of a Video-LLM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    add_video_options(parser)
    add_text_options(parser)
    add_subtitle_option(parser)
    add_part_options(parser)
    parser.add_argument(
        "--num-frames",
        type=whole_number,
        default=_NUM_FRAMES,
        metavar="K",
        help=f"number of frames that each sampler chooses (default: {_NUM_FRAMES})",
    )
    parser.add_argument(
        "--sampler",
        default=_SAMPLERS,
        metavar="NAMES",
        help=f"the samplers, with commas between them (default: {_SAMPLERS})",
    )
    add_choice_options(parser)
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("compare.png"),
        metavar="FILE",
        help="output picture with a strip of frames for each sampler: .png or .svg (default: "
        "compare.png)",
    )


def run(args: argparse.Namespace) -> int:
    """Run every sampler, draw the strips, print the times."""
    require_picture_suffix(args.picture)
    require_writable_file(args.picture)
    names = args.sampler.split(",")
    with own_stdout() as print_result:
        with stage_bars():
            samplers = make_samplers(args, names, load_models=True)
        selections = []
        for sampler in samplers:
            chooser = within(sampler, start_seconds=args.start, end_seconds=args.end)
            with stage_bars():
                selections.append(
                    chooser(
                        args.video,
                        num_frames=args.num_frames,
                        caption=args.caption,
                        question=args.question,
                        **text_keywords(args.join, args.subtitles),
                        fps=args.fps,
                    )
                )
        write_comparison(selections, args.picture)
        for selection in selections:
            for note in selection.notes:
                tell(f"note: {selection.sampler}: {note}")
            if selection.fallback is not None:
                tell(f"fallback: {selection.sampler}: {selection.fallback}")
            print_result(f"{facts(selection)}\n  {times(selection)}")
        print_result(f"picture: {args.picture}")
    return 0
