"""MDP3: relevance and diversity by determinants, the budget shared over time (ICCV 2025)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import PublishedSampler, require_range
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler

_BANDWIDTHS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)  # a of the released sum of Gaussian kernels
# Ours: what a frame adds to the determinant is at least this, so that copies of a chosen frame can
# still be ranked and chosen when nothing else is left.
_LEAST_VOLUME = 1e-9


@dataclass(frozen=True, slots=True)
class Mdp3Settings:
    """Settings of `mdp3`; the defaults are those of the released code.

    Attributes:
        trade_off: Trade-off lambda; a small one weighs relevance above diversity.
        segment_frames: Number m of frames per segment for budgets up to ``small_budget``.
        large_segment_frames: Number m of frames per segment for larger budgets.
        small_budget: Largest budget that takes the smaller segments.
    """

    trade_off: float = 0.2
    segment_frames: int = 32
    large_segment_frames: int = 128
    small_budget: int = 32

    def __post_init__(self) -> None:
        require_range(self, "trade_off", low=1e-6)
        require_range(self, "segment_frames", low=1)
        require_range(self, "large_segment_frames", low=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Greedy:
    """The result of greedy selection in one segment, for every frame it may be conditioned on.

    Attributes:
        rows: ``(n_conditions, m)`` rows of the grid in the order in which they were added.
        worth: ``(n_conditions, m)`` worth of the first j + 1 of them.
        n_flat: ``(n_conditions, m)`` number of these that add no volume.
    """

    rows: Tensor
    worth: Tensor
    n_flat: Tensor


@dataclass(frozen=True, slots=True)
class _List:
    """A list of frames and its worth.

    Attributes:
        worth: Value of the objective.
        rows: Rows of the grid, in time order.
        n_flat: Number of rows that add no volume, so that the objective alone rules them out.
    """

    worth: float = 0.0
    rows: tuple[int, ...] = ()
    n_flat: int = 0

    @property
    def last(self) -> int:
        """The row that the next segment is conditioned on; -1 for none."""
        return self.rows[-1] if self.rows else -1


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """Sum of Gaussian kernels: sum over a of exp(-|x - y|^2 / (2 a)).

    Args:
        x: ``(n, d)`` vectors.
        y: ``(m, d)`` vectors.

    Returns:
        ``(n, m)`` float64.

    Example:
        >>> kernel(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([[5.]], dtype=torch.float64)
    """
    x, y = x.double(), y.double()
    squared = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
    return torch.stack([torch.exp(-squared / (2 * a)) for a in _BANDWIDTHS]).sum(0)


@dataclass(frozen=True, slots=True, eq=False)
class BestList:
    """The result of `mdp3`.

    Attributes:
        rows: ``(min(k, n),)`` rising rows that were chosen.
        n_flat: Number of these that are copies of chosen ones: their determinant is 0.
    """

    rows: Tensor
    n_flat: int


def mdp3(vectors: Tensor, query: Tensor, *, num_frames: int, settings: Mdp3Settings) -> BestList:
    """List-wise selection (Sun et al., ICCV 2025; arXiv 2501.02885), from its released algorithm.

    The worth of frames S in one segment is (2 / lambda) sum log r_i + log det L_S with
    r_i = k(query, f_i) and L_ij = k(f_i, f_j), taken greedily; segments follow each other, each
    conditioned on the last frame chosen before it, and dynamic programming shares the budget.
    A segment's log determinant is the conditional one, log det L_{S + c} - log det L_c. As in the
    released fast path, -log det (L_t + I) is left out: it shifts all choices of a segment alike.

    Args:
        vectors: ``(n, d)`` unit frame embeddings.
        query: ``(d,)`` unit text embedding.
        num_frames: The budget k.
        settings: The trade-off and the segment length.
    """
    n = len(vectors)
    k = min(num_frames, n)
    similarity = kernel(vectors, vectors)
    relevance = 2 / settings.trade_off * kernel(query[None], vectors)[0].log()
    size = settings.segment_frames
    if num_frames > settings.small_budget:
        size = settings.large_segment_frames
    best = {0: _List()}  # by the number of frames used
    for segment in torch.split(torch.arange(n), size):
        conditions = sorted({chosen.last for chosen in best.values()})
        greedy = _greedy(similarity, relevance, segment, torch.tensor(conditions), k)
        best = _extend(best, greedy, conditions, k)
    return BestList(torch.tensor(sorted(best[k].rows)), best[k].n_flat)


def _extend(
    best: dict[int, _List], greedy: _Greedy, conditions: list[int], k: int
) -> dict[int, _List]:
    """One step of the dynamic program: add 0, 1, 2 ... frames to every number of frames used."""
    extended = dict(best)
    rows, worth, n_flat = (x.tolist() for x in (greedy.rows, greedy.worth, greedy.n_flat))
    for used, chosen in best.items():
        at = conditions.index(chosen.last)
        for j in range(1, min(len(rows[at]), k - used) + 1):
            candidate = chosen.worth + worth[at][j - 1]
            if used + j not in extended or candidate > extended[used + j].worth:
                extended[used + j] = _List(
                    candidate,
                    # In time order, so that the last one is the condition of the next segment.
                    chosen.rows + tuple(sorted(rows[at][:j])),
                    chosen.n_flat + n_flat[at][j - 1],
                )
    return extended


def _greedy(
    similarity: Tensor, relevance: Tensor, segment: Tensor, conditions: Tensor, k: int
) -> _Greedy:
    """Greedy maximisation of the worth inside a segment, for all conditions at once.

    Each step updates one row of a Cholesky factor (Chen et al., NeurIPS 2018): ``left`` is what
    each frame would add to the determinant.

    Args:
        similarity: ``(n, n)`` kernel L.
        relevance: ``(n,)`` values (2 / lambda) log r.
        segment: ``(m,)`` rows of the segment.
        conditions: ``(c,)`` rows that were chosen last before the segment; -1 for none.
        k: Budget, which bounds the number of steps.
    """
    n_steps = min(k, len(segment))
    at = torch.arange(len(conditions))
    left = similarity.diagonal()[segment].repeat(len(conditions), 1)
    factors = left.new_zeros(len(conditions), n_steps + 1, len(segment))
    first = similarity[conditions.clamp(min=0)][:, segment]
    first = first / similarity.diagonal()[conditions.clamp(min=0)].sqrt()[:, None]
    factors[:, 0] = first.where((conditions >= 0)[:, None], torch.zeros_like(first))
    left -= factors[:, 0].square()
    chosen = torch.zeros_like(left, dtype=torch.bool)
    order, gains, flat = [], [], []
    for step in range(n_steps):
        volume = left.clamp(min=_LEAST_VOLUME)
        gain = (relevance[segment] + volume.log()).masked_fill(chosen, -torch.inf)
        pick = gain.argmax(1)
        order.append(pick)
        gains.append(gain[at, pick])
        flat.append(left[at, pick] <= _LEAST_VOLUME)
        chosen[at, pick] = True
        projected = (factors[at, :, pick][:, None] @ factors)[:, 0]
        row = similarity[segment[pick]][:, segment] - projected
        factors[:, step + 1] = row / volume[at, pick].sqrt()[:, None]
        left = left - factors[:, step + 1].square()
    return _Greedy(
        segment[torch.stack(order, 1)],
        torch.stack(gains, 1).cumsum(1),
        torch.stack(flat, 1).cumsum(1),
    )


class Mdp3Sampler(PublishedSampler[Mdp3Settings], TextSampler):
    """MDP3 on the embeddings of any encoder; the paper embeds 128 frames with SigLIP so400m.

    The scores of the selection are cosines; the method itself ranks lists, not frames. A note
    counts the copies that its objective rules out.
    """

    name = "mdp3"
    defaults = Mdp3Settings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        best = mdp3(grid.vectors, grid.query, num_frames=request.at_least, settings=self.settings)
        note = (
            f"{best.n_flat} of {len(best.rows)} frames are copies of chosen ones: MDP3's "
            "determinant is 0 for a list with copies"
        )
        return Picked(best.rows, (note,) if best.n_flat else ())
