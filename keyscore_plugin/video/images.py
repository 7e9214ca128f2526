"""A video that comes as its pictures: an array, a list of images, or a folder of image files."""

import errno
import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.types import Frames, VideoFacts
from keyscore_plugin.video.base import CheckedVideo

Array = npt.NDArray[Any] | Tensor
Picture = str | os.PathLike[str] | Image.Image | Array
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others start programs: EPS does
_EIGHT_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ON_ITS_SIDE = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_BATCH_FRAMES = 32  # ours: thumbnails a batch, as of a file
_SLOWEST, _FASTEST = 1e-6, 1e9  # ours: a picture in 12 days; the rate that a grid may have


class ArrayPictures:
    """The rows of an array.

    Args:
        array: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8 RGB.

    Raises:
        InputError: The array is not a video.
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
        return torch.from_numpy(np.array(picture))  # a copy: arrays may be mirrored or read-only


class ImagePictures:
    """Images that are read one by one when they are needed, upright as their EXIF data say.

    Args:
        images: Paths of image files, Pillow images, or ``(h, w, 3)`` or ``(3, h, w)`` uint8 arrays.
        path: Name of the video in messages.

    Raises:
        InputError: One of them is not an image, or they differ in size.
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
        if 0 in sizes[0]:
            raise InputError(f"the pictures of {path} hold no pixel; give others")
        self.size = sizes[0]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> Tensor:
        image = self._images[row]
        if isinstance(image, (np.ndarray, Tensor)):
            return ArrayPictures(image[None])[0]
        if isinstance(image, Image.Image):
            return _pixels(image, name=getattr(image, "filename", None) or shown(image))
        with _opened(image) as opened:
            return _pixels(opened, name=os.fspath(image))


IMAGE_DECODERS = (ArrayPictures.decoder, ImagePictures.decoder)  # for `Selection.decoder`


class ImageVideo(CheckedVideo):
    """A video of pictures. Frame i is picture i, and every frame is a keyframe.

    Args:
        pictures: Pictures of one size.
        path: Name of the video in messages and in `Selection.video`.
        fps: Pictures per second.
        frame_numbers: ``(n,)`` rising; frame i is shown at ``frame_numbers[i] / fps`` seconds.
            None counts from 0.
        duration_seconds: Duration of the video, where it is longer than its pictures.
        notes: Facts that a reader must know.

    Raises:
        InputError: ``fps`` is not a positive number.
    """

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
        numbers = range(len(pictures)) if frame_numbers is None else frame_numbers
        seconds: Tensor = torch.as_tensor(numbers).double() / rate
        facts = VideoFacts(
            path=path,
            decoder=pictures.decoder,
            start_pts_seconds=0.0,  # times count from the first picture of the video they are from
            duration_seconds=max(duration_seconds, float(seconds[-1] + 1 / rate)),
            average_fps=Fraction(rate).limit_denominator(10**6),
            n_frames=len(pictures),
            height=pictures.size[0],
            width=pictures.size[1],
        )
        super().__init__(facts, seconds, notes)
        self._pictures = pictures

    @override
    def keyframes(self) -> Tensor:
        return torch.arange(self.n_frames)

    @override
    def _read(self, rows: Tensor, size: tuple[int, int]) -> Tensor:
        # Scaled as they come: not all of them lie at full size at once.
        return torch.stack([_resized(self._pictures[row], size) for row in rows.tolist()])

    @override
    def _thumbnails(self, rows: Tensor, size: tuple[int, int]) -> Iterator[Frames]:
        return (self.read(batch, size=size) for batch in torch.split(rows, _BATCH_FRAMES))


def open_images(images: Array | Sequence[Picture], *, fps: Any) -> ImageVideo:
    """Open an array, or a list of images, as a video.

    Raises:
        InputError: These are not pictures of one video, or ``fps`` is missing.
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
    """Open the image files of a folder as a video, in natural order: ``2.png`` before ``10.png``.

    Hidden files, files without a suffix of `IMAGE_SUFFIXES`, and folders inside it are left out;
    `notes` counts those that are not hidden.

    Raises:
        VideoError: The folder has no image file, or one that cannot be read.
        InputError: The images differ in size, or ``fps`` is not a positive number.
    """
    path = str(folder)
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        cause = error.strerror or str(error)
        raise VideoError(path, cause, "give a folder you can read") from error
    files = [file for file in entries if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    if not files:
        raise VideoError(
            path,
            "it is a directory that holds no image file",
            f"put images ({', '.join(IMAGE_SUFFIXES)}) into it, or give one video file without fps",
        )
    n_others = len(entries) - len(files)
    note = f"{n_others} entries of the folder are not image files and are left out"
    files.sort(key=natural_order)
    pictures = ImagePictures(files, path=path)
    return ImageVideo(pictures, path=path, fps=fps, notes=(note,) if n_others else ())


def natural_order(file: Path) -> tuple[list[str | int], str]:
    """Key to sort image files by: numbers in their names by value, letters without case.

    Example:
        >>> sorted(map(Path, ["b2.png", "b10.png", "A3.png"]), key=natural_order)[-1].name
        'b10.png'
    """
    parts = re.split("([0-9]+)", file.name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], file.name


def frame_rate(fps: Any) -> float:
    """The rate as a float; metadata of other libraries hold numbers of NumPy and torch.

    Raises:
        InputError: ``fps`` is not a positive number.
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


def _channels_last(array: Array) -> Array:
    """A view of shape ``(n, h, w, 3)``.

    Raises:
        InputError: The array is not an RGB video, or both axis 1 and axis 3 may hold the colours.
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
    """Advice on an array that is not a video."""
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
    """Whether EXIF data may turn the image. Pillow would decode a whole PNG to look for them."""
    return image.format != "PNG" or "exif" in image.info


def _opened(path: str | os.PathLike[str]) -> Image.Image:
    """The image of a file, of which only the header is read so far."""
    try:
        if not Path(path).is_file():  # a pipe would have no end
            raise FileNotFoundError(errno.ENOENT, "no such file exists")
        return Image.open(path, formats=_FORMATS)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str], error: Exception) -> VideoError:
    if isinstance(error, UnidentifiedImageError):
        remedy = "a list is of the images of one video; give several videos one by one"
        return VideoError(os.fspath(path), f"it is not an image ({', '.join(_FORMATS)})", remedy)
    cause = getattr(error, "strerror", None) or str(error)
    return VideoError(os.fspath(path), cause, "check the path, and that it is a whole image")


def _pixels(image: Image.Image, *, name: str) -> Tensor:
    """``(h, w, 3)`` uint8, upright."""
    if image.mode not in _EIGHT_BITS:
        raise InputError(
            f"an image of mode {image.mode} has more than 8 bits a colour, and how to map them is "
            "not known; convert it to RGB"
        )
    try:
        upright = ImageOps.exif_transpose(image) if _has_exif(image) else image
        return torch.from_numpy(np.array(upright.convert("RGB")))
    # Pillow raises these for an image that is damaged, or was closed by another thread.
    except (OSError, SyntaxError, ValueError, AssertionError) as error:
        raise _unreadable(name, error) from error
