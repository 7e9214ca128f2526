"""``keyscore demo``: the main job on a video with a known answer, with installed packages alone."""

import argparse
from pathlib import Path

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.cli.demo_video import demo_video
from keyscore_plugin.cli.meter import stage_bars
from keyscore_plugin.cli.outputs import require_writable_folder
from keyscore_plugin.cli.streams import own_stdout, tell
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.report import write_comparison, write_report
from keyscore_plugin.report.text import clock
from keyscore_plugin.samplers.base import Sampler, get_sampler
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

_SENTENCES = (
    "a fat grey cartoon rabbit comes out of its burrow and stretches",
    "a rocket waits on the launch pad at night",
)
_NUM_FRAMES = 8  # the usual budget of a Video-LLM, for both samplers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="for the video and the pictures; default: demo",
    )


def run(args: argparse.Namespace) -> int:
    """Ask for two of a video's sixteen clips, at the same budget as uniform sampling."""
    require("matplotlib", extra="demo")
    require_writable_folder(args.out)
    tell("joining sixteen clips to a video ...")
    video = demo_video(args.out)
    with stage_bars():
        keyscore = get_sampler("keyscore", encoder=load_encoder("conse"))
    with own_stdout() as print_result:
        print_result(f"{video.path}: {len(video.needles)} clips, {_NUM_FRAMES} frames to choose\n")
        for needle in video.needles:
            if needle.caption in _SENTENCES:
                print_result(_ask(needle, video, keyscore, out=args.out))
    return 0


def _ask(needle: Needle, video: NeedleVideo, keyscore: Sampler, *, out: Path) -> str:
    """Choose by one sentence, draw how, and say what was found."""
    with stage_bars():
        chosen = keyscore(video.path, num_frames=_NUM_FRAMES, caption=needle.caption)
    uniform = get_sampler("uniform")(video.path, num_frames=_NUM_FRAMES)
    name = "-".join(needle.caption.split()[:4])
    comparison, report = out / f"{name}.png", out / f"{name}-why.png"
    write_comparison([uniform, chosen], comparison, sought=needle)
    write_report(chosen, report)
    start, end = (clock(seconds, decimals=1) for seconds in needle.spans[0])
    return "\n".join(
        [
            f'"{needle.caption}", from {start} to {end}:',
            _found(uniform, needle),
            _found(chosen, needle),
            f"pictures: {comparison}, {report}\n",
        ]
    )


def _found(selection: Selection, needle: Needle) -> str:
    n_inside = needle.n_inside(selection.pts_seconds)
    shown = needle.share_within(selection.pts_seconds, seconds=1.0)
    return (
        f"  {selection.sampler:<8}  {n_inside} of {len(selection)} frames in the clip, "
        f"{shown:.0%} of its moments within 1 s of a frame"
    )
