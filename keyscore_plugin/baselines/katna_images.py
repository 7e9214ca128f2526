"""Katna's image measures: LUV change, brightness, local entropy, sharpness, gray histogram."""

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.histogram import rgb_to_hsv

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what OpenCV calls gray
# Linear sRGB to XYZ under D65 (IEC 61966-2-1).
_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE_U, _WHITE_V = 0.19783982, 0.46834220  # of that white in the CIE 1976 UCS
_GREY_LEVELS = 256


def gray(pixels: Tensor) -> Tensor:
    """``(n, h, w)`` uint8 gray of ``(n, h, w, 3)`` uint8 RGB."""
    weights = torch.tensor(_LUMA, device=pixels.device)
    with exact_arithmetic(pixels.device):
        return (pixels.float() @ weights).round().clamp(0, _GREY_LEVELS - 1).to(torch.uint8)


def luv(pixels: Tensor) -> Tensor:
    """CIE 1976 L*u*v* of uint8 RGB, scaled to 0..255 in each channel as OpenCV stores it.

    Args:
        pixels: ``(..., 3)`` uint8.

    Returns:
        ``(..., 3)`` float32; not rounded, so that small changes count.
    """
    rgb = pixels.float() / 255
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    with exact_arithmetic(pixels.device):
        x, y, z = (linear @ torch.tensor(_XYZ, device=pixels.device).T).unbind(-1)
    lightness = torch.where(y > 0.008856, 116 * y.clamp(min=1e-9) ** (1 / 3) - 16, 903.3 * y)
    below = (x + 15 * y + 3 * z).clamp(min=1e-9)
    u = 13 * lightness * (4 * x / below - _WHITE_U)
    v = 13 * lightness * (9 * y / below - _WHITE_V)
    return torch.stack(
        (lightness * 255 / 100, (u + 134) * 255 / 354, (v + 140) * 255 / 262), dim=-1
    )


def luv_changes(pixels: Tensor) -> Tensor:
    """``(n - 1,)`` float64 sum over a frame of |change of LUV| to the next frame."""
    return (luv(pixels[1:]) - luv(pixels[:-1])).abs().sum((1, 2, 3), dtype=torch.float64)


def brightness(pixels: Tensor) -> Tensor:
    """``(n,)`` mean HSV value in percent."""
    return 100 * rgb_to_hsv(pixels.float() / 255)[..., 2].mean((1, 2))


def local_entropy(image: Tensor, *, radius: int) -> Tensor:
    """Entropy of the gray levels in a disk around each pixel, in bits.

    Args:
        image: ``(h, w)`` uint8.
        radius: Of the disk; what of it leaves the image does not count.

    Returns:
        ``(h, w)`` float32.
    """
    height, width = image.shape
    steps = torch.arange(-radius, radius + 1)
    inside = steps[:, None].square() + steps.square() <= radius**2
    padded = torch.nn.functional.pad(image.short(), (radius,) * 4, value=_GREY_LEVELS)
    windows = torch.stack(
        [
            padded[down : down + height, right : right + width].reshape(-1)
            for down, right in inside.nonzero().tolist()
        ],
        dim=1,
    )
    ordered = windows.sort(1).values  # what lies outside comes last
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = torch.arange(ordered.shape[1]).expand_as(ordered)
    nth = place - (place * starts).cummax(1).values + 1  # of its level: 1, 2 ... count
    # count log2(count) of a level is the sum over its pixels of how much the nth one adds.
    table = torch.arange(ordered.shape[1] + 1, dtype=torch.float32)
    table = table * table.clamp(min=1).log2()
    counted = ordered < _GREY_LEVELS
    repeated = (table.diff()[nth - 1] * counted).sum(1)
    n_pixels = counted.sum(1)
    return (n_pixels.float().log2() - repeated / n_pixels).reshape(height, width)


def entropy(grays: Tensor, *, radius: int) -> Tensor:
    """``(n,)`` mean local entropy of ``(n, h, w)`` gray frames."""
    return torch.stack([local_entropy(image, radius=radius).mean() for image in grays])


def sharpness(grays: Tensor) -> Tensor:
    """``(n,)`` variance of the Laplacian of ``(n, h, w)`` gray frames, edges mirrored."""
    stencil = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    mirrored = torch.nn.functional.pad(grays.float()[:, None], (1, 1, 1, 1), mode="reflect")
    with exact_arithmetic(grays.device):
        laplacian = torch.nn.functional.conv2d(mirrored, stencil[None, None])
    return laplacian.double().var((1, 2, 3), correction=0)


def gray_histograms(grays: Tensor) -> Tensor:
    """``(n, 256)`` float32 counts of the gray levels of ``(n, h, w)`` frames."""
    return torch.stack(
        [torch.bincount(image.reshape(-1), minlength=_GREY_LEVELS) for image in grays]
    ).float()
