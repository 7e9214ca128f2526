"""The silhouette agrees with scikit-learn's, for many labelings at once and in blocks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score
from torch import Tensor

from keyscore_plugin.algorithm.silhouette import mean_silhouettes


def _points(n: int, d: int, *, spread: float = 1.0, seed: int = 0) -> Tensor:
    return spread * torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def _labels(n: int, k: int, *, seed: int = 0) -> Tensor:
    """Random labels in which every cluster has a point."""
    labels = torch.randint(k, (n,), generator=torch.Generator().manual_seed(seed))
    labels[:k] = torch.arange(k)
    return labels


_DATA = {
    "one dimension": _points(40, 1),
    "many dimensions": _points(120, 129),
    "far from the origin": _points(150, 3) + 500,
    "nearly equal points": 10 + _points(90, 16, spread=1e-3),
    "duplicates": _points(30, 4).repeat(4, 1),
    "time line": torch.linspace(0, 10, 200)[:, None],
}


@pytest.mark.parametrize("name", _DATA)
def test_silhouettes_agree_with_scikit_learn(name: str) -> None:
    points = _DATA[name]
    ks = (2, 3, 7, len(points) - 1)  # the last: but for one pair, every point is alone
    labelings = [_labels(len(points), k, seed=k) for k in ks]
    ours = mean_silhouettes(points, labelings)
    wide = points.double().numpy()
    for labels, silhouette in zip(labelings, ours.tolist(), strict=True):
        assert silhouette == pytest.approx(silhouette_score(wide, labels.numpy()), abs=1e-5)


def test_silhouettes_of_four_points_by_hand() -> None:
    # Clusters {0, 1} and {10}, {4} alone: s(0) = (min(10, 4) - 1) / 4, s(1) = (3 - 1) / 3, 0, 0.
    points = torch.tensor([[0.0], [1.0], [10.0], [4.0]])
    (silhouette,) = mean_silhouettes(points, [torch.tensor([0, 0, 1, 2])]).tolist()
    assert silhouette == pytest.approx((3 / 4 + 2 / 3) / 4, abs=1e-7)


@pytest.mark.parametrize("block_bytes", [1, 8 * 100 * 7, 8 * 100 * 99])
def test_block_size_does_not_change_the_silhouettes(block_bytes: int) -> None:
    points, labelings = _points(100, 5), [_labels(100, k) for k in (2, 9)]
    whole = mean_silhouettes(points, labelings)
    blocked = mean_silhouettes(points, labelings, block_bytes=block_bytes)
    np.testing.assert_allclose(blocked, whole, atol=1e-6)


def test_empty_clusters_do_not_count() -> None:
    points, labels = _points(50, 3), _labels(50, 3)
    with_gaps = torch.tensor([0, 4, 7])[labels]
    without, with_empty = mean_silhouettes(points, [labels, with_gaps]).tolist()
    assert with_empty == pytest.approx(without, abs=1e-7)


def test_one_cluster_and_equal_points_have_silhouette_zero() -> None:
    equal = torch.ones(6, 2)
    silhouettes = mean_silhouettes(equal, [torch.zeros(6, dtype=torch.int64), _labels(6, 2)])
    assert silhouettes.tolist() == [0, 0]
