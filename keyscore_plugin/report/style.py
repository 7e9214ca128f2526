"""Colours, sizes and time labels of the picture."""

import math
from itertools import pairwise

from keyscore_plugin.report.text import format_time

# Okabe and Ito, "Color universal design" (2008): distinguishable with any colour vision.
SKY, ORANGE, GREEN, YELLOW = "#56B4E9", "#E69F00", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

INK, FAINT_INK, RULE = "#1a1a1a", "#6b6b6b", "#c8c8c8"

CHOSEN = VERMILION
COMPONENTS = {"semantic": BLUE, "temporal": ORANGE, "drop": GREEN}
_PRIORITIES = (GREEN, SKY)
_CLUSTERS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE)

# Points.
TITLE, BODY, SMALL, TINY = 13.0, 8.5, 7.5, 5.5

_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
_MAX_TICKS = 12


def cluster_colour(cluster: int) -> str:
    """Return the colour of a cluster; neighbouring numbers have different colours."""
    return _CLUSTERS[cluster % len(_CLUSTERS)]


def priority_colour(priority: int) -> str:
    """The colour of a clip; all priorities from 2 on share one."""
    return _PRIORITIES[min(priority, len(_PRIORITIES)) - 1]


def time_ticks(start: float, end: float) -> dict[float, str]:
    """Return round times between two times in seconds, with their labels.

    Example:
        >>> list(time_ticks(0.0, 10.0).values())[:3]
        ['0:00', '0:01', '0:02']
        >>> list(time_ticks(0.0, 7200.0).values())[-1]
        '2:00:00'
    """
    step = next((s for s in _TICK_STEPS if (end - start) / s < _MAX_TICKS), 86400)
    first, last = math.ceil((start - 1e-7) / step), math.floor((end + 1e-7) / step)
    decimals = 0 if step >= 1 else 1
    return {n * step: format_time(n * step, decimals=decimals) for n in range(first, last + 1)}


def runs(
    values: list[int], positions: list[float], start: float, end: float
) -> list[tuple[int, float, float]]:
    """Divide a line into intervals of one value, by the values at some positions of it.

    An interval ends half-way to the next position.

    Args:
        values: Value at each position.
        positions: Positions in rising order.
        start: Left end of the line.
        end: Right end of the line.

    Returns:
        Triples (value, left, right), one for each interval.

    Example:
        >>> runs([0, 0, 1], [1.0, 2.0, 4.0], 0.0, 5.0)
        [(0, 0.0, 3.0), (1, 3.0, 5.0)]
    """
    edges = [start, *((a + b) / 2 for a, b in pairwise(positions)), end]
    stretches: list[tuple[int, float, float]] = []
    for value, left, right in zip(values, edges, edges[1:], strict=False):
        if stretches and stretches[-1][0] == value:
            stretches[-1] = (value, stretches[-1][1], right)
        else:
            stretches.append((value, left, right))
    return stretches
