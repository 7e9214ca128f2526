"""Looks that come again: how much a return to the same picture counts in a selection.

A long video comes back to the same pictures: the host of a show, the court, a slide. If one of them
scores, its returns score as well, and would take the whole budget from everything else.
"""

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.kept import kept_with_tensor

# Ours: frames look alike from this overlap of their histograms on, sum_b sqrt(p_b q_b). On the
# tuning split of evals/needle 95 of 100 pairs of one shot overlap by more than .89, and 95 of 100
# pairs of different clips by less than .65.
_ALIKE = 0.92
_COUNTED = 0.4  # ours: how much of its score a return keeps, see evals/needle


def discount_repeats(
    scores: Tensor, rows: Tensor, histograms: Tensor, *, num_frames: int
) -> Tensor:
    """Let the returns of a look count less if it comes more often than the budget has frames.

    Ours. A look comes once for each run of frames of the grid that look alike; something else lies
    between two runs. If it comes at most ``num_frames`` times, each time can be shown, and nothing
    changes. Else the run with the best score, or the first of equal ones, keeps its scores. The
    others keep .4 of what they are above the lowest score.

    Args:
        scores: ``(n,)`` scores of any scale, in time order.
        rows: ``(n,)`` row of the grid whose look each frame has.
        histograms: ``(n_grid, n_bins)`` histograms of the frames of the grid, in time order.
        num_frames: The budget.

    Returns:
        ``(n,)`` scores.
    """
    alike, runs, n_runs = _runs(histograms, tuple(rows.tolist()))
    often = (n_runs > num_frames).to(scores.device)
    if not bool(often.any()):
        return scores
    alike, runs = alike.to(scores.device), runs.to(scores.device)
    of_alike = scores.expand(len(rows), -1).masked_fill(~alike, -torch.inf)
    best = (of_alike == of_alike.amax(dim=1, keepdim=True)).int().argmax(dim=1, keepdim=True)
    again = runs.gather(1, best).squeeze(1) != runs.diagonal()
    lowest = scores.min()
    return torch.where(often & again, lowest + _COUNTED * (scores - lowest), scores)


@kept_with_tensor(2)
def _runs(histograms: Tensor, rows: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Which frames look alike, and the runs of their look in the grid.

    They are kept: of a long video of the index, all questions embed the same frames.

    Args:
        histograms: ``(n_grid, n_bins)`` histograms of the frames of the grid, in time order.
        rows: The n rows of the grid whose looks are asked for.

    Returns:
        ``(n, n)`` bool, whether frame j looks like frame i; ``(n, n)`` number of the run of the
        look of frame i in which frame j lies, or of the last one before it; ``(n,)`` number of
        runs of each look.
    """
    picked = torch.tensor(rows, dtype=torch.int64)
    roots = histograms.sqrt()
    with exact_arithmetic(roots.device):
        alike = roots[picked] @ roots.T > _ALIKE  # (n, n_grid)
    begins = torch.cat([alike[:, :1], alike[:, 1:] & ~alike[:, :-1]], dim=1)
    runs = begins.cumsum(dim=1, dtype=torch.int32)
    return alike[:, picked], runs[:, picked], runs[:, -1].clone()  # without all of (n, n_grid)
