"""Figures and their bootstrap intervals, and the frame reduction rates of sec. 4.1.4."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keyscore_plugin.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

N_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a table.

    Attributes:
        value: The statistic of the sample.
        low: Lower end of its 95 % bootstrap interval; None if it has no interval.
        high: Upper end of the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None


def bootstrap(statistic: Callable[[Ints], float], n: int, *, seed: int) -> Figure:
    """A statistic with its 95 % percentile interval (Efron, 1979), from 1,000 resamples.

    Args:
        statistic: Function of row numbers in 0..n-1, which may repeat.
        n: Number of rows in the sample.
        seed: Seed of the resampling. One seed draws the same rows for every statistic of n rows,
            so that two samplers are resampled alike.

    Raises:
        InputError: The sample has no rows.

    Example:
        >>> hits = np.array([1.0, 0.0, 1.0, 1.0])
        >>> bootstrap(lambda rows: hits[rows].mean(), 4, seed=0).value
        0.75
    """
    if n < 1:
        raise InputError("there is nothing to measure: 0 rows; leave out fewer videos")
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, n, (N_RESAMPLES, n))
    resampled = [statistic(row) for row in rows]
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.percentile(resampled, (tail, 100 - tail))
    return Figure(float(statistic(np.arange(n))), float(low), float(high))


def clustered_mean(values: Sequence[float], clusters: Ints, *, seed: int) -> Figure:
    """A mean with an interval that resamples clusters, each with all its rows.

    Rows of one cluster are not independent: resampling them one by one would give an interval that
    is too narrow.

    Args:
        values: Value of each row.
        clusters: ``(n,)`` cluster of each row; each of 0..m-1 occurs.
        seed: Seed of the resampling, see `bootstrap`.

    Example:
        >>> clustered_mean([1.0, 1.0, 0.0], np.array([0, 0, 1]), seed=0)
        Figure(value=0.6666666666666666, low=0.0, high=1.0)
    """
    sums = np.bincount(clusters, weights=values)
    counts = np.bincount(clusters)
    return bootstrap(
        lambda rows: float(sums[rows].sum() / counts[rows].sum()), len(sums), seed=seed
    )


def mean_figure(values: Sequence[float], *, seed: int) -> Figure:
    """A mean with its interval.

    Args:
        values: Value of each row.
        seed: Seed of the resampling, see `bootstrap`.

    Example:
        >>> mean_figure([1.0, 0.0, 1.0, 1.0], seed=0).value
        0.75
    """
    column = np.asarray(values, dtype=np.float64)
    return bootstrap(lambda rows: float(column[rows].mean()), len(column), seed=seed)


N_UFP = 8  # sec. 4.1.4: "the standard uniform fixed sampling baseline"


def frr(asf: float, n_reference: float) -> float:
    """Frame reduction rate: the share of the reference frames that a selection saves.

    Args:
        asf: Average number of selected frames, N_sel.
        n_reference: Number of reference frames: `N_UFP` for FRR-UFP; N_avg, the average number of
            frames of a video, for FRR-Avg.

    Example:
        >>> frr(2.0, N_UFP)
        0.75
    """
    return 1.0 - asf / n_reference
