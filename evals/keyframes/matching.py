"""Keyframe F1 by colour: the metric of LMSKE, which TriPSS and the paper's Table 5 take over.

Frames are compared by their colours alone: no match asks whether two frames are near in time.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from evals.harness.figures import Floats

SIMILAR = 0.9  # a pair matches above this cosine, not at it
_BINS = 8
_TOP = 255  # the histogram's range is [0, 255): a pixel with a channel of 255 is not counted


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one selection of one video is worth.

    Attributes:
        precision: Matches of the chosen frames.
        recall: Matches of the true ones.
        f1: Their harmonic mean; 0 without a match.
        matches: Pairs of a chosen and a true frame.
        chosen: Frames chosen.
        compression: Share of the video that was left out.
    """

    precision: float
    recall: float
    f1: float
    matches: int
    chosen: int
    compression: float

    def to_dict(self) -> dict[str, float | int]:
        """The fields as plain JSON values."""
        return asdict(self)


def judge(chosen: Floats, truth: Floats, *, n_frames: int) -> Judgement:
    """Compare a selection with the true keyframes.

    Args:
        chosen: ``(n_chosen, 512)`` histograms, one or more.
        truth: ``(n_truth, 512)`` histograms, one or more.
        n_frames: Of the video.
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
    """Colour histogram of each frame: 8 x 8 x 8 bins over [0, 255), stretched to [0, 1].

    A bin is 31.875 wide; for whole numbers below 255 that is the same as 32.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 RGB.

    Returns:
        ``(n, 512)``, in the order blue, green, red, as OpenCV flattens it. A frame without a
        pixel to count (all white) gives zeros.
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

    Ours: a histogram of zeros, whose cosine does not exist (NaN in the released code), is like
    nothing, not even itself.

    Args:
        a: ``(n, 512)``.
        b: ``(m, 512)``.
    """
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    cosines: Floats = (a @ b.T) / np.where(lengths > 0, lengths, 1)
    return cosines


def match(similarity: Floats) -> list[tuple[int, int]]:
    """Pair rows with columns one to one: again and again the largest of all that are left.

    Args:
        similarity: ``(n, m)``.

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
