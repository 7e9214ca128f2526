"""Numbers of other libraries as Python's own, which alone can be written as JSON."""

from numbers import Integral, Real
from typing import Any


def plain(value: Any) -> Any:
    """A number of numpy and its like as an ``int`` or a ``float``; anything else as it is.

    Example:
        >>> import numpy as np
        >>> plain(np.int64(8)), plain(np.float32(0.5)), plain(True), plain("8")
        (8, 0.5, True, '8')
    """
    if isinstance(value, Integral):
        return value if isinstance(value, int) else int(value)
    return float(value) if isinstance(value, Real) else value


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: object) -> bool:
    """Whether a value is a number, NaN and infinity among them; True and False are none.

    Nor is a whole number that no float can hold.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
