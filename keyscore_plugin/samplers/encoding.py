"""Which frames of the grid are worth the encoder's time."""

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin.algorithm.histogram import colour_features
from keyscore_plugin.algorithm.kept import kept_with_tensor
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.batching import BLOCK_FRAMES
from keyscore_plugin.samplers.grid import ThumbnailStore, rebatch
from keyscore_plugin.samplers.query import Query, cosines_with
from keyscore_plugin.types import Candidates, Embeddings, Frames

# Ours: a moment is seen if a frame so near to it is embedded. It is the bound of `select`.
_SEEN_SECONDS = 5.0


def encode_in_blocks(
    batches: Iterable[Frames], encoder: Encoder, *, n_most: int
) -> list[Embeddings]:
    """Embed frames as they come, in blocks that do not depend on the batches.

    Args:
        batches: Frames in time order, in batches of any length.
        encoder: The encoder.
        n_most: The number of frames that come at most.

    Returns:
        The embeddings of each block; an empty list if no frame came.
    """
    done: list[Embeddings] = []
    n_done = 0
    for block in rebatch(batches, BLOCK_FRAMES):
        with progress.part_of(n_done, n_most):
            done.append(encoder.encode_frames(block))
        n_done += len(block)
    return done


def encode_rows(grid: ThumbnailStore, rows: Tensor, encoder: Encoder) -> Embeddings:
    """Embed ``(n,)`` rising rows of a grid, but for those whose vectors the index holds."""
    kept = grid.kept
    if kept is None:
        return _encode_rows(grid, rows, encoder)
    missing = kept.look.without_vector(rows)
    if len(missing):
        kept.add_vectors(missing, _encode_rows(grid, missing, encoder).vectors)
    return kept.embeddings(rows, encoder)


def _encode_rows(grid: ThumbnailStore, rows: Tensor, encoder: Encoder) -> Embeddings:
    blocks = (grid[some] for some in torch.split(rows, BLOCK_FRAMES))
    return join_embeddings(encode_in_blocks(blocks, encoder, n_most=len(rows)))


def join_embeddings(parts: list[Embeddings]) -> Embeddings:
    """Join embeddings of one video by one encoder, in time order; at least one part."""
    pts_seconds = torch.cat([part.pts_seconds for part in parts])
    order = pts_seconds.argsort(stable=True)
    vectors = torch.cat([part.vectors for part in parts])
    return Embeddings(
        vectors[order.to(vectors.device)],
        torch.cat([part.indices for part in parts])[order],
        pts_seconds[order],
        parts[0].model,
    )


def encode_candidates_first(
    grid: ThumbnailStore,
    histograms: Tensor,
    candidates: Candidates,
    query: Query,
    encoder: Encoder,
    *,
    n_encoded: int,
    needed: Tensor | None = None,
) -> tuple[Tensor, Embeddings]:
    """Embed STACFP's candidates, then the frames that `rows_worth_encoding` puts first.

    Args:
        grid: ``n_grid`` thumbnails.
        histograms: ``(n_grid, n_bins)`` histograms of them.
        candidates: The representatives, and the cluster of every frame of the grid.
        query: The texts that score.
        encoder: The encoder.
        n_encoded: Frames to embed; all of the grid if it has no more.
        needed: ``(m,)`` rows of the grid that are embedded in any case; None for no others.

    Returns:
        ``(n,)`` rising rows of the grid that were embedded, and their embeddings.
    """
    if n_encoded >= len(grid):
        everything = torch.arange(len(grid))
        return everything, encode_rows(grid, everything, encoder)
    first = encode_rows(grid, candidates.rows, encoder)
    cosines = cosines_with(first, query)[0]
    rows = rows_worth_encoding(
        candidates,
        cosines,
        histograms,
        grid.pts_seconds,
        n_more=n_encoded - len(candidates),
        needed=needed,
        first=query.heard(grid.pts_seconds),
    )
    if not len(rows):
        return candidates.rows, first
    more = encode_rows(grid, rows, encoder)
    return torch.cat([candidates.rows, rows]).sort().values, join_embeddings([first, more])


