"""HSV histograms: parity with colorsys and scikit-image, and what must not change them."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from skimage.color import rgb2hsv
from torch import Tensor

from keyscore_plugin.algorithm.histogram import Bins, hsv_histograms, rgb_to_hsv
from keyscore_plugin.errors import InputError

_BINS: Bins = (8, 4, 4)


def _exact(frame: Tensor, bins: Bins) -> Tensor:
    """The histogram of one frame by scikit-image and numpy, without a table of colours."""
    hsv = rgb2hsv(frame.numpy()).reshape(-1, 3)
    counts, _ = np.histogramdd(hsv, bins=bins, range=[(0, 1)] * 3)
    return torch.from_numpy(counts.ravel() / len(hsv)).float()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_hsv_agrees_with_colorsys(rgb: tuple[int, int, int]) -> None:
    red, green, blue = (channel / 255 for channel in rgb)
    ours = rgb_to_hsv(torch.tensor([red, green, blue], dtype=torch.float64)).tolist()
    assert ours == pytest.approx(colorsys.rgb_to_hsv(red, green, blue), abs=1e-12)


@pytest.mark.parametrize("bins", [(8, 4, 4), (1, 1, 1), (5, 3, 2)])
def test_frames_of_one_colour_fall_into_the_bin_of_that_colour(bins: Bins) -> None:
    # Black, white, pure colours and some between; none within 3 levels of a bin's edge.
    levels = torch.tensor([0, 38, 96, 208, 255], dtype=torch.uint8)
    frames = torch.cartesian_prod(levels, levels, levels)[:, None, None, :].expand(-1, 2, 3, -1)
    expected = torch.stack([_exact(frame, bins) for frame in frames])
    torch.testing.assert_close(hsv_histograms(frames, bins=bins), expected)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_histograms_of_photographs_are_near_the_exact_ones(name: str) -> None:
    frame = torch.from_numpy(getattr(data, name)())
    exact, (ours,) = _exact(frame, _BINS), hsv_histograms(frame[None], bins=_BINS)
    assert float((ours - exact).abs().sum()) / 2 < 0.06  # mass that lies in another bin
    # In STACFP's feature, where two pictures without a common colour are 14.1 apart.
    assert float((10 * ours.sqrt() - 10 * exact.sqrt()).norm()) < 1.1


@given(
    n=st.integers(0, 4), h=st.integers(1, 5), w=st.integers(1, 5), seed=st.integers(0, 2**31 - 1)
)
def test_histograms_sum_to_one_and_ignore_the_order_of_pixels(
    n: int, h: int, w: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (n, h, w, 3), generator=generator, dtype=torch.uint8)
    order = torch.randperm(h * w, generator=generator)
    shuffled = frames.view(n, h * w, 3)[:, order].view(n, w, h, 3)
    histograms = hsv_histograms(frames, bins=_BINS)
    assert histograms.shape == (n, 128)
    torch.testing.assert_close(histograms.sum(1), torch.ones(n))
    assert torch.equal(histograms, hsv_histograms(shuffled, bins=_BINS))


def test_the_histogram_of_a_frame_does_not_depend_on_other_frames() -> None:
    # 40 frames of 128x228 are more than one chunk.
    frames = torch.randint(256, (40, 128, 228, 3), dtype=torch.uint8)
    together = hsv_histograms(frames, bins=_BINS)
    alone = torch.cat([hsv_histograms(frame[None], bins=_BINS) for frame in frames])
    assert torch.equal(together, alone)


def test_views_that_are_not_contiguous_are_read_in_place() -> None:
    frames = torch.randint(256, (3, 8, 10, 3), dtype=torch.uint8)
    mirrored = frames.permute(0, 2, 1, 3)
    assert torch.equal(hsv_histograms(mirrored, bins=_BINS), hsv_histograms(frames, bins=_BINS))


def test_a_frame_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="no colours to count"):
        hsv_histograms(torch.zeros(1, 0, 4, 3, dtype=torch.uint8), bins=_BINS)
