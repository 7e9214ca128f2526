"""Operations on a row of numbers that scoring and selection share."""

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError


def min_max(values: Tensor, *, tolerance: float) -> Tensor:
    """Stretch values to [0, 1]; constant ones become zero.

    Args:
        values: ``(n,)`` floating-point values, at least one.
        tolerance: Largest spread that counts as rounding noise: such values are constant. Without
            it, identical frames would be ranked by the last bit of a sum.

    Example:
        >>> min_max(torch.tensor([2.0, 4.0, 3.0]), tolerance=1e-6)
        tensor([0.0000, 1.0000, 0.5000])
        >>> min_max(torch.tensor([2.0, 2.0 + 2e-7]), tolerance=1e-6)
        tensor([0., 0.])
    """
    low, high = values.aminmax()
    spread = high - low
    stretched = (values - low) / spread
    return torch.where(spread > tolerance, stretched, torch.zeros_like(values))


def require_finite(values: Tensor, name: str) -> None:
    """Check that a tensor holds neither NaN nor infinity.

    Raises:
        InputError: A value is not finite; the message counts the rows and names the first one.
    """
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        rows = bad.reshape(len(values), -1).any(dim=1).nonzero().flatten()
        raise InputError(
            f"{name} must be finite, got NaN or infinity in {len(rows)} of {len(values)} rows, "
            f"first in row {int(rows[0])}"
        )
