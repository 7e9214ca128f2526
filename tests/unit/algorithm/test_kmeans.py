"""K-means for many k at once: as good as scikit-learn's, reproducible, and defined at its edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons
from torch import Tensor

from keyscore_plugin.algorithm.kmeans import kmeans
from keyscore_plugin.algorithm.silhouette import mean_silhouettes
from keyscore_plugin.config import ProposalConfig

_N_INIT = ProposalConfig().n_init
_KS = range(2, 25)


def _shots(n: int, n_shots: int, *, noise: float, seed: int) -> np.ndarray:
    """A video in STACFP's feature space: shots on a time line, some scenes coming back."""
    rng = np.random.default_rng(seed)
    scenes = rng.dirichlet(np.full(128, 0.1), n_shots)
    scene = np.where(rng.random(n_shots) < 0.3, rng.integers(n_shots, size=n_shots), -1)
    scene = np.where(scene < 0, np.arange(n_shots), scene)
    cuts = np.sort(rng.choice(np.arange(1, n), n_shots - 1, replace=False))
    shot = np.searchsorted(cuts, np.arange(n), side="right")
    colours = np.abs(10 * np.sqrt(scenes[scene[shot]]) + rng.normal(0, noise, (n, 128)))
    colours *= 10 / np.linalg.norm(colours, axis=1, keepdims=True)
    return np.column_stack((colours, np.linspace(0, 10, n)))


_DATA = {
    "blobs": make_blobs(600, 16, centers=12, random_state=1)[0],
    "uneven blobs": make_blobs([300, 20, 5, 150], 2, cluster_std=[1, 0.2, 0.1, 2], random_state=2)[
        0
    ],
    "moons": make_moons(400, noise=0.05, random_state=0)[0],
    "line": np.linspace(0, 10, 300)[:, None],
    "uniform": np.random.default_rng(0).random((500, 8)),
    "30 shots": _shots(400, 30, noise=0.05, seed=0),
    "60 noisy shots": _shots(400, 60, noise=0.2, seed=1),
}


def _inertia(points: Tensor, labels: Tensor) -> float:
    """Summed squared distance of points to the mean of their cluster, by definition."""
    clusters = (points[labels == label].double() for label in torch.unique(labels))
    return sum(float((cluster - cluster.mean(0)).square().sum()) for cluster in clusters)


@pytest.mark.parametrize("name", _DATA)
def test_quality_is_that_of_scikit_learn_with_ten_restarts(name: str) -> None:
    points = torch.from_numpy(_DATA[name]).float()
    ours = kmeans(points, ks=_KS, n_init=_N_INIT, seed=0)
    theirs = {k: KMeans(k, n_init=10, random_state=0).fit(_DATA[name]) for k in _KS}
    ratios = [float(ours[k].inertia) / theirs[k].inertia_ for k in _KS]
    assert np.mean(ratios) < 1.03
    best_ours = mean_silhouettes(points, [ours[k].labels for k in _KS]).max()
    their_labels = [torch.from_numpy(theirs[k].labels_).long() for k in _KS]
    best_theirs = mean_silhouettes(points, their_labels).max()
    assert float(best_ours) >= float(best_theirs) - 0.01


def test_labels_centroids_and_inertia_belong_together() -> None:
    points = torch.from_numpy(_DATA["blobs"]).float()
    for k, solution in kmeans(points, ks=(1, 5, 12), n_init=2, seed=0).items():
        assert solution.centroids.shape == (k, points.shape[1])
        nearest = torch.cdist(points.double(), solution.centroids.double()).argmin(1)
        assert torch.equal(solution.labels, nearest)
        means = torch.stack([points[solution.labels == c].mean(0) for c in range(k)])
        torch.testing.assert_close(solution.centroids, means, atol=1e-4, rtol=0)
        assert float(solution.inertia) == pytest.approx(_inertia(points, nearest), rel=1e-5)


def test_one_cluster_is_the_mean() -> None:
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])
    solution = kmeans(points, ks=(1,), n_init=1, seed=0)[1]
    torch.testing.assert_close(solution.centroids, torch.tensor([[1.0, 1.0]]))
    assert float(solution.inertia) == pytest.approx(8)


def test_as_many_clusters_as_points_have_no_inertia() -> None:
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    solution = kmeans(points, ks=(20,), n_init=1, seed=0)[20]
    assert len(torch.unique(solution.labels)) == 20
    assert float(solution.inertia) == pytest.approx(0, abs=1e-4)


def test_clusters_beyond_the_distinct_points_stay_empty() -> None:
    points = torch.tensor([[0.0], [5.0], [9.0]]).repeat(4, 1)
    solution = kmeans(points, ks=(5,), n_init=2, seed=0)[5]
    assert len(torch.unique(solution.labels)) == 3
    assert solution.centroids.isfinite().all()
    assert float(solution.inertia) == pytest.approx(0, abs=1e-4)


def test_runs_are_reproducible_and_leave_the_global_generator_alone() -> None:
    points = torch.from_numpy(_DATA["uniform"]).float()
    state = torch.random.get_rng_state()
    first = kmeans(points, ks=_KS, n_init=2, seed=3)
    again = kmeans(points, ks=_KS, n_init=2, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[k].centroids, again[k].centroids) for k in _KS)


def test_more_restarts_lower_the_inertia() -> None:
    points = torch.from_numpy(_DATA["60 noisy shots"]).float()
    one, many = (kmeans(points, ks=_KS, n_init=n_init, seed=0) for n_init in (1, 8))
    assert np.mean([float(many[k].inertia / one[k].inertia) for k in _KS]) < 0.98


def test_many_points_are_clustered_as_well_as_few() -> None:
    # Beyond 2,048 points the heats run on a part of them.
    points = torch.from_numpy(make_blobs(5000, 8, centers=20, random_state=3)[0]).float()
    ours = kmeans(points, ks=(20,), n_init=_N_INIT, seed=0)[20]
    theirs = KMeans(20, n_init=10, random_state=0).fit(points.numpy())
    assert float(ours.inertia) < theirs.inertia_ * 1.02


@settings(max_examples=20)
@given(st.permutations(list(range(2, 13))), st.integers(1, 11))
def test_a_run_does_not_depend_on_which_other_k_are_tried(ks: list[int], n_ks: int) -> None:
    # Well separated, so that rounding decides nothing.
    points = torch.from_numpy(_DATA["blobs"]).float()
    all_ks = kmeans(points, ks=range(2, 13), n_init=2, seed=0)
    some = kmeans(points, ks=ks[:n_ks], n_init=2, seed=0)
    assert set(some) == set(ks[:n_ks])
    assert all(torch.equal(some[k].labels, all_ks[k].labels) for k in some)
