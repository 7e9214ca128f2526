"""The mean silhouette of many labelings of the same points, from one pass over distances."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Ours: largest part of the (n, n) distances in memory. On a CPU larger blocks gain little.
BLOCK_BYTES_CPU = 4 * 2**20
BLOCK_BYTES = 256 * 2**20  # few launches: an hour of video is two blocks


def mean_silhouettes(
    points: Tensor, labelings: Sequence[Tensor], *, block_bytes: int | None = None
) -> Tensor:
    """Mean silhouette (Rousseeuw 1987) of each labeling, as scikit-learn defines it.

    A point alone in its cluster counts 0, and so does every point if there is only one cluster.
    The distance of two points is computed once for all labelings and both points, in blocks of
    rows; sums over the clusters are matrix products. The cost is n^2 * (d / 2 + total clusters)
    operations and n * total clusters of memory.

    Args:
        points: ``(n, d)`` points.
        labelings: Labelings, each ``(n,)`` int64 from 0.
        block_bytes: Most bytes of a block of the distance matrix; None suits the device.

    Returns:
        ``(n_labelings,)`` float64 means.
    """
    if block_bytes is None:
        block_bytes = BLOCK_BYTES_CPU if points.device.type == "cpu" else BLOCK_BYTES
    n = len(points)
    sizes = torch.stack([labels.max() for labels in labelings]).add(1).tolist()
    starts = torch.tensor([0, *sizes[:-1]], device=points.device).cumsum(0)
    columns = torch.stack(list(labelings), dim=1) + starts  # (n, n_labelings)
    kind = _kinds(columns, n_clusters=sum(sizes))
    members = torch.zeros(n, int(kind.max()) + 1, device=points.device)
    members.scatter_(1, kind[columns], 1.0)
    counts = members.sum(0)[kind]

    # float64 and centred: near-equal points keep their true distance, and parity holds to 1e-5.
    wide = points.double() - points.double().mean(0)
    norms = wide.square().sum(1)
    total = torch.zeros(len(sizes), dtype=torch.float64, device=points.device)
    sums = torch.zeros_like(members)  # distances of each point to the points of each kind
    n_rows = max(1, block_bytes // (8 * n))
    for start in range(0, n, n_rows):
        block, later = slice(start, start + n_rows), slice(start + n_rows, n)
        squared = (-2 * wide[block]) @ wide[start:].T
        squared.add_(norms[start:]).add_(norms[block, None]).clamp_(min=0)
        distances = squared.to(torch.float32).sqrt_()
        sums[block].addmm_(distances, members[start:])
        sums[later].addmm_(distances[:, n_rows:].T, members[block])
        silhouettes = _silhouettes(sums[block][:, kind], counts, columns[block], sizes)
        total += silhouettes.sum(0, dtype=torch.float64)
    return total / n


def _kinds(columns: Tensor, *, n_clusters: int) -> Tensor:
    """Number the distinct clusters: labelings of neighbouring k share about half of theirs.

    Args:
        columns: ``(n, n_labelings)`` int64 cluster of each point, numbered over all labelings.
        n_clusters: Number of clusters of all labelings.

    Returns:
        ``(n_clusters,)`` int64 numbers; clusters of the same points have the same number.
    """
    # The key of a cluster is the sum of random 63-bit numbers of its points, exact in any order.
    generator = torch.Generator().manual_seed(0)
    names = torch.randint(2**63 - 1, (len(columns),), generator=generator).to(columns.device)
    keys = torch.zeros(n_clusters, dtype=torch.int64, device=columns.device)
    keys.index_add_(0, columns.T.reshape(-1), names.repeat(columns.shape[1]))
    kind: Tensor = torch.unique(keys, return_inverse=True)[1]
    return kind


def _silhouettes(sums: Tensor, counts: Tensor, own: Tensor, sizes: list[int]) -> Tensor:
    """``(rows, n_labelings)`` silhouettes from summed distances.

    Args:
        sums: ``(rows, total clusters)`` summed distance of each row to each cluster's points.
        counts: ``(total clusters,)`` points of each cluster.
        own: ``(rows, n_labelings)`` column of each row's own cluster.
        sizes: Number of clusters of each labeling.
    """
    own_count = counts[own]
    within = sums.gather(1, own) / (own_count - 1).clamp(min=1)
    # The own cluster and empty ones cannot be the nearest other one.
    means = (sums / counts).masked_fill_(counts == 0, torch.inf).scatter_(1, own, torch.inf)
    between = torch.stack([part.amin(1) for part in torch.split(means, sizes, dim=1)], dim=1)
    defined = (own_count > 1) & between.isfinite() & (between.maximum(within) > 0)
    silhouettes = (between - within) / between.maximum(within)
    return silhouettes.where(defined, torch.zeros_like(silhouettes))
