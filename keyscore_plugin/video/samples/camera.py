"""A camera over a photograph: pans, zooms, a cut now and then, light and grain that change."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

Point = tuple[float, float]
Box = tuple[float, float, float, float]

SIZE = (640, 360)

# Real 4-6 s clips hold 1.4 shots on average (facts: 22 shots in 16 clips), so do these.
_SECOND_SHOT_CHANCE = 0.4
# Of the largest 16:9 box in the picture: from a close-up to all of it.
_SCALE_RANGE = (0.6, 1.0)
# How far the middle of the view strays from the focus, as a share of the picture.
_STRAY = 0.15
_LIGHT_RANGE = 0.12
_GRAIN = 4.0


def crop_around(size: tuple[int, int], focus: Point, *, scale: float) -> Box:
    """The 16:9 box of a picture with the focus in its middle, as far as the edges let it.

    Args:
        size: ``(width, height)`` of the picture.
        focus: ``(x, y)`` in 0..1.
        scale: Of the largest 16:9 box that fits.

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
        image: The picture.
        focus: ``(x, y)`` in 0..1, what stays in view.
        n_frames: Frames in all.
        rng: Decides the shots, their start and their end.
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
        rng: Decides the drift and the grain.

    Yields:
        ``(360, 640, 3)`` uint8.
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
