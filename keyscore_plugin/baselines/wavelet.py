"""The db4 wavelet: the coarsest detail of a signal."""

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d

# Daubechies, Ten Lectures on Wavelets (1992), table 6.1, N = 4.
_DB4 = torch.tensor(
    [
        0.2303778133088964,
        0.7148465705529154,
        0.6308807679298587,
        -0.0279837694168599,
        -0.1870348117190931,
        0.0308413818355607,
        0.0328830116668852,
        -0.0105974017850690,
    ],
    dtype=torch.float64,
)
_N_TAPS = len(_DB4)
_LOW = _DB4
_HIGH = _DB4.flip(0) * torch.tensor([1.0, -1.0] * (_N_TAPS // 2), dtype=torch.float64)


def coarsest_detail(signal: Tensor, *, levels: int) -> Tensor:
    """The part of a signal that lives in the coarsest detail of its wavelet transform.

    A discrete wavelet transform with db4 and mirrored ends; all coefficients but the details of the
    last level are set to zero, and the transform is undone.

    Args:
        signal: ``(n,)``.
        levels: How often the signal is split, at least once.

    Returns:
        ``(n,)`` float64.
    """
    approximation = signal.double()
    lengths = []
    for _ in range(levels):
        lengths.append(len(approximation))
        mirrored = _mirrored(approximation)
        detail = _analysed(mirrored, _HIGH)
        approximation = _analysed(mirrored, _LOW)
    rebuilt = _synthesised(detail, _HIGH, lengths[-1])
    for length in reversed(lengths[:-1]):
        rebuilt = _synthesised(rebuilt, _LOW, length)
    return rebuilt


def _mirrored(signal: Tensor) -> Tensor:
    """The signal with its mirror image before and behind it, the end samples repeated."""
    n = len(signal)
    # The first filter position of the transform ends on the second sample, the last one starts on
    # the last or the one before.
    places = torch.arange(2 - _N_TAPS, n + _N_TAPS - 2 + n % 2) % (2 * n)
    return signal[torch.minimum(places, 2 * n - 1 - places)]


def _analysed(mirrored: Tensor, taps: Tensor) -> Tensor:
    return conv1d(mirrored[None, None], taps[None, None], stride=2)[0, 0]


def _synthesised(coefficients: Tensor, taps: Tensor, length: int) -> Tensor:
    whole = conv_transpose1d(coefficients[None, None], taps[None, None], stride=2)[0, 0]
    return whole[_N_TAPS - 2 :][:length]
