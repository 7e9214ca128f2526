"""Frame indices and sizes that a caller gave, checked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_real, is_whole, plain

_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)  # torch compares none of these


def checked_indices(indices: Sequence[int] | Tensor, *, n_frames: int, path: str) -> Tensor:
    """``(n,)`` int64 on the CPU, all inside the video.

    Raises:
        InputError: They are no list of whole numbers, or one is beyond the video.
    """
    try:
        rows = _as_tensor(indices)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"frame indices must be one list of whole numbers, got {shown(indices)}"
        ) from error
    if rows.numel() and (rows.is_floating_point() or rows.dtype == torch.bool):
        raise InputError(
            f"frame indices must be whole numbers, got {rows.dtype}; a time is no index: find the "
            "frame at it in pts_seconds()"
        )
    if rows.ndim != 1:
        raise InputError(
            f"frame indices must be one list such as [3], got shape {tuple(rows.shape)}"
        )
    wrong = rows[(rows < 0) | (rows >= n_frames)]
    if len(wrong):
        raise InputError(
            f"frame {int(wrong[0])} is not in {path}, which has frames 0 to {n_frames - 1}"
        )
    return rows.to("cpu", torch.int64)


def _as_tensor(indices: Sequence[int] | Tensor) -> Tensor:
    """The indices, of whatever library, as a tensor of a kind that can be compared."""
    if isinstance(indices, Sequence):
        indices = [plain(index) for index in indices]
    rows = torch.as_tensor(indices)
    return rows.to(torch.int64) if rows.dtype in _UNSIGNED else rows


def checked_grid(grid: Sequence[int] | Tensor, *, n_frames: int, path: str) -> Tensor:
    """``(n,)`` int64 on the CPU, rising, all inside the video.

    Raises:
        InputError: They are no `checked_indices`, or do not rise.
    """
    rows = checked_indices(grid, n_frames=n_frames, path=path)
    if bool((rows.diff() <= 0).any()):
        raise InputError("the grid must be rising frame indices without repetition")
    return rows


def thumbnail_size(short_side: int, *, height: int, width: int) -> tuple[int, int]:
    """(height, width) with the given short side, aspect ratio kept, never larger.

    Raises:
        InputError: The short side is no number of pixels.
    """
    if not (is_real(short_side) and short_side >= 1):
        raise InputError(f"short_side must be at least 1 pixel, got {shown(short_side)}")
    scale = min(1.0, float(short_side) / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width), if they are two whole numbers of at least 1.

    Raises:
        InputError: They are not.
    """
    sides = [plain(side) for side in size] if isinstance(size, (tuple, list)) else []
    if len(sides) != 2 or not all(is_whole(side) and side >= 1 for side in sides):
        raise InputError(
            f"size must be (height, width) of at least 1 pixel each, got {shown(size)}"
        )
    return sides[0], sides[1]
