"""A video that comes as its pictures: an array, a list of images, or a folder of image files."""

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.types import Frames
from keyscore_plugin.video.frame_args import (
    checked_grid,
    checked_indices,
    checked_size,
    thumbnail_size,
)
from keyscore_plugin.video.pictures import Array, ArrayPictures, ImagePictures, Picture

# What `Selection.decoder` records of pictures.
IMAGE_DECODERS = (ArrayPictures.decoder, ImagePictures.decoder)
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_BATCH_FRAMES = 32  # ours: thumbnails a batch, as of a file
_SLOWEST, _FASTEST = 1e-6, 1e9  # ours: a picture in 12 days; the rate that a grid may have


class ImageVideo:
    """A `keyscore_plugin.video.source.VideoSource` over pictures. Frame i is picture i.

    Args:
        pictures: The pictures, all of one size.
        path: What messages and `Selection.video` call the video.
        fps: Pictures per second.
        frame_numbers: ``(n,)`` rising; frame i is shown at ``frame_numbers[i] / fps`` seconds.
            None counts from 0.
        duration_seconds: Length of the video, if that is more than its last picture tells.
        notes: What a reader must know.

    Raises:
        InputError: ``fps`` is no positive number.
    """

    n_frames_counted = True
    rotation = 0
    mirrored = False
    stream = 0
    start_pts_seconds = 0.0  # times count from the first picture of the video they are from

    def __init__(
        self,
        pictures: ArrayPictures | ImagePictures,
        *,
        path: str,
        fps: Any,
        frame_numbers: Sequence[float] | None = None,
        duration_seconds: float = 0.0,
        notes: tuple[str, ...] = (),
    ) -> None:
        rate = frame_rate(fps)
        self._pictures = pictures
        self._one_thread = Lock()  # Pillow decodes an image that two threads share twice at once
        self.path = path
        self.decoder = pictures.decoder
        self.n_frames = len(pictures)
        self.height, self.width = pictures.size
        self.notes = notes
        numbers = range(self.n_frames) if frame_numbers is None else frame_numbers
        self._pts: Tensor = torch.as_tensor(numbers).double() / rate
        self.average_fps = Fraction(rate).limit_denominator(10**6)
        self.duration_seconds = max(duration_seconds, float(self._pts[-1] + 1 / rate))
        self._closed = False

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 times of the given pictures, or of all."""
        return self._pts.clone() if indices is None else self._pts[self._check(indices)]

    def keyframes(self) -> Tensor:
        """Every picture: none needs another one."""
        return torch.arange(self.n_frames)

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `keyscore_plugin.video.source.VideoSource`."""
        self._check_open()
        rows = self._check(indices)
        height, width = (self.height, self.width) if size is None else checked_size(size)
        pixels = torch.empty((0, height, width, 3), dtype=torch.uint8)
        if len(rows):
            with self._one_thread:  # scaled as they come: not all of them lie at full size at once
                pictures = (self._pictures[row] for row in rows.tolist())
                pixels = torch.stack([_resized(picture, (height, width)) for picture in pictures])
        return Frames(pixels, rows, self._pts[rows])

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `keyscore_plugin.video.source.VideoSource`."""
        self._check_open()
        rows = checked_grid(grid, n_frames=self.n_frames, path=self.path)
        size = thumbnail_size(short_side, height=self.height, width=self.width)
        starts = range(0, len(rows), _BATCH_FRAMES)
        return (self.read(rows[start : start + _BATCH_FRAMES], size=size) for start in starts)

    def close(self) -> None:
        """Let go of the pictures."""
        self._closed = True

    def __enter__(self) -> "ImageVideo":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self, indices: Sequence[int] | Tensor) -> Tensor:
        return checked_indices(indices, n_frames=self.n_frames, path=self.path)

    def _check_open(self) -> None:
        if self._closed:
            raise VideoError(self.path, "it was closed", "use it inside its `with` block")


def open_images(images: Array | Sequence[Picture], *, fps: Any) -> ImageVideo:
    """Pictures in memory, or named one by one, as a video.

    Raises:
        InputError: They are no video, or ``fps`` is missing.
        VideoError: An image file cannot be read.
    """
    pictures: ArrayPictures | ImagePictures
    if isinstance(images, (np.ndarray, Tensor)):
        pictures = ArrayPictures(images)
        path = pictures.path
    else:
        path = f"<list of {len(images)} pictures>"
        pictures = ImagePictures(images, path=path)
    if fps is None:
        raise InputError(f"the times of {path} are unknown; give fps=, the pictures per second")
    return ImageVideo(pictures, path=path, fps=fps)


def open_folder(folder: Path, *, fps: Any) -> ImageVideo:
    """The image files of a folder as a video, in natural order: ``2.png`` before ``10.png``.

    Files that are hidden or no images by their names (`IMAGE_SUFFIXES`), and folders inside it, are
    left out, which `notes` says.

    Raises:
        VideoError: It holds no image file, or one that cannot be read.
        InputError: The images differ in size, or ``fps`` is no number above 0.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise VideoError(
            str(folder), error.strerror or str(error), "give a folder you can read"
        ) from error
    files = [file for file in entries if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    if not files:
        raise VideoError(
            str(folder),
            "it is a directory that holds no image file",
            f"put images ({', '.join(IMAGE_SUFFIXES)}) into it, or give one video file without fps",
        )
    n_others = len(entries) - len(files)
    notes = (f"{n_others} entries of the folder are no image files and are left out",)
    files.sort(key=natural_order)
    return ImageVideo(
        ImagePictures(files, path=str(folder)),
        path=str(folder),
        fps=fps,
        notes=notes if n_others else (),
    )


def natural_order(file: Path) -> tuple[list[str | int], str]:
    """What image files are sorted by: numbers in their names by value, letters without case.

    Example:
        >>> sorted(map(Path, ["b2.png", "b10.png", "A3.png"]), key=natural_order)[-1].name
        'b10.png'
    """
    parts = re.split("([0-9]+)", file.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], file.name


def frame_rate(fps: Any) -> float:
    """The rate as a number; metadata from other libraries hold NumPy's and torch's.

    Raises:
        InputError: It is none.
    """
    try:
        rate = float(fps)
    except (TypeError, ValueError, OverflowError):
        rate = math.nan
    if not _SLOWEST <= rate <= _FASTEST:
        raise InputError(
            f"fps must be a positive number, the pictures per second; got {shown(fps)}"
        )
    return rate


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``(h, w, 3)`` uint8 at another size: the mean of the pixels that become one."""
    if tuple(picture.shape[:2]) == size:
        return picture
    planes = picture.permute(2, 0, 1)[None].float()
    scaled = torch.nn.functional.interpolate(planes, size, mode="area")
    return scaled.round().clamp(0, 255).byte()[0].permute(1, 2, 0)