def rows_worth_encoding(
    candidates: Candidates,
    cosines: Tensor,
    histograms: Tensor,
    pts_seconds: Tensor,
    *,
    n_more: int,
    needed: Tensor | None = None,
    first: Tensor | None = None,
) -> Tensor:
    """Choose further frames: those of moments not seen yet, then those of clusters that score.

    Ours; the paper scores the candidates alone. A cluster's share is a quarter to all of the best
    one's, by the score of its candidate. No cluster is left out: its candidate may be its dullest
    frame. As long as a moment has no frame within 5 s among them, the frame of such a moment comes
    first that looks least like all that came before. So one frame of everything that looks
    different is embedded before pictures that come again. Then a cluster gets frames by its share
    and its size, evenly in time.

    Args:
        candidates: The representatives, and the cluster of every frame of the grid.
        cosines: ``(n_candidates,)`` cosine of each representative with the text.
        histograms: ``(n_grid, n_bins)`` histograms of the frames of the grid.
        pts_seconds: ``(n_grid,)`` their times in seconds.
        n_more: Number of frames wanted.
        needed: ``(m,)`` rows of the grid that are taken in any case; None for no others.
        first: ``(n_grid,)`` bool mask of frames that come before all others; None for none.

    Returns:
        ``(min(n_more, frames left),)`` rising rows of the grid, without the candidates; more if
        more are needed.
    """
    floor = 0.25  # ours: a cluster that does not score still gets a quarter of the best one's share
    span = (cosines.max() - cosines.min()).clamp_min(1e-6)
    share = torch.empty_like(cosines)
    share[candidates.cluster] = floor + (1 - floor) * (cosines - cosines.min()) / span
    # Frame j in the even order of a cluster of n frames and share s comes at j / (n s): taking the
    # smallest of these over all clusters gives each the part n s of any number of frames.
    labels = candidates.labels.cpu()
    left = torch.ones(len(labels), dtype=torch.bool)
    left[candidates.rows.cpu()] = False
    turn = torch.full((len(labels),), torch.inf)
    for cluster in range(len(candidates)):
        members = (left & (labels == cluster)).nonzero().squeeze(1)
        turn[members] = (_even_order(len(members)) + 1) / (len(members) * share[cluster])
    place = turn.argsort(stable=True).argsort()
    unseen = _unseen_first(histograms, tuple(candidates.rows.tolist()), tuple(pts_seconds.tolist()))
    place[unseen] = torch.arange(len(unseen)) - len(labels)
    if first is not None:
        place[first & left] -= 2 * len(labels)
    if needed is not None:
        others = needed[left[needed]]
        place[others] -= 4 * len(labels)
        n_more = max(n_more, len(others))
    n_more = max(0, min(n_more, len(labels) - len(candidates)))
    return place.argsort(stable=True)[:n_more].sort().values


@kept_with_tensor(8)
def _unseen_first(
    histograms: Tensor, before: tuple[int, ...], pts_seconds: tuple[float, ...]
) -> Tensor:
    """Farthest-first order (Gonzalez 1985) of frames whose moments others do not show.

    It is kept: all questions about a video of the index need the same one.

    Args:
        histograms: ``(n, n_bins)`` histograms of all frames.
        before: Rows of the candidates, which are embedded before.
        pts_seconds: n times of all frames, in seconds.

    Returns:
        ``(m,)`` rows. Each is more than `_SEEN_SECONDS` away from the candidates and from the rows
        before it, and of all such frames it looks least like these.
    """
    looks, first = colour_features(histograms.cpu()), torch.tensor(before)
    times = torch.tensor(pts_seconds, dtype=torch.float64)
    unlike = torch.cdist(looks, looks[first], compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    away = (times[:, None] - times[first]).abs().amin(1)
    rows: list[int] = []
    while bool((away > _SEEN_SECONDS).any()):
        row = int(unlike.masked_fill(away <= _SEEN_SECONDS, -1).argmax())
        rows.append(row)
        unlike = torch.minimum(unlike, (looks - looks[row]).norm(dim=1))
        away = torch.minimum(away, (times - times[row]).abs())
    return torch.tensor(rows, dtype=torch.int64)


@lru_cache(maxsize=4096)
def _even_order(n: int) -> Tensor:
    """The turn of each of ``n`` places in an order of which every beginning is spread evenly.

    Van der Corput's sequence in base 2 (Niederreiter 1992, ch. 3). It is kept: all questions about
    a video need the same ones.

    Example:
        >>> _even_order(7)
        tensor([0, 4, 2, 6, 1, 5, 3])
    """
    position = torch.zeros(n, dtype=torch.float64)
    rest, weight = torch.arange(n), 0.5
    while bool((rest > 0).any()):
        position += weight * (rest % 2)
        rest, weight = rest // 2, weight / 2
    return position.argsort()
