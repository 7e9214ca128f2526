"""Types for argparse; each converts one argument, or raises an error that says what is wrong."""

import argparse
import math
from collections.abc import Callable, Sequence

from keyscore_plugin._runtime.names import unknown
from keyscore_plugin.errors import shown


def one_of(kind: str, names: Sequence[str]) -> Callable[[str], str]:
    """Return a type that accepts some names; unlike ``choices``, it suggests a similar name."""

    def known(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(unknown(kind, name, names))
        return name

    return known


def non_empty_text(text: str) -> str:
    """Accept a text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the text is empty; give a sentence, or leave it out")
    return text


def whole_number(text: str) -> int:
    """Accept a whole number of 1 or more."""
    if not text.lstrip("+-").isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {shown(text)}")
    return int(text)


def amount(text: str, *, unit: str) -> float:
    """Accept a number above 0 of some unit."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of {unit} above 0, got {shown(text)}")
    return value


def seconds(text: str) -> float:
    """Accept a time in seconds from the first frame, 0 or more."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds from the first frame, 0 or more, got {shown(text)}"
        )
    return value


def finite_number(text: str) -> float:
    """Accept a finite number."""
    value = _number(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {shown(text)}")
    return value


def _number(text: str) -> float:
    """Return the number, or NaN if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
