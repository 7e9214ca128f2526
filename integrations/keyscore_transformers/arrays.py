"""A video that is already decoded, seen as any other video."""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Frames

_BATCH = 64


class ArrayVideo:
    """A `keyscore_plugin.video.VideoSource` over pixels in memory. Frame i is row i.

    Args:
        pixels: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8.
        metadata: ``fps`` of the video, and ``frames_indices`` (rising) where it is not whole.

    Raises:
        InputError: It is no video, or its times cannot be known.
    """

    decoder = "array"
    n_frames_counted = True
    rotation = 0
    start_pts_seconds = 0.0  # frames_indices count from the video's first frame

    def __init__(self, pixels: Tensor, metadata: Mapping[str, Any] | None) -> None:
        self._pixels = as_rgb_rows(pixels)
        self.n_frames, self.height, self.width = self._pixels.shape[:3]
        self.path = f"<array of {self.n_frames} frames>"
        if metadata is None or not metadata.get("fps"):
            raise InputError(
                f"the times of {self.path} are unknown; give video_metadata=[{{'fps': ..., "
                "'total_num_frames': ...}], or the path of the video"
            )
        fps = _frame_rate(metadata["fps"])
        rows = metadata.get("frames_indices")
        numbers = torch.as_tensor(range(self.n_frames) if rows is None else list(rows))
        if len(numbers) != self.n_frames:
            raise InputError(f"{self.path} has {len(numbers)} frames_indices in its video_metadata")
        self._pts: Tensor = numbers.double() / fps
        self.average_fps = Fraction(fps).limit_denominator(10**6)
        end = float(self._pts[-1] + 1 / fps)
        self.duration_seconds = max(float(metadata.get("duration") or 0), end)

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing can go wrong any more."""
        return ()

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 times of the given rows, or of all."""
        rows = slice(None) if indices is None else torch.as_tensor(indices).long()
        return self._pts[rows]

    def keyframes(self) -> Tensor:
        """Every row: there is nothing to decode."""
        return torch.arange(self.n_frames)

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `VideoSource.read`."""
        rows = torch.as_tensor(indices).long()
        pixels = self._pixels[rows]
        return Frames(pixels if size is None else _resized(pixels, size), rows, self._pts[rows])

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `VideoSource.thumbnails`."""
        scale = min(1.0, short_side / min(self.height, self.width))
        size = (max(1, round(self.height * scale)), max(1, round(self.width * scale)))
        rows = torch.as_tensor(grid).long()
        for start in range(0, len(rows), _BATCH):
            yield self.read(rows[start : start + _BATCH], size=size)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> "ArrayVideo":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def as_rgb_rows(pixels: Tensor) -> Tensor:
    """``(n, h, w, 3)`` uint8 from either order of the axes.

    Raises:
        InputError: This is no RGB video.
    """
    if pixels.ndim == 4 and len(pixels) and pixels.dtype == torch.uint8:
        if pixels.shape[-1] == 3:
            return pixels
        if pixels.shape[1] == 3:
            return pixels.permute(0, 2, 3, 1)
    raise InputError(
        f"a video in memory must be (n, h, w, 3) or (n, 3, h, w) uint8, "
        f"got {tuple(pixels.shape)} {pixels.dtype}"
    )


def _frame_rate(fps: Any) -> float:
    """The rate as a number; metadata from other libraries hold NumPy's and torch's."""
    try:
        rate = float(fps)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise InputError(f"fps in the video_metadata must be a positive number, got {fps!r}")
    return rate


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(pixels.shape[1:3]) == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2).float()
    scaled = torch.nn.functional.interpolate(planes, size, mode="area")
    return scaled.round().clamp(0, 255).byte().permute(0, 2, 3, 1)
