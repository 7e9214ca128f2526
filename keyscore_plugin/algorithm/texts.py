"""Several texts: the scores of each, joined to one score a frame.

Ours: the paper has one text. Each text is stretched to 0..1 over the frames on its own, so that a
text whose cosines are low for every frame still gets its moment. The chains of ``"then"`` follow
the SEQ of HiMu (arXiv 2603.18558), without its language model.
"""

import torch
from torch import Tensor

from keyscore_plugin.algorithm.numeric import min_max
from keyscore_plugin.types import Join

# Scores and cosines whose spread is below this are constant (float32 noise).
_NOISE = 1e-5
# Ours: a text of unknown worth counts fully from this share of the highest peak on. Swept by
# evals.needle.joins, with 8 frames: at .4, .5 and .6, two things asked are both hit for .95, .94
# and .92 of the queries; with a second text that names nothing, .76, .77 and .78 of a clip are
# shown within 1 s, and .49, .54 and .56 of one that four options name. The mean of the scores of
# two texts gives .92 and .65.
_GUARD = 0.5


def stretch_each(scores: Tensor) -> Tensor:
    """``(n_texts, n)`` scores, each row stretched to 0..1; a constant row becomes zero."""
    return torch.stack([min_max(row, tolerance=_NOISE) for row in scores])


def text_weights(cosines: Tensor) -> Tensor:
    """How far to trust each text, by how far its best frame rises above its usual one.

    A text that names nothing in the video has no frame that stands out, and stretching would make
    its noise count as much as the best moment of another text.

    Args:
        cosines: ``(n_texts, n)`` cosines of texts and frames.

    Returns:
        ``(n_texts,)`` weights in 0..1; 1 for a text whose peak above its median is at least half
        of the highest one.

    Example:
        >>> text_weights(torch.tensor([[0.1, 0.1, 0.5], [0.1, 0.1, 0.2]]))
        tensor([1.0000, 0.5000])
    """
    peaks = cosines.max(dim=1).values - cosines.median(dim=1).values
    least = _GUARD * peaks.max()
    return torch.where(least > 0, peaks / least, torch.ones_like(peaks)).clamp(max=1)


def join_scores(stretched: Tensor, join: Join) -> Tensor:
    """Join the scores of several texts.

    Args:
        stretched: ``(n_texts, n)`` scores in 0..1, in the order of time.
        join: ``"all"`` and ``"any"`` take the best text of each frame; ``"at_once"`` multiplies;
            ``"then"`` multiplies the score of a text with the best chain of the texts before it up
            to that frame, and with the best chain of those after it from there on, and takes the
            best text of each frame.

    Returns:
        ``(n,)`` scores in 0..1.

    Example:
        >>> dog_then_car = torch.tensor([[0.0, 1.0, 0.0, 0.9], [0.9, 0.0, 1.0, 0.0]])
        >>> join_scores(dog_then_car, "then")
        tensor([0., 1., 1., 0.])
    """
    if join == "at_once":
        return stretched.prod(dim=0)
    if join == "then":
        stretched = stretched * _chains(stretched) * _chains(stretched.flip(0, 1)).flip(0, 1)
    return stretched.max(dim=0).values


def _chains(scores: Tensor) -> Tensor:
    """``(n_texts, n)`` best product of the texts before each one, in order, up to each frame."""
    chains = [torch.ones_like(scores[0])]
    for row in scores[:-1]:
        chains.append((row * chains[-1]).cummax(dim=0).values)
    return torch.stack(chains)
