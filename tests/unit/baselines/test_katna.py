"""Katna: its image measures and its rules by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import signal as scipy_signal

from keyscore_plugin.baselines.katna import (
    KatnaSettings,
    brightness,
    entropy,
    gray,
    gray_histograms,
    katna,
    luv_changes,
    peaks_of_change,
    sharp_frames,
    sharpness,
    smoothed,
    well_exposed,
)


def test_brightness_and_histogram_by_hand() -> None:
    pixels = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    pixels[0, 0, 0] = torch.tensor([51, 0, 0])
    pixels[0, 0, 1] = torch.tensor([0, 102, 204])
    assert brightness(pixels).tolist() == pytest.approx([100 * (0.2 + 0.8) / 4])
    grays = gray(pixels)
    assert grays.tolist() == [[[15, 83], [0, 0]]]  # .299 * 51, .587 * 102 + .114 * 204
    counts = gray_histograms(grays)[0]
    assert {level: int(counts[level]) for level in (0, 15, 83)} == {0: 2, 15: 1, 83: 1}
    assert int(counts.sum()) == 4


def test_stripes_are_sharp_and_a_flat_frame_is_not() -> None:
    frames = torch.zeros(2, 6, 8, dtype=torch.uint8)
    frames[1, :, ::2] = 255
    assert sharpness(frames).tolist() == [0, (2 * 255) ** 2]  # the Laplacian is 510 or -510


def test_entropy_counts_the_levels_around_each_pixel() -> None:
    frames = torch.zeros(2, 1, 4, dtype=torch.uint8)
    frames[1, 0, 2:] = 255
    thirds = -(1 / 3 * math.log2(1 / 3) + 2 / 3 * math.log2(2 / 3))
    # A disk of radius 1 sees 0 0, 0 0 1, 0 1 1 and 1 1.
    assert entropy(frames, radius=1).tolist() == pytest.approx([0, thirds / 2])


def test_luv_changes_sum_over_the_frame() -> None:
    pixels = torch.zeros(3, 4, 5, 3, dtype=torch.uint8)
    pixels[2] = 255
    changes = luv_changes(pixels)
    assert changes.tolist() == pytest.approx([0, 4 * 5 * 255], abs=1)


@pytest.mark.parametrize("n", [3, 12, 50])
def test_smoothing_agrees_with_numpy(n: int) -> None:
    changes = np.random.default_rng(n).random(n)
    mirrored = np.pad(changes, (9, 10), mode="symmetric")
    window = np.hanning(20)
    expected = np.convolve(mirrored, window / window.sum(), mode="valid")
    found = smoothed(torch.from_numpy(changes), window_frames=20)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_peaks_are_the_frames_before_strict_maxima() -> None:
    changes = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = peaks_of_change(changes, window_frames=20)
    smooth = smoothed(changes, window_frames=20).numpy()
    maxima = scipy_signal.argrelextrema(smooth, np.greater)[0]
    assert len(maxima) > 3
    assert found.tolist() == (maxima - 1).tolist()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_few_frames_have_no_peak(n: int) -> None:
    assert len(peaks_of_change(torch.ones(n), window_frames=20)) == 0


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (1, [2]),
        (2, [1, 2]),  # 8.5 % passes after one step of 2
        (3, [1, 2, 4]),  # 0 bits after two steps of .5
        (4, [1, 2, 3, 4]),  # 97 % after four steps
        (5, [0, 1, 2, 3, 4]),  # 0.5 % after five
        (9, [0, 1, 2, 3, 4]),  # there are no more
    ],
)
def test_the_limits_give_way_until_enough_pass(k: int, expected: list[int]) -> None:
    brightness = torch.tensor([0.5, 8.5, 50.0, 97.0, 50.0])
    entropy = torch.tensor([4.0, 4.0, 4.0, 4.0, 0.0])
    found = well_exposed(brightness, entropy, num_frames=k, settings=KatnaSettings())
    assert found.tolist() == expected


def test_released_katna_judges_the_wrong_frames() -> None:
    labels = torch.tensor([0, 1, 0, 1, 1])
    sharpness = torch.tensor([1.0, 3.0, 9.0, 2.0, 8.0])
    assert sharp_frames(labels, sharpness, sharpest_of_cluster=True).tolist() == [2, 4]
    # Places 0..1 for cluster 0: the second. Places 0..2 for cluster 1: the third.
    assert sharp_frames(labels, sharpness, sharpest_of_cluster=False).tolist() == [2, 4]
    sharpness = torch.tensor([9.0, 3.0, 1.0, 8.0, 2.0])
    assert sharp_frames(labels, sharpness, sharpest_of_cluster=True).tolist() == [0, 3]
    assert sharp_frames(labels, sharpness, sharpest_of_cluster=False).tolist() == [0, 1]


def test_katna_fixed_takes_the_sharp_frame_of_each_look() -> None:
    columns = torch.arange(16) // 8 % 2
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    soft, sharp = columns.expand(16, 16), board
    frames = [60 + 20 * soft, 60 + 20 * sharp, 160 + 20 * soft, 160 + 20 * sharp]
    pixels = torch.stack(frames).to(torch.uint8)[..., None].expand(-1, -1, -1, 3)
    fixed = katna(pixels, num_frames=2, settings=KatnaSettings(sharpest_of_cluster=True))
    assert fixed.tolist() == [1, 3]
