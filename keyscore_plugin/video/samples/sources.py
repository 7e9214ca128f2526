"""What joined videos are made of: real footage, and photographs under a moving camera."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import av
import numpy as np
from PIL import Image

from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.samples.camera import SIZE, Point, crop_around, pan


class Source(Protocol):
    """Something to film, and the sentence that describes it."""

    @property
    def caption(self) -> str:
        """What can be seen."""

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """``n_frames`` pictures of `camera.SIZE`; ``rng`` decides what is left to chance."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A stretch of one shot of a real video.

    Attributes:
        caption: What can be seen.
        sample: A name of `keyscore_plugin.video.samples.SAMPLES`.
        frames: First and one past the last frame.
        focus: ``(x, y)`` in 0..1, what the 16:9 crop keeps in the middle.
    """

    caption: str
    sample: str
    frames: tuple[int, int]
    focus: Point = (0.5, 0.5)

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """The stretch, played as slowly as it takes to fill ``n_frames``; ``rng`` is not used."""
        first, stop = self.frames
        with av.open(str(sample_video(self.sample))) as container:
            shown = [
                Image.fromarray(frame.to_ndarray(format="rgb24"))
                for frame in islice(container.decode(video=0), first, stop)
            ]
        for i in range(n_frames):
            image = shown[i * len(shown) // n_frames]
            yield image.resize(SIZE, box=crop_around(image.size, self.focus, scale=1.0))


@dataclass(frozen=True, slots=True)
class Still:
    """A photograph, filmed by a moving camera.

    Attributes:
        caption: What can be seen.
        package: The package that ships it.
        file: Its path inside the package.
        focus: ``(x, y)`` in 0..1, what the camera keeps in view.
        extra: The extra of this project that installs the package.
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
