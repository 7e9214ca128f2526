"""The one exception family. Every message says what was given, what was expected, what to do.

A message is one line of at most `MOST_CHARACTERS`, whatever the caller passed: what was given is
shown by `shown`, and what is still too long loses its middle, never the advice at its end.
"""

import re
import reprlib
from typing import Any

MOST_CHARACTERS = 400  # of a message: five lines of a terminal
_MOST_SHOWN = 80  # ours: of a value that the caller gave, enough to recognise it
_MOST_BYTES = 32  # ours: more bytes than these are media, not a text
_MOST_PATH = 160  # ours: of a path, whose end is its most useful part
_GAP = " ... "
_BREAK = re.compile(r"\s*[^\S ]\s*")  # a line break, a tab ...; several spaces may belong to a name


class _Shown(reprlib.Repr):
    """`repr` of limited length; media, whose bytes a reader cannot use, show by size and type."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MOST_SHOWN

    def repr_bytes(self, value: bytes | bytearray, level: int) -> str:
        if len(value) <= _MOST_BYTES:
            return repr(value)
        return f"<{type(value).__name__} of {len(value):,}>"

    repr_bytearray = repr_bytes

    def repr_memoryview(self, value: memoryview, level: int) -> str:
        return f"<memoryview of {value.nbytes:,} bytes>"

    def repr_ndarray(self, value: Any, level: int) -> str:
        return f"<array of shape {tuple(value.shape)}, {value.dtype}>"

    repr_Tensor = repr_ndarray

    def repr_int(self, value: int, level: int) -> str:
        # Python writes no integer of more digits than `sys.get_int_max_str_digits`.
        if value.bit_length() > 1024:
            return f"<int of {value.bit_length():,} bits>"
        return super().repr_int(value, level)


_SHOWN = _Shown()


def shown(value: object) -> str:
    """A value that the caller gave, as a message shows it: its `repr`, short and on one line.

    Example:
        >>> shown("kescore"), shown(b"clip.mp4"), shown(bytes(5000))
        ("'kescore'", "b'clip.mp4'", '<bytes of 5,000>')
    """
    return one_line(_SHOWN.repr(value), most=_MOST_SHOWN)


def one_line(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """The text without line breaks and control characters; the middle of a long one is left out.

    Args:
        text: Text to shorten.
        most: Largest number of characters. Two thirds of them are for the end, which says what to
            do.
    """
    if len(text) > 4 * most:  # of megabytes only the ends are looked at
        text = text[: 2 * most] + _GAP + text[-2 * most :]
    line = _BREAK.sub(" ", text).strip()
    if not line.isprintable():
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    if len(line) <= most:
        return line
    end = 2 * most // 3
    return line[: most - end - len(_GAP)] + _GAP + line[-end:]


class KeyScoreError(Exception):
    """Base of every error that KeyScore raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class InputError(KeyScoreError, ValueError):
    """A value the caller gave cannot be used: an argument, a text, a config, a name."""


def require_kind(value: object, *kinds: type, name: str) -> None:
    """Refuse an argument of a type that a call does not take.

    Args:
        value: Value of the argument.
        kinds: Types that the call takes.
        name: Name of the argument in the error.

    Raises:
        InputError: The value is of another type.
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise InputError(f"{name} must be of the type {wanted}, got {shown(value)}")


class VideoError(KeyScoreError, OSError):
    """A video cannot be read.

    Args:
        path: Name of the video, as the caller gave it.
        cause: Clause that says why it cannot be read.
        remedy: Clause that says what the caller can do about it.
    """

    def __init__(self, path: str, cause: str, remedy: str) -> None:
        super().__init__(f"cannot read {one_line(path, most=_MOST_PATH)}: {cause}; {remedy}")
        self.path = path
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["VideoError"], tuple[str, str, str]]:
        """Pickle by the three parts, so that a worker process can hand the error back."""
        return type(self), (self.path, self.cause, self.remedy)


class MissingDependencyError(KeyScoreError, ImportError):
    """An optional package is needed and is not installed, or does not load."""


class MemoryEndedError(KeyScoreError):
    """The memory of a device does not hold what choosing frames of one video needs."""


class ModelError(KeyScoreError):
    """An encoder or a captioner cannot be loaded, or cannot do what is asked of it."""


class CacheError(KeyScoreError):
    """The folder of a cache cannot be used; the values that it should keep are not at fault."""
