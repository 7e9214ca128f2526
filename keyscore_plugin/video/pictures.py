"""The pictures of a video one by one: rows of an array, images in memory, image files."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from keyscore_plugin.errors import InputError, VideoError, shown

Array = npt.NDArray[Any] | Tensor
Picture = str | os.PathLike[str] | Image.Image | Array
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others start programs: EPS does
_EIGHT_BITS = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ON_ITS_SIDE = {5, 6, 7, 8}  # EXIF orientations that swap width and height


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


def _channels_last(array: Array) -> Array:
    """A view of shape ``(n, h, w, 3)``.

    Raises:
        InputError: This is no RGB video, or it is not clear which axis holds the colours.
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
    # Pillow's for one that is damaged, or was closed meanwhile.
    except (OSError, SyntaxError, ValueError, AssertionError) as error:
        raise _unreadable(name, error) from error
