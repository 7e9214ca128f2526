"""Looks that come again: how much a return to the same picture counts in a selection.

A long video comes back to the same pictures: the host of a show, the court, a slide. If one of them
scores, its returns score as well, and would take the whole budget from everything else.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

# Ours, in the distances of `colour_features`. Frames of one shot are 4.7 apart or less, for 95 of
# 100 pairs, and frames of different shots 8.3 or more (the tuning split of evals/needle).
_ALIKE = 4.0
_COUNTED = 0.4  # ours: how much of its score a return keeps, see evals/needle


def discount_repeats(scores: Tensor, rows: Tensor, looks: Tensor, *, num_frames: int) -> Tensor:
    """Let the returns of a look count less if it comes more often than the budget has frames.

    Ours. A look comes once for each run of frames of the grid that look alike; something else lies
    between two runs. If it comes at most ``num_frames`` times, each time can be shown, and nothing
    changes. Else the run with the best score, or the first of equal ones, keeps its scores. The
    others keep .4 of what they are above the lowest score.

    Args:
        scores: ``(n,)`` scores of any scale, in time order.
        rows: ``(n,)`` row of the grid whose look each frame has.
        looks: ``(n_grid, d)`` colour features of the frames of the grid, in time order.
        num_frames: The budget.

    Returns:
        ``(n,)`` scores.
    """
    rows, looks = rows.to(scores.device), looks.to(scores.device)
    alike = torch.cdist(looks[rows], looks) < _ALIKE  # (n, n_grid)
    runs = (alike & ~pad(alike, (1, 0))[:, :-1]).cumsum(dim=1)
    often = runs[:, -1] > num_frames
    of_frames = runs[:, rows]  # (n, n)
    of_alike = scores.expand(len(rows), -1).masked_fill(~alike[:, rows], -torch.inf)
    best = (of_alike == of_alike.amax(dim=1, keepdim=True)).int().argmax(dim=1, keepdim=True)
    again = of_frames.gather(1, best).squeeze(1) != of_frames.diagonal()
    lowest = scores.min()
    return torch.where(often & again, lowest + _COUNTED * (scores - lowest), scores)
