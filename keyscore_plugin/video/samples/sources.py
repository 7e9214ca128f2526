"""The material of joined videos: real footage, and photographs under a moving camera."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from PIL import Image

from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.video.samples import sample_video

Point = tuple[float, float]
Box = tuple[float, float, float, float]

SIZE = (640, 360)

# Real 4-6 s clips hold 1.4 shots on average (facts: 22 shots in 16 clips), so do these.
_SECOND_SHOT_CHANCE = 0.4
# Scale of the view, as a share of the largest 16:9 box in the picture: a close-up, or all of it.
_SCALE_RANGE = (0.6, 1.0)
# How far the middle of the view strays from the focus, as a share of the picture.
_STRAY = 0.15
_LIGHT_RANGE = 0.12
_GRAIN = 4.0


class Source(Protocol):
    """Something to film, and the sentence that describes it."""

    @property
    def caption(self) -> str:
        """Sentence that says what can be seen."""

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """``n_frames`` pictures of `SIZE`; ``rng`` decides what is left to chance."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A stretch of one shot of a real video.

    Attributes:
        caption: Sentence that says what can be seen.
        sample: Name of a clip, a key of `keyscore_plugin.video.samples.SAMPLES`.
        frames: First frame, and one past the last frame.
        focus: Point ``(x, y)`` in 0..1 that the 16:9 crop keeps in the middle.
    """

    caption: str
    sample: str
    frames: tuple[int, int]
    focus: Point = (0.5, 0.5)

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """The stretch, slowed down until it fills ``n_frames``; ``rng`` is not used."""
        return stretch(sample_video(self.sample), self.frames, self.focus, n_frames)


@dataclass(frozen=True, slots=True)
class Still:
    """A photograph, filmed by a moving camera.

    Attributes:
        caption: Sentence that says what can be seen.
        package: Package that ships the photograph.
        file: Path inside the package.
        focus: Point ``(x, y)`` in 0..1 that the camera keeps in view.
        extra: Extra of this project that installs the package.
    """

    caption: str
    package: str
    file: str
    focus: Point = (0.5, 0.5)
    extra: str = field(default="demo", repr=False)

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """One or two shots that pan and zoom over the picture."""
        image = Image.open(package_file(self.package, self.file, extra=self.extra)).convert("RGB")
        return pan(image, self.focus, n_frames, rng)


def stretch(
    path: Path, frames: tuple[int, int], focus: Point, n_frames: int
) -> Iterator[Image.Image]:
    """A stretch of a video, slowed down until it fills ``n_frames`` pictures of `SIZE`.

    Args:
        path: The video.
        frames: First frame, and one past the last frame.
        focus: Point ``(x, y)`` in 0..1 that the 16:9 crop keeps in the middle.
        n_frames: Number of pictures.
    """
    first, stop = frames
    with av.open(str(path)) as container:
        shown = [
            Image.fromarray(frame.to_ndarray(format="rgb24"))
            for frame in islice(container.decode(video=0), first, stop)
        ]
    for i in range(n_frames):
        image = shown[i * len(shown) // n_frames]
        yield image.resize(SIZE, box=crop_around(image.size, focus, scale=1.0))


def crop_around(size: tuple[int, int], focus: Point, *, scale: float) -> Box:
    """The 16:9 box of a picture with the focus in its middle, as far as the edges let it.

    Args:
        size: ``(width, height)`` of the picture.
        focus: Point ``(x, y)`` in 0..1.
        scale: Share of the largest 16:9 box that fits.

    Example:
        >>> crop_around((1600, 1000), (0.0, 0.5), scale=0.5)
        (0.0, 275.0, 800.0, 725.0)
    """
    width, height = size
    aspect = SIZE[0] / SIZE[1]
    w = min(width, height * aspect) * scale
    h = w / aspect
    left = min(max(focus[0] * width - w / 2, 0.0), width - w)
    top = min(max(focus[1] * height - h / 2, 0.0), height - h)
    return left, top, left + w, top + h


def pan(
    image: Image.Image, focus: Point, n_frames: int, rng: np.random.Generator
) -> Iterator[Image.Image]:
    """Film a picture in one or two shots.

    Args:
        image: Picture to film.
        focus: Point ``(x, y)`` in 0..1 that stays in view.
        n_frames: Number of frames in all.
        rng: Generator that decides the shots, their start and their end.
    """
    two_shots = rng.random() < _SECOND_SHOT_CHANCE
    cut = int(n_frames * rng.uniform(0.35, 0.65)) if two_shots else n_frames
    for length in (cut, n_frames - cut):
        start, end = (_view(focus, rng) for _ in range(2))
        for i in range(length):
            x, y, scale = start + (end - start) * i / length
            yield image.resize(SIZE, box=crop_around(image.size, (x, y), scale=scale))


def film_look(
    images: Iterable[Image.Image], rng: np.random.Generator
) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Let the light drift and the grain change, so that no two frames are the same.

    Args:
        images: Frames of `SIZE`.
        rng: Generator that decides the drift and the grain.

    Yields:
        ``(360, 640, 3)`` uint8 pixels.
    """
    width, height = SIZE
    # One field of grain, shifted for each frame: new grain for a tenth of the time.
    grain = rng.normal(0.0, _GRAIN, (height, width, 3)).astype(np.float32)
    phase, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.04)
    for i, image in enumerate(images):
        light = 1 + _LIGHT_RANGE * np.sin(phase + speed * i)
        shift = (int(rng.integers(height)), int(rng.integers(width)))
        pixels = np.asarray(image, dtype=np.float32) * light + np.roll(grain, shift, axis=(0, 1))
        yield pixels.clip(0, 255).astype(np.uint8)


def _view(
    focus: Point, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A view ``(x, y, scale)`` with the focus somewhere in it."""
    x, y = (f + rng.uniform(-_STRAY, _STRAY) for f in focus)
    return np.array([x, y, rng.uniform(*_SCALE_RANGE)])
