"""Standard output and standard error of the command line."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from contextvars import ContextVar
from typing import TextIO

from keyscore_plugin.errors import InputError, one_line

_verbosity: ContextVar[int] = ContextVar("keyscore_verbosity", default=0)


@contextmanager
def speaking(verbosity: int) -> Iterator[None]:
    """Set what is printed to standard error in this block.

    Args:
        verbosity: Number below 0 for errors only, 0 for progress and notes, above 0 for details
            too.
    """
    token = _verbosity.set(verbosity)
    try:
        yield
    finally:
        _verbosity.reset(token)


def is_quiet() -> bool:
    """Whether only errors are printed."""
    return _verbosity.get() < 0


def is_verbose() -> bool:
    """Whether details are printed too."""
    return _verbosity.get() > 0


def tell(message: str) -> None:
    """Print one line with `say`, unless only errors are wanted."""
    if not is_quiet():
        say(message)


def detail(message: str) -> None:
    """Print one line with `say`, if details are wanted."""
    if is_verbose():
        say(message)


def say(message: str) -> None:
    """Print one line to standard error, if it can be written."""
    with suppress(OSError):  # a full disk must not end the run; the exit code reports errors too
        print(one_line(message), file=sys.stderr, flush=True)


def open_closed_streams() -> None:
    """Open the standard streams that the process was started without, on the null device.

    Otherwise the next file that is opened takes the number of such a stream, and what a library
    prints goes into that file.
    """
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:
        os.set_inheritable(null, True)  # for workers
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")  # print(file=None) would take standard output


@contextmanager
def own_stdout() -> Iterator[Callable[[str], None]]:
    """Keep standard output for the result; what libraries print goes to standard error.

    Yields:
        Function that prints the result, in UTF-8.

    Raises:
        BrokenPipeError: The reader of standard output is gone.
        InputError: Standard output is closed or cannot be written, such as on a full disk.
    """
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        # A file name that is not UTF-8 holds lone surrogates; escaped as \udcXX they are JSON.
        stdout.reconfigure(encoding="utf-8", errors="backslashreplace")

    def print_result(text: str) -> None:
        if stdout is None:
            raise InputError("cannot write standard output: it is closed; send it elsewhere")
        try:
            print(text, file=stdout, flush=True)
        except BrokenPipeError:
            _discard(stdout)
            raise
        except OSError as error:
            _discard(stdout)
            raise InputError(
                f"cannot write standard output: {error.strerror or error}; send it elsewhere"
            ) from error

    with redirect_stdout(sys.stderr):
        yield print_result


def _discard(stdout: TextIO) -> None:
    """Discard the rest of the buffer, which Python would flush at its end and fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
