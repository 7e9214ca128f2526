"""The colour metric: against OpenCV and numpy, and by hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from evals.keyframes.matching import histograms, judge, match, similarities
from tests.support.requires import require_or_skip
from tests.support.skimage_pictures import picture


def pictures() -> list[Tensor]:
    """Photographs, every grey, and noise that reaches 255 in all channels."""
    greys = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(256, 4, 3)
    noise = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(0))
    noise[:8] = 255
    return [picture("astronaut.png"), picture("coffee.png"), greys, noise.to(torch.uint8)]


@pytest.mark.parametrize("image", pictures(), ids=["astronaut", "coffee", "greys", "noise"])
def test_histograms_agree_with_opencv(image: Tensor) -> None:
    require_or_skip("cv2")
    import cv2

    bgr = np.ascontiguousarray(image.numpy()[..., ::-1])
    counts = cv2.calcHist([bgr], [0, 1, 2], None, [8, 8, 8], [0, 255, 0, 255, 0, 255])
    theirs = np.asarray(cv2.normalize(counts, counts, 0, 1, cv2.NORM_MINMAX)).ravel()
    assert histograms(image[None])[0] == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("image", pictures(), ids=["astronaut", "coffee", "greys", "noise"])
def test_histograms_agree_with_numpy(image: Tensor) -> None:
    bgr = image.flatten(0, 1).numpy()[:, ::-1].astype(float)
    edges = [np.linspace(0, 255, 9)] * 3
    counts, _ = np.histogramdd(bgr[(bgr < 255).all(1)], bins=edges)
    low, high = counts.min(), counts.max()
    assert histograms(image[None])[0] == pytest.approx((counts.ravel() - low) / (high - low))


def test_a_pixel_that_is_full_in_one_channel_is_not_counted() -> None:
    image = torch.tensor([[[10, 10, 10], [255, 10, 10], [10, 200, 10], [254, 254, 254]]])
    (histogram,) = histograms(image.to(torch.uint8)[None])
    # Blue, green, red in bins of 32: (0, 0, 0), (0, 6, 0) and (7, 7, 7), once each.
    assert np.flatnonzero(histogram).tolist() == [0, 6 * 8, 511]


def test_a_frame_without_a_counted_pixel_is_like_nothing() -> None:
    white = torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)
    empty = histograms(white)
    assert not empty.any()
    assert similarities(empty, empty).tolist() == [[0.0]]


def test_similarity_is_the_cosine() -> None:
    a, b = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[3.0, 4.0]])
    assert similarities(a, b).ravel().tolist() == pytest.approx([0.6, 7 / 50**0.5])


@pytest.mark.parametrize(
    ("similarity", "pairs"),
    [
        # The largest first, though .95 and .94 together would be two matches.
        ([[0.99, 0.95], [0.94, 0.2]], [(0, 0)]),
        ([[0.95, 0.91], [0.92, 0.93]], [(0, 0), (1, 1)]),
        ([[0.9]], []),  # above .9, not at it
        ([[0.91, 0.99, 0.95]], [(0, 1)]),  # one to one
        ([[0.95], [0.95]], [(0, 0)]),  # of equal ones the first
        ([[0.5, 0.89], [0.2, 0.1]], []),
    ],
)
def test_pairs_agree_with_a_table_worked_by_hand(
    similarity: list[list[float]], pairs: list[tuple[int, int]]
) -> None:
    assert match(np.array(similarity)) == pairs


def one_hot(places: Sequence[int]) -> npt.NDArray[np.float64]:
    """Histograms of frames of one colour each."""
    return np.eye(512)[list(places)]


@pytest.mark.parametrize(
    ("chosen", "truth", "expected"),
    [
        ([1, 2, 3, 4], [2, 3], (0.5, 1.0, 2 / 3, 2)),
        ([7, 7, 7], [7, 8], (1 / 3, 0.5, 0.4, 1)),  # the same colour thrice matches once
        ([1], [2, 3], (0.0, 0.0, 0.0, 0)),
    ],
)
def test_judgements_agree_with_a_table_worked_by_hand(
    chosen: list[int], truth: list[int], expected: tuple[float, float, float, int]
) -> None:
    found = judge(one_hot(chosen), one_hot(truth), n_frames=100)
    assert (found.precision, found.recall, found.f1, found.matches) == pytest.approx(expected)
    assert found.chosen == len(chosen)
    assert found.compression == pytest.approx(1 - len(chosen) / 100)
