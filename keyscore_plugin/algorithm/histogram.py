"""HSV histograms of many frames at once: one table look-up and one count per pixel."""

from functools import cache
from math import prod

import numpy as np
import torch
from torch import Tensor

from keyscore_plugin.errors import InputError

Bins = tuple[int, int, int]

# Ours: 6 bits per channel make a table of 2^18 colours that is built in milliseconds and stays in
# the cache; 2^24 would cost more than the pixels of a short video. Rounding moves a few percent of
# the mass across a bin's edge (tests/unit/algorithm/test_histogram.py states how much).
_BITS = 6
_LEVELS = 1 << _BITS
_STEP = 256 // _LEVELS

# Ours: sqrt of the histogram in percent (Hellinger's map), so that two frames without a common
# colour are 14.1 apart, on the scale of gamma_time in [5, 20]. With a unit-norm histogram time
# swamps colour and every video ends at k = 2 with the silhouette of a straight line, .60.
_PERCENT = 100.0

_CHUNK_PIXELS = 1 << 24  # counted at a time: enough to keep a GPU busy


def rgb_to_hsv(rgb: Tensor) -> Tensor:
    """HSV of colours, as `colorsys.rgb_to_hsv` defines it.

    Args:
        rgb: ``(..., 3)`` floating-point colours in [0, 1].

    Returns:
        ``(..., 3)`` hue in [0, 1), saturation and value in [0, 1]; the hue of a gray is 0.
    """
    red, green, blue = rgb.unbind(-1)
    value, low = rgb.amax(-1), rgb.amin(-1)
    chroma = value - low
    scale = chroma.where(chroma > 0, torch.ones_like(chroma))
    sixth = torch.where(
        value == red,
        (green - blue) / scale,
        torch.where(value == green, 2 + (blue - red) / scale, 4 + (red - green) / scale),
    )
    saturation = chroma / value.where(value > 0, torch.ones_like(value))
    return torch.stack(((sixth / 6) % 1, saturation, value), dim=-1)


@cache
def _bin_of_colour(bins: Bins, device: torch.device) -> Tensor:
    """``(2 ** 18,)`` int32 histogram bin of every colour of 6 bits per channel."""
    # A level stands for the middle of its four values: on photographs that moves half as much mass
    # across a bin's edge as the lowest of them.
    levels = (torch.arange(_LEVELS, dtype=torch.float32) * _STEP + (_STEP - 1) / 2) / 255
    rgb = torch.cartesian_prod(levels, levels, levels)
    sizes = torch.tensor(bins)
    hue, saturation, value = (
        (rgb_to_hsv(rgb) * sizes).long().minimum(sizes - 1).to(torch.int32).unbind(-1)
    )
    return ((hue * bins[1] + saturation) * bins[2] + value).to(device)


def hsv_histograms(pixels: Tensor, *, bins: Bins) -> Tensor:
    """HSV histogram of each frame (Algorithm 1, line 3), on the device of the pixels.

    Except for the result, memory does not grow with the number of frames.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 RGB.
        bins: Bins of hue, saturation and value, each over [0, 1].

    Returns:
        ``(n, prod(bins))`` float32 rows that sum to 1. Value varies fastest, hue slowest.

    Raises:
        InputError: A frame has no pixel.
    """
    n_pixels = pixels.shape[1] * pixels.shape[2]
    if n_pixels == 0:
        raise InputError(
            f"frames of {tuple(pixels.shape[1:3])} pixels have no colours to count; give frames of "
            "at least one pixel"
        )
    table = _bin_of_colour(bins, pixels.device)
    counts = torch.zeros(len(pixels), prod(bins), dtype=torch.int32, device=pixels.device)
    on_cpu = pixels.device.type == "cpu"
    chunk = 1 if on_cpu else max(1, _CHUNK_PIXELS // n_pixels)
    count = _count_on_cpu if on_cpu else _count
    for frames, rows in zip(torch.split(pixels, chunk), torch.split(counts, chunk), strict=True):
        count(frames, table, rows)
    # A GPU divides by a number of the host by multiplying with its inverse: one bit off.
    counted = counts.to(torch.float32)
    return counted / counted.new_full((), n_pixels)


def colour_features(histograms: Tensor) -> Tensor:
    """The points whose distances say how unlike frames look (v_i of Algorithm 1), from 0 to 14.1.

    Args:
        histograms: ``(n, n_bins)`` histograms whose rows sum to 1.

    Returns:
        ``(n, n_bins)`` square roots of the shares in percent.
    """
    return (_PERCENT * histograms).sqrt()


def _count(frames: Tensor, table: Tensor, counts: Tensor) -> None:
    """Add the pixels of ``(m, h, w, 3)`` frames to their ``(m, n_bins)`` counts, in place."""
    red, green, blue = (frames >> (8 - _BITS)).flatten(1, 2).unbind(-1)
    colour = (red.int() << (2 * _BITS)) | (green.int() << _BITS) | blue.int()
    row_starts = torch.arange(len(frames), dtype=torch.int32, device=frames.device)
    places = table.index_select(0, colour.view(-1)).view_as(colour)
    places += row_starts[:, None] * counts.shape[1]
    # Whole numbers: the sum does not depend on the order in which a GPU adds them.
    one = torch.ones(1, dtype=torch.int32, device=frames.device).expand(places.numel())
    counts.view(-1).index_add_(0, places.view(-1), one)


def _count_on_cpu(frame: Tensor, table: Tensor, counts: Tensor) -> None:
    """`_count` of one frame, on one thread: torch's threads would compete with the decoder's."""
    levels = (frame.numpy() >> (8 - _BITS)).astype(np.int32)
    red, green, blue = np.moveaxis(levels, -1, 0)
    places = table.numpy()[(red << (2 * _BITS)) | (green << _BITS) | blue]
    counts += torch.from_numpy(np.bincount(places.ravel(), minlength=counts.shape[1]))
