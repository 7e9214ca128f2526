"""MaxInfo: the frames whose embeddings span the largest volume; reads no text (2025)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.baselines.settings import PublishedSampler, require_range
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import GridInfo

_SWAP_GAIN = 1.05  # a swap must enlarge the volume by this much: the usual choice for maxvol
_MAX_SWAPS = 100
_TOLERANCE = 1 + 1e-6  # where rect-maxvol stops: its usual 1, and what rounding adds
_LEAST_SINGULAR = 1e-6  # of the largest: smaller ones are float32 noise of the embeddings


@dataclass(frozen=True, slots=True)
class MaxInfoSettings:
    """Settings of `maxinfo`.

    Attributes:
        rank: Number s of singular vectors that are kept. Ours: the paper sweeps it.
    """

    rank: int = 8

    def __post_init__(self) -> None:
        require_range(self, "rank", low=1)


@dataclass(frozen=True, slots=True, eq=False)
class LargeVolume:
    """The result of `maxinfo`.

    Attributes:
        rows: ``(min(k, n),)`` rising rows that were chosen.
        n_added: Number of these found after the search of the paper would have stopped.
    """

    rows: Tensor
    n_added: int


def maxinfo(vectors: Tensor, *, num_frames: int, settings: MaxInfoSettings) -> LargeVolume:
    """MaxInfo (Li et al., arXiv 2502.03183), in its basic version over the whole video.

    The first s left singular vectors of the embeddings, U[:, :s], stand for the frames; rows of
    large rectangular volume sqrt(det(A^T A)) are searched by rect-maxvol (Mikhalev and Oseledets,
    Linear Algebra and its Applications 538, 2018): s rows by maxvol, then one after the other.
    The paper stops at a tolerance, |x_i A^+| <= tau for all other rows i (1 in rect-maxvol), and
    thins what it found to the model's limit; here it goes on to exactly the budget, and s is at
    most that.

    Args:
        vectors: ``(n, d)`` frame embeddings.
        num_frames: The budget k.
        settings: The rank.
    """
    k = min(num_frames, len(vectors))
    left, singular, _ = torch.linalg.svd(vectors.double(), full_matrices=False)
    rank = int((singular > _LEAST_SINGULAR * singular[0]).sum())
    basis = left[:, : min(rank, settings.rank, k)]
    rows, lengths = _grown(basis, _maxvol(basis), k)
    return LargeVolume(rows.sort().values, sum(length <= _TOLERANCE for length in lengths))


def _maxvol(basis: Tensor) -> Tensor:
    """``(s,)`` rows of ``(n, s)`` whose square submatrix has a nearly largest determinant.

    Swaps a row in while an entry of basis @ inv(submatrix), the factor by which the swap changes
    the determinant, exceeds `_SWAP_GAIN`.
    """
    rows = _independent_rows(basis)
    for _ in range(_MAX_SWAPS):
        gain = torch.linalg.solve(basis[rows], basis, left=False).abs()
        row, place = divmod(int(gain.argmax()), len(rows))
        if float(gain[row, place]) <= _SWAP_GAIN:
            break
        rows[place] = row
    return rows


def _independent_rows(basis: Tensor) -> Tensor:
    """A start for maxvol: each row is the farthest from the span of those before it."""
    rest = basis.clone()
    rows = []
    for _ in range(basis.shape[1]):
        row = int(rest.square().sum(1).argmax())
        rows.append(row)
        direction = rest[row] / rest[row].norm()
        rest = rest - (rest @ direction)[:, None] * direction
    return torch.tensor(rows)


def _grown(basis: Tensor, rows: Tensor, k: int) -> tuple[Tensor, list[float]]:
    """Add the row that enlarges the rectangular volume most until there are k.

    Adding row i multiplies the squared volume by 1 + x_i inv(A^T A) x_i^T = 1 + |x_i A^+|^2.

    Returns:
        ``(k,)`` rows, and |x_i A^+| of each row that was added.
    """
    lengths = []
    for _ in range(k - len(rows)):
        gram = basis[rows].T @ basis[rows]
        gain = (basis * torch.linalg.solve(gram, basis.T).T).sum(1)
        gain[rows] = -torch.inf
        rows = torch.cat([rows, gain.argmax()[None]])
        lengths.append(max(0.0, float(gain.max())) ** 0.5)
    return rows, lengths


class MaxInfoSampler(PublishedSampler[MaxInfoSettings]):
    """MaxInfo on the embeddings of any encoder; the paper's is CLIP.

    A note counts the frames past the tolerance at which its search would have stopped.
    """

    name = "maxinfo"
    defaults = MaxInfoSettings()

    def _choose(self, run: Run) -> Choice:
        grid, frames = run.look_and_encode(self.config)
        with stage("select"):
            vectors = frames.vectors.cpu()
            volume = maxinfo(vectors, num_frames=run.request.at_least, settings=self.settings)
        rows = volume.rows
        note = (
            f"{volume.n_added} of {len(rows)} frames were added past the tolerance at which "
            "MaxInfo stops: they add little to the volume"
        )
        return Choice(
            indices=grid.indices[rows],
            pts_seconds=grid.pts_seconds[rows],
            looked_at=GridInfo(self.config.grid.kind, len(grid)),
            encoder=run.encoder.name,
            notes=(note,) if volume.n_added else (),
        )
