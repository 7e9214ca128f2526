"""Frame indices that a caller gave, checked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError


def checked_indices(indices: Sequence[int] | Tensor, *, n_frames: int, path: str) -> Tensor:
    """``(n,)`` int64 on the CPU, all inside the video.

    Raises:
        InputError: They are no list of whole numbers, or one is beyond the video.
    """
    rows = torch.as_tensor(indices)
    if rows.numel() and (rows.is_floating_point() or rows.dtype == torch.bool):
        raise InputError(f"frame indices must be whole numbers, got {rows.dtype}")
    if rows.ndim != 1:
        raise InputError(f"frame indices must be one list, got shape {tuple(rows.shape)}")
    wrong = rows[(rows < 0) | (rows >= n_frames)]
    if len(wrong):
        raise InputError(
            f"frame {int(wrong[0])} is not in {path}, which has frames 0 to {n_frames - 1}"
        )
    return rows.to("cpu", torch.int64)
