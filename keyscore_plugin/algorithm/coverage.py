"""The k frames that cover a timeline best: a submodular choice in O(k n log n).

A cover measures how well a set of frames covers the moments of a timeline. It is a
facility-location function, sum_i w_i max_{j chosen} exp(-|x_i - x_j|), monotone and submodular.
The nearest chosen frame covers a moment best, on either side of it, so every quantity is a
difference of running sums over sorted positions: O(n log n) time and O(n) memory, no n x n matrix.

A greedy choice therefore reaches at least 1 - 1/e of the best value (Nemhauser, Wolsey and Fisher,
1978). Moving single frames afterwards only raises it. An even spread is improved in the same way
and taken if it covers more: so the value is never below that of uniform sampling, and a video
without a best moment is sampled uniformly. A `Bound` comes before the value: the greedy choice then
gives up its last frames for those that the bound needs, and no move may break it.

Everything runs on the device of the cover, in float64, and no loop waits for the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.algorithm.gaps import Bound

# Gains closer than this are equal: the cover adds up to about 1 and their float64 sums err by
# less, so the order of summation on a device never decides.
_TIE = 1e-12
# Ours: the value is then within .4 % of the optimum (dynamic programming) on 172 random frames.
_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class FadingCover:
    """A cover that fades with the distance of frame and moment: exp(-|x_i - x_j|).

    A sum of decaying exponentials over sorted positions can be cut at any point in O(1).

    Attributes:
        positions: ``(n,)`` times in units of the reach, not falling.
        weights: ``(n,)`` worth of each moment.
        before: ``(n + 1,)`` sums; entry m is sum_{i < m} w_i exp(-(x_{m-1} - x_i)).
        after: ``(n + 1,)`` sums; entry m is sum_{i >= m} w_i exp(-(x_i - x_m)).
        fenced: ``(n + 2,)`` positions between one infinitely early and one infinitely late.
    """

    positions: Tensor
    weights: Tensor
    before: Tensor
    after: Tensor
    fenced: Tensor

    @classmethod
    def build(cls, positions: Tensor, weights: Tensor) -> "FadingCover":
        """Sum once, in both directions of time; O(n log n)."""
        decay = torch.exp(-positions.diff())
        nothing = positions.new_zeros(1)
        before = torch.cat([nothing, _decayed_sums(weights, decay)])
        backward = _decayed_sums(weights.flip(0), decay.flip(0)).flip(0)
        edge = positions.new_full((1,), torch.inf)
        fenced = torch.cat([-edge, positions, edge])
        return cls(positions, weights, before, torch.cat([backward, nothing]), fenced)

    def gains(self, chosen: Tensor) -> Tensor:
        """``(n,)`` growth of F by each frame.

        A new frame takes over the moments between the middles of the gaps to its chosen
        neighbours, so its gain is two differences of running sums.
        """
        earlier, later = _chosen_neighbours(self.positions, chosen)
        spent = _running_sum(self._best(earlier, later))
        first = torch.searchsorted(self.positions, (earlier + self.positions) / 2)
        end = torch.searchsorted(self.positions, (self.positions + later) / 2, right=True)
        return self._covered_by_each(first, end) - (spent[end] - spent[first])

    def covered(self, chosen: Tensor) -> Tensor:
        """F of a set of frames, a scalar."""
        return self._best(*_chosen_neighbours(self.positions, chosen)).sum()

    def _best(self, earlier: Tensor, later: Tensor) -> Tensor:
        """``(n,)`` cover of each moment by the nearer of its two chosen neighbours."""
        return self.weights * torch.exp(
            -torch.minimum(self.positions - earlier, later - self.positions)
        )

    def _covered_by_each(self, first: Tensor, end: Tensor) -> Tensor:
        """``(n,)`` sum of w_i exp(-|x_i - x_j|) over first[j] <= i < end[j], for every frame j."""
        back_to = self.positions - self.fenced[first]  # the last frame before the stretch
        on_to = self.fenced[end + 1] - self.positions  # the first one after it
        before = self.before[1:] - torch.exp(-back_to) * self.before[first]
        after = self.after[:-1] - torch.exp(-on_to) * self.after[end]
        return before + after - self.weights  # frame j itself is in both sums


def _chosen_neighbours(positions: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the nearest chosen frame at or before, and at or after, each frame."""
    earlier = positions.masked_fill(~chosen, -torch.inf).cummax(dim=0).values
    later = -(-positions).masked_fill(~chosen, -torch.inf).flip(0).cummax(dim=0).values.flip(0)
    return earlier, later


