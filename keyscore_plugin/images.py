"""A video that comes as its pictures: an array, a list of images, or a folder of image files."""

import errno
import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from keyscore_plugin._frame_args import checked_indices, checked_size
from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.types import Frames

Array = npt.NDArray[Any] | Tensor
Picture = str | os.PathLike[str] | Image.Image | Array

IMAGE_DECODERS = ("array", "images")  # what `Selection.decoder` records of pictures
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others start programs: EPS does
_BATCH_FRAMES = 32  # ours: thumbnails a batch, as of a file
_EIGHT_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ON_ITS_SIDE = {5, 6, 7, 8}  # EXIF orientations that swap width and height


class ImageVideo:
    """A `keyscore_plugin.video.VideoSource` over pictures. Frame i is picture i.

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
        pictures: "ArrayPictures | ImagePictures",
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
        """See `keyscore_plugin.video.VideoSource`."""
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
        """See `keyscore_plugin.video.VideoSource`."""
        self._check_open()
        rows = self._check(grid)
        scale = min(1.0, short_side / min(self.height, self.width))
        size = (max(1, round(self.height * scale)), max(1, round(self.width * scale)))
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


class ArrayPictures:
    """The rows of an array.

    Args:
        array: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8 RGB.

    Raises:
        InputError: It is no video.
    """

    decoder = "array"

    def __init__(self, array: Array) -> None:
        self._rows = _channels_last(array)
        self.size = (int(self._rows.shape[1]), int(self._rows.shape[2]))
        self.path = f"<array of {len(self._rows)} frames>"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Tensor:
        picture = self._rows[row]
        if isinstance(picture, Tensor):
            return picture
        return torch.from_numpy(np.array(picture))  # its own: some arrays are mirrored or read-only


class ImagePictures:
    """Images one by one, read when they are wanted, upright as their EXIF data say.

    Args:
        images: Paths of image files, Pillow images, or ``(h, w, 3)`` or ``(3, h, w)`` uint8 arrays.
        path: What messages call the video.

    Raises:
        InputError: One is no image, or they differ in size.
        VideoError: An image file cannot be read.
    """

    decoder = "images"

    def __init__(self, images: Sequence[Picture], *, path: str) -> None:
        if not len(images):
            raise InputError(f"{path} holds no picture; give one or more")
        self._images = list(images)
        sizes = [_size(image, name=f"picture {i} of {path}") for i, image in enumerate(images)]
        other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if other is not None:
            (height, width), (first_height, first_width) = sizes[other], sizes[0]
            raise InputError(
                f"the pictures of {path} must have one size: picture 0 has {first_width} x "
                f"{first_height} pixels, picture {other} {width} x {height}; scale them to one"
            )
        self.size = sizes[0]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> Tensor:
        image = self._images[row]
        if isinstance(image, (np.ndarray, Tensor)):
            return ArrayPictures(image[None])[0]
        if isinstance(image, Image.Image):
            return _pixels(image)
        with _opened(image) as opened:
            try:
                return _pixels(opened)
            except (OSError, SyntaxError) as error:  # Pillow's for what is cut off or damaged
                raise _unreadable(image, error) from error


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
    if not 0 < rate < math.inf:
        raise InputError(
            f"fps must be a positive number, the pictures per second; got {shown(fps)}"
        )
    return rate


def _channels_last(array: Array) -> Array:
    """A view of shape ``(n, h, w, 3)``.

    Raises:
        InputError: This is no RGB video, or it cannot be told which axis is the colours.
    """
    shape = tuple(array.shape)
    if array.dtype in (np.uint8, torch.uint8) and len(shape) == 4 and min(shape) > 0:
        if shape[-1] == 3 and shape[1] != 3:
            return array
        if shape[1] == 3 and shape[-1] != 3:
            return (
                np.moveaxis(array, 1, -1) if isinstance(array, np.ndarray) else array.movedim(1, -1)
            )
    raise InputError(
        "a video in memory must be RGB, (n, h, w, 3) or (n, 3, h, w) uint8, got "
        f"{shown(array)}; {_way_out(shape, is_bytes=array.dtype in (np.uint8, torch.uint8))}"
    )


def _way_out(shape: tuple[int, ...], *, is_bytes: bool) -> str:
    """What to do with an array that is no video."""
    if not is_bytes:
        return "scale it to 0 to 255 and convert it to uint8"
    if 0 in shape:
        return "it is empty: give one frame or more"
    if len(shape) == 4 and shape[1] == shape[-1] == 3:
        return "its colours may be axis 1 or axis 3: pad or scale the side of 3 pixels"
    if len(shape) == 4 and 4 in (shape[1], shape[-1]):
        return "leave out the alpha channel"
    if len(shape) == 3 and 3 in (shape[0], shape[-1]):
        return "that is one picture: stack all frames to one array"
    if len(shape) == 1:
        return "if these are the bytes of a file, give array.tobytes()"
    if len(shape) == 5:
        return "that is several videos: give them one by one"
    return "give RGB, three equal channels if it is grey"


def _size(image: Picture, *, name: str) -> tuple[int, int]:
    """(height, width) of an image, upright."""
    if isinstance(image, (np.ndarray, Tensor)):
        return ArrayPictures(image[None]).size
    if isinstance(image, Image.Image):
        return _upright_size(image)
    if isinstance(image, (str, os.PathLike)):
        with _opened(image) as opened:
            return _upright_size(opened)
    raise InputError(
        f"{name} is {shown(image)}; give paths of image files, Pillow images or (h, w, 3) arrays"
    )


def _upright_size(image: Image.Image) -> tuple[int, int]:
    if _has_exif(image) and image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE:
        return image.size
    return image.height, image.width


def _has_exif(image: Image.Image) -> bool:
    """Whether the header may turn the image; Pillow decodes a PNG to look for more behind it."""
    return image.format != "PNG" or "exif" in image.info


def _opened(path: str | os.PathLike[str]) -> Image.Image:
    """The image of a file, of which only the header is read yet."""
    try:
        if not Path(path).is_file():  # a pipe would have no end
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        return Image.open(path, formats=_FORMATS)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str], error: Exception) -> VideoError:
    if isinstance(error, UnidentifiedImageError):
        remedy = "a list is of the images of one video; give several videos one by one"
        return VideoError(os.fspath(path), f"it is no image ({', '.join(_FORMATS)})", remedy)
    cause = getattr(error, "strerror", None) or str(error)
    return VideoError(os.fspath(path), cause, "check the path, and that it is a whole image")


def _pixels(image: Image.Image) -> Tensor:
    """``(h, w, 3)`` uint8, upright."""
    if image.mode not in _EIGHT_BITS:
        raise InputError(
            f"an image of mode {image.mode} has more than 8 bits a colour, and how to map them is "
            "not known; convert it to RGB"
        )
    upright = ImageOps.exif_transpose(image) if _has_exif(image) else image
    return torch.from_numpy(np.array(upright.convert("RGB")))


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """``(h, w, 3)`` uint8 at another size: the mean of the pixels that become one."""
    if tuple(picture.shape[:2]) == size:
        return picture
    planes = picture.permute(2, 0, 1)[None].float()
    scaled = torch.nn.functional.interpolate(planes, size, mode="area")
    return scaled.round().clamp(0, 255).byte()[0].permute(1, 2, 0)
