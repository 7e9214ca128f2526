"""Numbers of other libraries as Python's own numbers, which JSON needs."""

from numbers import Integral, Real
from typing import Any


def plain(value: Any) -> Any:
    """A number of NumPy or another library as an ``int`` or a ``float``; other values unchanged.

    Example:
        >>> import numpy as np
        >>> plain(np.int64(8)), plain(np.float32(0.5)), plain(True), plain("8")
        (8, 0.5, True, '8')
    """
    if isinstance(value, Integral):
        return value if isinstance(value, int) else int(value)
    return float(value) if isinstance(value, Real) else value


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: object) -> bool:
    """Whether a value is a number that a float can hold, NaN and infinity included.

    True and False are not numbers here.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
