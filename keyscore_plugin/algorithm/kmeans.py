"""K-means for many k at once, as batched matrix products on any device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# All ours; evals/speed compares time and silhouette with scikit-learn's.
_TRIALS = 4  # places tried for each new seed; the one that lowers the potential most is taken
_HEAT_ITERATIONS = 2  # of each restart, after which the one with the least inertia goes on
_HEAT_POINTS = 768  # least number of points of the heats, which run on every n-th point
# On films of 600 to 7,200 frames the slowest of all k settles after 28.
_MAX_ITERATIONS = 40
_TOLERANCE = 1e-2  # share of a coordinate's variance: a squared move below it counts as none
_CHECK_EVERY = 4  # iterations between two checks of which runs still move


@dataclass(frozen=True, slots=True)
class _Batching:
    """The size of the batches.

    Attributes:
        neighbours: Number of neighbouring k that share one batch, padded to the largest of them.
        elements: Most elements of the (runs, k, n) distances of a batch.
    """

    neighbours: int
    elements: int

    def last_neighbour(self, k: int) -> int:
        """The last of the k that share a batch with this one: 8 with 1 to 8."""
        return -(-k // self.neighbours) * self.neighbours


# A CPU needs little padding and batches that stay in its cache; a GPU, few and large launches.
_BATCHING_CPU = _Batching(neighbours=8, elements=1 << 20)
_BATCHING = _Batching(neighbours=32, elements=1 << 25)


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """One k-means solution.

    Attributes:
        labels: ``(n,)`` int64 nearest centroid of each point; the first of equally near ones.
        centroids: ``(k, d)`` centroids; one without points stays where it was.
        inertia: ``()`` float64 sum of squared distances to the nearest centroid.
    """

    labels: Tensor
    centroids: Tensor
    inertia: Tensor


def kmeans(points: Tensor, *, ks: Sequence[int], n_init: int, seed: int) -> dict[int, Clustering]:
    """Lloyd's algorithm for every k, from shared greedy k-means++ seeds.

    One sequence of seeds serves every k: its first k places start the run of k clusters, so a
    run does not depend on which other k are tried. Of ``n_init`` sequences the one that leads
    after a few iterations on a part of the points is run to its end, first on that part, then on
    all. An iteration costs n * sum(ks) * d operations; memory is bounded.

    Args:
        points: ``(n, d)`` float32 points.
        ks: Numbers of clusters, each from 1 to n.
        n_init: Number of sequences of seeds.
        seed: Seed of the first sequence; the global generator is not touched.

    Returns:
        The solution of each k, by k.
    """
    mean = points.mean(0)
    centred = points - mean  # |x|^2 - 2xc + |c|^2 cancels less
    sample = centred[:: max(1, len(points) // _HEAT_POINTS)]
    seeds = centred[_seed_rows(centred, max(ks), n_init=n_init, seed=seed)]
    norms = centred.square().sum(1)
    settled = _TOLERANCE * centred.square().mean()
    n_points = max(n_init * len(sample), len(points))  # in all runs of one k
    batching = _BATCHING_CPU if points.device.type == "cpu" else _BATCHING
    solutions = {}
    for group in _groups(sorted(set(ks)), n_points=n_points, batching=batching):
        sizes = torch.tensor(group, device=points.device)
        unused = torch.arange(group[-1], device=points.device) >= sizes[:, None]
        centroids = _winners_of_heats(sample, seeds[:, : group[-1]], unused)
        centroids = _lloyd(sample, centroids, unused, settled)
        if len(sample) < len(centred):
            centroids = _lloyd(centred, centroids, unused, settled)
        relative, labels = _relative_distances(centred, centroids, unused).min(1)
        inertia = (relative + norms).clamp(min=0).sum(1, dtype=torch.float64)
        for place, k in enumerate(group):
            solutions[k] = Clustering(labels[place], centroids[place, :k] + mean, inertia[place])
    return solutions


def _groups(ks: Sequence[int], *, n_points: int, batching: _Batching) -> Iterator[list[int]]:
    """Split rising ks into batches of neighbours, each of at least one k."""
    group: list[int] = []
    for k in ks:
        too_big = (len(group) + 1) * n_points * k > batching.elements
        if group and (too_big or k > batching.last_neighbour(group[0])):
            yield group
            group = []
        group.append(k)
    yield group


def _seed_rows(points: Tensor, k: int, *, n_init: int, seed: int) -> Tensor:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): ``(n_init, k)`` rows of points.

    The draws are made on the CPU, so that every device gets the same ones.
    """
    n = len(points)
    generators = (torch.Generator().manual_seed(seed + run) for run in range(n_init))
    draws = torch.stack(
        [torch.rand(k, _TRIALS, generator=g, dtype=torch.float64) for g in generators]
    ).to(points.device)
    runs = torch.arange(n_init, device=points.device)
    rows = [(draws[:, 0, 0] * n).long()]
    norms = points.square().sum(1)
    nearest = (_relative_distances(points, points[rows[0]][:, None])[:, 0] + norms).clamp(min=0)
    for step in range(1, k):
        mass = nearest.cumsum(1, dtype=torch.float64)
        # right=True never draws a point without mass, such as one that is already a seed.
        trials = torch.searchsorted(mass, draws[:, step] * mass[:, -1:], right=True)
        trials = trials.clamp(max=n - 1)
        to_trials = _relative_distances(points, points[trials]).add_(norms).clamp_(min=0)
        left = to_trials.minimum(nearest[:, None])  # (n_init, trials, n)
        best = left.sum(2).argmin(1)
        nearest = left[runs, best]
        rows.append(trials[runs, best])
    return torch.stack(rows, dim=1)


