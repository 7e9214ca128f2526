"""``keyscore compare``: what several samplers choose from one video, in one picture."""

import argparse
from pathlib import Path

from keyscore_plugin.commands.meter import stage_bars
from keyscore_plugin.commands.options import (
    add_choice_options,
    add_part_options,
    add_text_options,
    make_config,
    whole_number,
)
from keyscore_plugin.commands.outputs import require_writable_file
from keyscore_plugin.commands.streams import own_stdout, say
from keyscore_plugin.report import require_picture_suffix, write_comparison
from keyscore_plugin.report.text import facts, times
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.samplers.within import within

_SAMPLERS = "uniform,topk,keyscore"
_NUM_FRAMES = 8  # the usual budget of a Video-LLM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("video", metavar="VIDEO", help="a video file")
    add_text_options(parser)
    add_part_options(parser)
    parser.add_argument(
        "--num-frames",
        type=whole_number,
        default=_NUM_FRAMES,
        metavar="K",
        help=f"how many frames each sampler chooses (default: {_NUM_FRAMES})",
    )
    add_choice_options(parser)
    parser.set_defaults(sampler=_SAMPLERS)
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("compare.png"),
        metavar="FILE",
        help="a strip of frames for each sampler: .png or .svg (default: compare.png)",
    )


def run(args: argparse.Namespace) -> int:
    """Let every sampler choose, draw the strips, print the times."""
    require_picture_suffix(args.picture)
    require_writable_file(args.picture)
    samplers = [
        within(
            get_sampler(
                name,
                config=make_config(args),
                encoder=args.encoder,
                captioner=args.captioner,
                decoder=args.decoder,
                device=args.device,
            ),
            start_seconds=args.start,
            end_seconds=args.end,
        )
        for name in args.sampler.split(",")
    ]
    with own_stdout() as print_result:
        selections = []
        for sampler in samplers:
            with stage_bars():
                selections.append(
                    sampler(
                        args.video,
                        num_frames=args.num_frames,
                        caption=args.caption,
                        question=args.question,
                    )
                )
        write_comparison(selections, args.picture)
        for selection in selections:
            for note in selection.notes:
                say(f"note: {selection.sampler}: {note}")
            print_result(f"{facts(selection)}\n  {times(selection)}")
        print_result(f"picture: {args.picture}")
    return 0
