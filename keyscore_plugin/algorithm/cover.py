"""How well a set of frames covers the moments of a timeline: two measures that add up.

Each is a facility-location function, sum_i w_i max_{j chosen} cover(x_i, x_j), monotone and
submodular, and so is any sum of them. The nearest chosen frame covers a moment best, on either
side of it, so every quantity is a difference of running sums over sorted positions: O(n log n)
time and O(n) memory, no n x n matrix. Everything runs on the device of the positions.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Cover(Protocol):
    """A measure F of a set of frames; every moment is a frame that could be chosen."""

    def gains(self, chosen: Tensor) -> Tensor:
        """``(n,)`` how much F would grow by each frame.

        Args:
            chosen: ``(n,)`` bool, the set so far.
        """

    def covered(self, chosen: Tensor) -> Tensor:
        """F of a set of frames, a scalar."""


@dataclass(frozen=True, slots=True)
class FadingCover:
    """A frame covers a moment the less the farther it is: cover(x_i, x_j) = exp(-|x_i - x_j|).

    A sum of decaying exponentials over sorted positions can be cut at any point in O(1).

    Attributes:
        positions: ``(n,)`` time in units of the reach, not falling.
        weights: ``(n,)``, what each moment is worth.
        before: ``(n + 1,)``; entry m is sum_{i < m} w_i exp(-(x_{m-1} - x_i)).
        after: ``(n + 1,)``; entry m is sum_{i >= m} w_i exp(-(x_i - x_m)).
    """

    positions: Tensor
    weights: Tensor
    before: Tensor
    after: Tensor

    @classmethod
    def build(cls, positions: Tensor, weights: Tensor) -> "FadingCover":
        """Sum once, in both directions of time; O(n log n)."""
        decay = torch.exp(-positions.diff())
        nothing = positions.new_zeros(1)
        before = torch.cat([nothing, _decayed_sums(weights, decay)])
        backward = _decayed_sums(weights.flip(0), decay.flip(0)).flip(0)
        return cls(positions, weights, before, torch.cat([backward, nothing]))

    def gains(self, chosen: Tensor) -> Tensor:
        """See `Cover.gains`.

        A new frame takes over the moments between the middles of the gaps to its chosen
        neighbours, so its gain is two differences of running sums.
        """
        earlier, later = _chosen_neighbours(self.positions, chosen)
        spent = _running_sum(self._best(earlier, later))
        first = torch.searchsorted(self.positions, (earlier + self.positions) / 2)
        end = torch.searchsorted(self.positions, (self.positions + later) / 2, right=True)
        return self._covered_by_each(first, end) - (spent[end] - spent[first])

    def covered(self, chosen: Tensor) -> Tensor:
        """See `Cover.covered`."""
        return self._best(*_chosen_neighbours(self.positions, chosen)).sum()

    def _best(self, earlier: Tensor, later: Tensor) -> Tensor:
        """``(n,)`` what the nearer of two chosen frames gives each moment."""
        return self.weights * torch.exp(
            -torch.minimum(self.positions - earlier, later - self.positions)
        )

    def _covered_by_each(self, first: Tensor, end: Tensor) -> Tensor:
        """``(n,)`` sum of w_i exp(-|x_i - x_j|) over first[j] <= i < end[j], for every frame j."""
        edge = self.positions.new_full((1,), torch.inf)
        back_to = self.positions - torch.cat([-edge, self.positions])[first]
        on_to = torch.cat([self.positions, edge])[end] - self.positions
        before = self.before[1:] - torch.exp(-back_to) * self.before[first]
        after = self.after[:-1] - torch.exp(-on_to) * self.after[end]
        return before + after - self.weights  # frame j itself is in both sums


@dataclass(frozen=True, slots=True)
class WithinCover:
    """A frame covers all moments up to a distance alike, and none beyond.

    Attributes:
        positions: ``(n,)`` seconds, not falling.
        running: ``(n + 1,)`` sums of the first 0, 1, ... n weights.
        reach: Seconds.
    """

    positions: Tensor
    running: Tensor
    reach: float

    @classmethod
    def build(cls, positions: Tensor, weights: Tensor, *, reach: float) -> "WithinCover":
        """Sum the weights once."""
        return cls(positions, _running_sum(weights), reach)

    def gains(self, chosen: Tensor) -> Tensor:
        """See `Cover.gains`: the moments in reach that no chosen neighbour has in reach."""
        earlier, later = _chosen_neighbours(self.positions, chosen)
        first = torch.maximum(self._first_from(self.positions), self._end_of(earlier))
        end = torch.minimum(self._end_of(self.positions), self._first_from(later))
        return (self.running[end] - self.running[first]).clamp_min(0)

    def covered(self, chosen: Tensor) -> Tensor:
        """See `Cover.covered`."""
        earlier, later = _chosen_neighbours(self.positions, chosen)
        near = (self.positions <= earlier + self.reach) | (self.positions >= later - self.reach)
        return (self.running.diff() * near).sum()

    def _first_from(self, positions: Tensor) -> Tensor:
        """``(n,)`` the first moment that a frame at each position has in reach."""
        return torch.searchsorted(self.positions, positions - self.reach)

    def _end_of(self, positions: Tensor) -> Tensor:
        """``(n,)`` one past the last moment that a frame at each position has in reach."""
        return torch.searchsorted(self.positions, positions + self.reach, right=True)


def _chosen_neighbours(positions: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the nearest chosen frame at or before, and at or after, each frame."""
    earlier = positions.masked_fill(~chosen, -torch.inf).cummax(dim=0).values
    later = -(-positions).masked_fill(~chosen, -torch.inf).flip(0).cummax(dim=0).values.flip(0)
    return earlier, later


def _decayed_sums(values: Tensor, decay: Tensor) -> Tensor:
    """``(n,)`` sums s_i = v_i + decay_{i-1} s_{i-1}, by doubling: log2(n) vectorised steps.

    A plain cumulative sum of v exp(x) would overflow within minutes of video.

    Args:
        values: ``(n,)``.
        decay: ``(n - 1,)`` factors in [0, 1].
    """
    sums = values
    reach = torch.nn.functional.pad(decay, (1, 0))
    step = 1
    while step < len(values):
        sums = torch.cat([sums[:step], sums[step:] + reach[step:] * sums[:-step]])
        reach = torch.cat([reach[:step], reach[step:] * reach[:-step]])
        step *= 2
    return sums


def _running_sum(values: Tensor) -> Tensor:
    """``(n + 1,)`` sums of the first 0, 1, ... n values."""
    return torch.nn.functional.pad(values.cumsum(dim=0), (1, 0))
