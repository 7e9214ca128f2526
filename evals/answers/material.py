"""Joined videos in which one clip has a coloured frame, and the question about its colour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from evals.needle.sources import CLIPS_PER_VIDEO, Split
from keyscore_plugin.video.samples.joined import NeedleVideo, join
from keyscore_plugin.video.samples.sources import Source

COLOURS = {
    "red": (215, 25, 30),
    "green": (30, 170, 50),
    "blue": (30, 60, 220),
    "yellow": (235, 215, 30),
    "cyan": (40, 210, 215),
    "magenta": (215, 40, 200),
}
CHANCE = 1 / len(COLOURS)
_BORDER = 2 / 15  # of the height
# Short and of few frames, so that a video is rendered in a second; a grid of 2 fps shows three
# frames of a clip.
_CLIP_SECONDS = (1.4, 1.8)
_FPS = 5


@dataclass(frozen=True, slots=True)
class Framed:
    """A clip with a coloured frame around every picture.

    Attributes:
        source: Clip without the frame.
        colour: Name of the colour, a key of `COLOURS`.
    """

    source: Source
    colour: str

    @property
    def caption(self) -> str:
        """The caption of the clip, which does not mention the frame."""
        return self.source.caption

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """The pictures of the clip, with the frame."""
        for image in self.source.render(n_frames, rng):
            yield framed(image, self.colour)


def framed(image: Image.Image, colour: str) -> Image.Image:
    """The picture with a frame of this colour; the size stays."""
    copy = image.copy()
    width, height = copy.size
    border = round(_BORDER * height)
    ImageDraw.Draw(copy).rectangle(
        (0, 0, width - 1, height - 1), outline=COLOURS[colour], width=border
    )
    return copy


@dataclass(frozen=True, slots=True)
class Question:
    """Which colour the frame in one scene has.

    Attributes:
        scene: Caption of the clip; samplers search by it.
        answer: Name of the colour.
    """

    scene: str
    answer: str

    @property
    def text(self) -> str:
        """The text that the model reads; its answer is the name of a colour."""
        return f"{self.scene}. Which colour is the frame?"


@dataclass(frozen=True, slots=True)
class AskedVideo:
    """A joined video, its question, and where the clip with the frame lies.

    Attributes:
        video: Video and the captions of its clips.
        question: Question about the clip with the frame.
        span: Start and end of this clip, in seconds from the video's first frame.
    """

    video: NeedleVideo
    question: Question
    span: tuple[float, float]


def make_videos(split: Split, n_videos: int, root: Path) -> Iterator[AskedVideo]:
    """Join videos of one framed clip each; those that are in the folder already are not made again.

    The n-th video asks about the n-th source of the split, in turns, among 15 others of it.

    Args:
        split: Clips to join.
        n_videos: Number of videos.
        root: Folder of the videos.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in range(n_videos):
        rng = np.random.default_rng([split.seed, number])
        sources, needle, colour = _draw(split.sources, number, rng)
        video = join(
            sources,
            root=root,
            name=f"answers-{split.name}-{number}",
            rng=rng,
            clip_seconds=_CLIP_SECONDS,
            fps=_FPS,
        )
        question = Question(sources[needle].caption, colour)
        yield AskedVideo(video, question, video.needles[needle].spans[0])


def _draw(
    sources: Sequence[Source], number: int, rng: np.random.Generator
) -> tuple[list[Source], int, str]:
    """The clips of a video in random order, the place of the framed one, and its colour."""
    wanted = number % len(sources)
    others = [row for row in range(len(sources)) if row != wanted]
    rows = [wanted, *rng.choice(others, CLIPS_PER_VIDEO - 1, replace=False).tolist()]
    order = rng.permutation(CLIPS_PER_VIDEO).tolist()
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    needle = order.index(0)
    clips = [sources[rows[row]] for row in order]
    clips[needle] = Framed(clips[needle], colour)
    return clips, needle, colour