def _relative_distances(points: Tensor, centroids: Tensor, unused: Tensor | None = None) -> Tensor:
    """``(runs, k, n)`` squared distances less those of the points to the origin.

    |c|^2 - 2xc: which centroid is nearest does not depend on |x|^2.

    Args:
        points: ``(n, d)`` points.
        centroids: ``(runs, k, d)`` centroids.
        unused: ``(runs, k)`` mask of the centroids beyond the clusters of a run, which are
            infinitely far.
    """
    n_runs, k, _ = centroids.shape
    norms = centroids.square().sum(2)
    if unused is not None:
        norms = norms.masked_fill(unused, torch.inf)
    products = torch.addmm(norms.view(-1, 1), centroids.view(n_runs * k, -1), points.T, alpha=-2)
    return products.view(n_runs, k, -1)


def _winners_of_heats(points: Tensor, seeds: Tensor, unused: Tensor) -> Tensor:
    """Run every sequence of seeds for a few iterations; keep the best for each k.

    Args:
        points: ``(n, d)`` points.
        seeds: ``(n_init, k, d)`` sequences of seeds.
        unused: ``(n_ks, k)`` mask of the centroids beyond the clusters of each k.

    Returns:
        ``(n_ks, k, d)`` centroids.
    """
    n_init, n_ks = len(seeds), len(unused)
    centroids, beyond = seeds.repeat(n_ks, 1, 1), unused.repeat_interleave(n_init, dim=0)
    if n_init == 1:
        return centroids
    for _ in range(_HEAT_ITERATIONS):
        centroids = _move(points, centroids, beyond)
    # Without the squared lengths of the points, which are the same for all runs.
    inertia = _relative_distances(points, centroids, beyond).amin(1).sum(1)
    best = inertia.view(n_ks, n_init).argmin(1)
    return centroids[best + torch.arange(n_ks, device=points.device) * n_init]


def _lloyd(points: Tensor, centroids: Tensor, unused: Tensor, settled: Tensor) -> Tensor:
    """Move ``(runs, k, d)`` centroids until they settle; a run that has settled stays as it is.

    On a CPU it is no longer computed. On other devices it still is: to learn which runs it may
    leave out, the host would have to wait for the device.

    Args:
        points: ``(n, d)`` points.
        centroids: ``(runs, k, d)`` centroids at the start.
        unused: ``(runs, k)`` mask of the centroids beyond the clusters of a run.
        settled: Squared move of all centroids of a run below which the run has settled.
    """
    runs = torch.arange(len(centroids), device=points.device)  # the ones computed
    moving = torch.ones_like(runs, dtype=torch.bool)
    for step in range(1, _MAX_ITERATIONS + 1):
        before = centroids[runs]
        after = torch.where(moving[:, None, None], _move(points, before, unused[runs]), before)
        centroids = centroids.index_copy(0, runs, after)
        if step % _CHECK_EVERY == 0:
            moving = moving & ((after - before).square().sum((1, 2)) > settled)
            if points.device.type == "cpu":
                runs, moving = runs[moving], moving[moving]
                if len(runs) == 0:
                    break
    return centroids


def _move(points: Tensor, centroids: Tensor, unused: Tensor) -> Tensor:
    """The mean of each centroid's points; a centroid without points stays.

    The sums are a product with the one-hot labels, which a GPU adds in a fixed order; it scatters
    in any order.
    """
    n_runs, k, d = centroids.shape
    labels = _relative_distances(points, centroids, unused).min(1).indices
    members = points.new_zeros(n_runs, k, len(points)).scatter_(1, labels[:, None], 1.0)
    counts = members.sum(2)[..., None]
    sums = (members.view(n_runs * k, -1) @ points).view(n_runs, k, d)
    return torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
