"""Peaks of a signal, by height, distance and prominence."""

import math

import torch
from torch import Tensor


def local_maxima(signal: Tensor) -> list[int]:
    """Places where a signal stops rising and falls; the middle of a plateau, never an end.

    Example:
        >>> local_maxima(torch.tensor([0.0, 2.0, 0.0, 1.0, 1.0, 1.0, 0.0]))
        [1, 4]
    """
    values = signal.tolist()
    found = []
    start = None  # of the plateau that was climbed last
    for place in range(1, len(values)):
        if values[place] > values[place - 1]:
            start = place
        elif values[place] < values[place - 1] and start is not None:
            found.append((start + place - 1) // 2)
            start = None
    return found


def find_peaks(signal: Tensor, *, height: float, distance: float, prominence: float) -> list[int]:
    """Peaks that are high, far apart and prominent enough, as `scipy.signal.find_peaks` has them.

    Written out because the project does not depend on SciPy.

    Args:
        signal: ``(n,)``.
        height: Least height of a peak.
        distance: Least distance of two peaks in samples; the higher one stays, of equal ones the
            later.
        prominence: Least height above the higher of the two valleys before higher ground.

    Returns:
        Places, rising.
    """
    high = [place for place in local_maxima(signal) if float(signal[place]) >= height]
    apart = _far_apart(signal, high, math.ceil(distance))
    return [place for place in apart if _prominence(signal, place) >= prominence]


def _far_apart(signal: Tensor, places: list[int], distance: int) -> list[int]:
    kept: list[int] = []
    for place in sorted(places, key=lambda place: (float(signal[place]), place), reverse=True):
        if all(abs(place - other) >= distance for other in kept):
            kept.append(place)
    return sorted(kept)


def _prominence(signal: Tensor, place: int) -> float:
    higher = (signal > signal[place]).nonzero().squeeze(1)
    left = int(higher[higher < place].max()) + 1 if bool((higher < place).any()) else 0
    right = int(higher[higher > place].min()) if bool((higher > place).any()) else len(signal)
    valley = torch.maximum(signal[left : place + 1].min(), signal[place:right].min())
    return float(signal[place] - valley)