def _decayed_sums(values: Tensor, decay: Tensor) -> Tensor:
    """``(n,)`` sums s_i = v_i + decay_{i-1} s_{i-1}, by doubling: log2(n) vectorised steps.

    A plain cumulative sum of v exp(x) would overflow within minutes of video.

    Args:
        values: ``(n,)`` values v.
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


def most_coverage(
    cover: FadingCover, eligible: Tensor, *, num_frames: int, bound: Bound | None = None
) -> Tensor:
    """Choose the frames that cover the timeline best; ties go to the earlier frame.

    Args:
        cover: Cover that is maximised.
        eligible: ``(n,)`` bool mask of the frames that may be chosen, at least ``num_frames``.
        num_frames: Number of frames to choose.
        bound: A bound on the time from a moment to a chosen frame, which ``num_frames`` of all
            frames can keep; None for no bound.

    Returns:
        ``(num_frames,)`` int64 rows, unique and rising.
    """
    greedy = _choose_greedily(cover, eligible, num_frames=num_frames)
    even = _spread_evenly(eligible, num_frames=num_frames)
    if bound is not None:
        greedy = torch.tensor(bound.kept(greedy.tolist(), num_frames)).to(greedy.device)
    greedy = _move_each(cover, greedy.sort().values, eligible, bound)
    if bound is not None and bound.missing(even.tolist()) != []:
        return greedy
    even = _move_each(cover, even, eligible, bound)
    by_greedy, by_even = (_covered(cover, rows, len(eligible)) for rows in (greedy, even))
    return torch.where(by_even > by_greedy + _TIE, even, greedy)


def rank_by_coverage(cover: FadingCover, rows: Tensor) -> Tensor:
    """Rank frames by what each one covers in addition to those before it; ties go to the earlier.

    Args:
        cover: Cover that ranks.
        rows: ``(k,)`` rows, rising.

    Returns:
        ``(k,)`` int64 place of each row; 0 is the first.
    """
    chosen = torch.zeros_like(cover.weights, dtype=torch.bool).index_fill(0, rows, True)
    return _choose_greedily(cover, chosen, num_frames=len(rows)).argsort()


def _gains(cover: FadingCover, chosen: Tensor, eligible: Tensor) -> Tensor:
    """``(n,)`` growth of the value by each frame; -inf for one that cannot be added."""
    return cover.gains(chosen).masked_fill(chosen | ~eligible, -torch.inf)


def _covered(cover: FadingCover, rows: Tensor, n: int) -> Tensor:
    """The value of a set of frames, a scalar."""
    chosen = torch.zeros(n, dtype=torch.bool, device=rows.device).index_fill(0, rows, True)
    return cover.covered(chosen)


def _spread_evenly(eligible: Tensor, *, num_frames: int) -> Tensor:
    """``(k,)`` rising rows: the middle of each of k even parts of the eligible frames."""
    rows = eligible.nonzero().flatten()
    parts = torch.arange(num_frames, device=rows.device)
    return rows[(2 * parts + 1) * len(rows) // (2 * num_frames)]


def _choose_greedily(cover: FadingCover, eligible: Tensor, *, num_frames: int) -> Tensor:
    """``(k,)`` rows: each step takes the frame with the largest gain."""
    chosen = torch.zeros_like(eligible)
    rows = []
    for _ in range(num_frames):
        gains = _gains(cover, chosen, eligible)
        rows.append((gains >= gains.max() - _TIE).int().argmax(dim=0, keepdim=True))
        chosen = chosen.index_fill(0, rows[-1], True)
    return torch.cat(rows)


def _move_each(cover: FadingCover, rows: Tensor, eligible: Tensor, bound: Bound | None) -> Tensor:
    """Move chosen frames to the best place between their neighbours, every other one at a time.

    Greedy choice never moves its first frame, which is the best single frame and not the best of
    many. A half-sweep finds the exact best places given the frames that stay, so the value does not
    fall.

    Args:
        cover: Cover that is maximised.
        rows: ``(k,)`` rising rows.
        eligible: ``(n,)`` bool mask of the frames that may be chosen.
        bound: A bound that the rows keep and that no move may break.
    """
    n_still = 0
    for half_sweep in range(2 * _SWEEPS):
        before = rows
        rows = _move_every_other(cover, rows, eligible, bound, first=half_sweep % 2)
        # Once neither half moves, nothing moves again. On a device other than the CPU the host
        # would have to wait to learn that.
        if rows.device.type == "cpu":
            n_still = n_still + 1 if torch.equal(rows, before) else 0
            if n_still == 2:
                break
    return rows


def _move_every_other(
    cover: FadingCover,
    rows: Tensor,
    eligible: Tensor,
    bound: Bound | None,
    *,
    first: int,
) -> Tensor:
    """Move the rows at positions first, first + 2, ... while the others stay."""
    n_moving = len(rows[first::2])
    if n_moving == 0:
        return rows
    stay = torch.zeros_like(eligible).index_fill(0, rows[1 - first :: 2], True)
    if bound is not None:
        eligible = eligible & bound.allows(*_chosen_neighbours(bound.times, stay))
    gains = _gains(cover, stay, eligible)
    # Frames between the same two that stay share a gap; each gap holds one row that moves, from
    # gap 0 on if the first row moves, else from gap 1 on.
    gap = stay.cumsum(dim=0)
    best = gains.new_full((len(rows) + 1,), -torch.inf).scatter_reduce(0, gap, gains, "amax")
    positions = torch.arange(len(gains), device=gains.device)
    ties = positions.masked_fill(gains < best[gap] - _TIE, len(gains))
    earliest = torch.full_like(best, len(gains), dtype=torch.int64)
    moved = rows.clone()
    moved[first::2] = earliest.scatter_reduce(0, gap, ties, "amin")[first : first + n_moving]
    return moved
