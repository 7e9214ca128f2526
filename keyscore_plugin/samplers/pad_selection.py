"""Rules that complete a selection when a method found fewer frames than the budget."""

import torch
from torch import Tensor

from keyscore_plugin.types.spacing import uniform_indices


def pad_evenly(rows: Tensor, pts_seconds: Tensor, num_frames: int | None) -> Tensor:
    """Add frames evenly in time if there are fewer than the budget.

    Args:
        rows: ``(n,)`` rising rows that were chosen.
        pts_seconds: ``(n_grid,)`` times of the grid.
        num_frames: The budget; None adds no frame.

    Returns:
        ``(max(n, min(num_frames, n_grid)),)`` rising rows.

    Example:
        >>> import torch
        >>> pad_evenly(torch.tensor([5]), torch.arange(10.0), 3)
        tensor([2, 5, 7])
    """
    missing = min(num_frames or 0, len(pts_seconds)) - len(rows)
    if missing <= 0:
        return rows
    free_rows = _free(rows, len(pts_seconds)).nonzero().squeeze(1)
    added = free_rows[uniform_indices(pts_seconds[free_rows], missing)]
    return torch.cat([rows, added]).sort().values


def pad_by_score(rows: Tensor, scores: Tensor, num_frames: int) -> Tensor:
    """Add those of the other frames that score best if there are fewer than the budget.

    Args:
        rows: ``(n,)`` rows that were chosen.
        scores: ``(n_grid,)`` score of each frame; of equal ones the earlier is added.
        num_frames: The budget.

    Returns:
        ``(max(n, min(num_frames, n_grid)),)`` rising rows.

    Example:
        >>> import torch
        >>> pad_by_score(torch.tensor([3]), torch.tensor([0.1, 0.9, 0.5, 0.7]), 3)
        tensor([1, 2, 3])
    """
    missing = max(0, min(num_frames, len(scores)) - len(rows))
    ranked = scores.argsort(descending=True, stable=True)
    added = ranked[_free(rows, len(scores))[ranked]][:missing]
    return torch.cat([rows, added]).sort().values


def _free(rows: Tensor, n: int) -> Tensor:
    """``(n,)`` bool, True for the rows that are not among ``rows``."""
    return torch.ones(n, dtype=torch.bool).index_fill(0, rows, False)
