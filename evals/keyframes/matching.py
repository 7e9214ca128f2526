"""Keyframe F1 by colour: the metric of LMSKE, which TriPSS and Table 5 of the paper use.

Frames are compared by their colours alone; a match need not be near in time.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evals.harness.figures import Floats

SIMILAR = 0.9  # a pair matches above this cosine, not at it
_BINS = 8
_TOP = 255  # the histogram's range is [0, 255): a pixel with a channel of 255 is not counted


@dataclass(frozen=True, slots=True)
class Judgement:
    """The figures of one selection of one video.

    Attributes:
        precision: Share of the chosen frames with a match.
        recall: Share of the true keyframes with a match.
        f1: Harmonic mean of precision and recall; 0 without a match.
        matches: Number of pairs of a chosen and a true frame.
        chosen: Number of chosen frames.
        compression: Share of the frames of the video that were not chosen.
    """

    precision: float
    recall: float
    f1: float
    matches: int
    chosen: int
    compression: float


def judge(chosen: Floats, truth: Floats, *, n_frames: int) -> Judgement:
    """Compare a selection with the true keyframes.

    Args:
        chosen: ``(n_chosen, 512)`` histograms of the chosen frames, one or more.
        truth: ``(n_truth, 512)`` histograms of the true keyframes, one or more.
        n_frames: Number of frames of the video.
    """
    matches = len(match(similarities(truth, chosen)))
    return Judgement(
        precision=matches / len(chosen),
        recall=matches / len(truth),
        f1=2 * matches / (len(chosen) + len(truth)),  # 2 P R / (P + R)
        matches=matches,
        chosen=len(chosen),
        compression=1 - len(chosen) / n_frames,
    )


def histograms(pixels: Tensor) -> Floats:
    """The colour histogram of each frame: 8 x 8 x 8 bins over [0, 255), stretched to [0, 1].

    A bin is 31.875 wide, which for whole numbers below 255 is the same as 32.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 RGB pixels.

    Returns:
        ``(n, 512)`` counts in the order blue, green, red, as OpenCV flattens them. A frame whose
        pixels all have a channel of 255 gives zeros.
    """
    counts = np.empty((len(pixels), _BINS**3))
    for row, frame in enumerate(pixels.flatten(1, 2)):
        counted = frame[(frame < _TOP).all(-1)].long() // 32
        red, green, blue = counted.unbind(-1)
        places = (blue * _BINS + green) * _BINS + red
        counts[row] = torch.bincount(places, minlength=_BINS**3).numpy()
    low, high = counts.min(1, keepdims=True), counts.max(1, keepdims=True)
    stretched: Floats = (counts - low) / np.maximum(high - low, 1)
    return stretched


def similarities(a: Floats, b: Floats) -> Floats:
    """``(n, m)`` cosines of histograms.

    Ours: the cosine of a histogram of zeros is 0, also with itself. The released code gives NaN.

    Args:
        a: ``(n, 512)`` histograms.
        b: ``(m, 512)`` histograms.
    """
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    cosines: Floats = (a @ b.T) / np.where(lengths > 0, lengths, 1)
    return cosines


def match(similarity: Floats) -> list[tuple[int, int]]:
    """Pair rows with columns one to one; each time the most similar pair that is left is taken.

    Args:
        similarity: ``(n, m)`` similarities.

    Returns:
        Pairs above `SIMILAR`, the most similar first; of equal ones the first row, then column.

    Example:
        >>> match(np.array([[0.95, 0.99], [0.2, 0.98]]))
        [(0, 1)]
    """
    left = similarity.copy()
    pairs = []
    for _ in range(min(left.shape)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        if not left[row, column] > SIMILAR:
            break
        pairs.append((row, column))
        left[row, :] = left[:, column] = -np.inf
    return pairs
