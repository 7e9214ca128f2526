"""``keyscore select``: choose the frames of one video that matter."""

import argparse
from pathlib import Path

from keyscore_plugin.cli.meter import stage_bars
from keyscore_plugin.cli.options import (
    add_part_options,
    add_sampler_options,
    add_subtitle_option,
    add_text_options,
    add_video_options,
    make_sampler,
)
from keyscore_plugin.cli.outputs import (
    require_writable_file,
    require_writable_folder,
    save_frames,
)
from keyscore_plugin.cli.streams import detail, own_stdout, tell
from keyscore_plugin.report import require_report_suffix, write_report
from keyscore_plugin.report.text import facts, summary
from keyscore_plugin.samplers.base import text_keywords
from keyscore_plugin.samplers.within import within


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    add_video_options(parser)
    add_text_options(parser)
    add_subtitle_option(parser)
    add_part_options(parser)
    add_sampler_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--save-frames",
        type=Path,
        metavar="DIR",
        help="write the chosen frames as PNG files into this folder",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a picture that shows why these frames were chosen: .png, .svg or .html",
    )


def run(args: argparse.Namespace) -> int:
    """Choose frames, write the files that were asked for, and print the result last."""
    if args.save_frames is not None:
        require_writable_folder(args.save_frames)
    if args.report is not None:
        require_report_suffix(args.report)
        require_writable_file(args.report)
    with own_stdout() as print_result:
        with stage_bars():
            # A name says nothing of an adapter, so that one is loaded here.
            chooser = make_sampler(args, load_models=args.adapter is not None)
            sampler = within(chooser, start_seconds=args.start, end_seconds=args.end)
            selection = sampler(
                args.video,
                num_frames=args.num_frames,
                threshold=args.threshold,
                caption=args.caption,
                question=args.question,
                **text_keywords(args.join, args.subtitles),
                fps=args.fps,
            )
        if args.save_frames is not None:
            save_frames(selection, args.save_frames)
        if args.report is not None:
            write_report(selection, args.report)
        for note in selection.notes:
            tell(f"note: {note}")
        if selection.fallback is not None:
            tell(f"fallback: {selection.fallback}")
        if args.json:
            detail(facts(selection))
        print_result(selection.to_json() if args.json else summary(selection))
    return 0
