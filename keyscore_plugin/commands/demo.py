"""``keyscore demo``: the main job on a real clip, with nothing but installed packages."""

import argparse
from pathlib import Path

from keyscore_plugin._optional import require
from keyscore_plugin.commands.meter import stage_bars
from keyscore_plugin.commands.outputs import require_writable_folder
from keyscore_plugin.commands.streams import own_stdout
from keyscore_plugin.report import write_report
from keyscore_plugin.report.text import clock, from_first_frame, summary
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.samples import sample_video

_CLIP = "bikes"
_CAPTIONS = ("people riding bicycles", "a tram")
_NUM_FRAMES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="for pictures; default: demo"
    )


def run(args: argparse.Namespace) -> int:
    """Choose frames of one clip by two sentences, and draw why."""
    require("matplotlib", extra="report")
    require_writable_folder(args.out)
    video = sample_video(_CLIP)
    sampler = get_sampler("keyscore", encoder="conse")
    best = {}
    with own_stdout() as print_result:
        for caption in _CAPTIONS:
            with stage_bars():
                selection = sampler(video, num_frames=_NUM_FRAMES, caption=caption)
            picture = args.out / f"{_CLIP}-{caption.replace(' ', '-')}.png"
            write_report(selection, picture)
            print_result(f"{summary(selection)}\npicture: {picture}\n")
            scores = selection.scores or []
            best[caption] = from_first_frame(selection).pts_seconds[scores.index(max(scores))]
        found = ", ".join(f'"{caption}" at {clock(time)}' for caption, time in best.items())
        print_result(f"The sentence decides. Best frame of {video.name} for {found}.")
    return 0
