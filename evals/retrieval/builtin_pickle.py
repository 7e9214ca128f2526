"""Pickles of plain containers and strings, read without running what they ask for.

A pickle is a program: the ordinary reader runs it, so a file from elsewhere can do anything.
This one refuses every name but those of empty containers.
"""

import pickle
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import InputError

_CONTAINERS = {
    ("builtins", "dict"),
    ("builtins", "list"),
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
}
# What the reader raises over bytes that are no pickle, or half of one.
_MALFORMED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class _BuiltinUnpickler(pickle.Unpickler):
    """A reader that knows containers only."""

    def find_class(self, module: str, name: str) -> Any:
        """The container of this name.

        Raises:
            UnpicklingError: It is something else, which could run code.
        """
        home = "builtins" if module == "__builtin__" else module  # so Python 2 called it
        if (home, name) not in _CONTAINERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain value")
        return super().find_class(home, name)


def read_builtin_pickle(path: Path) -> Any:
    """The value in a pickle of dicts, lists, sets, tuples, strings, bytes and numbers.

    Raises:
        InputError: It cannot be read, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _BuiltinUnpickler(file).load()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except _MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is not a pickle of plain values: {reason}") from error
