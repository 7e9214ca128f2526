"""Seconds spent in each stage of a call.

A sampler's call enters `counting`, and the code that it calls enters a `stage`. The stopwatch is a
context variable, so that no signature needs it; without `counting`, `stage` does nothing.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from itertools import islice
from typing import TypeVar

from keyscore_plugin.types import STAGES

T = TypeVar("T")


class Stopwatch:
    """A stopwatch of seconds spent in each of `keyscore_plugin.types.STAGES`, and in total.

    The time of a stage inside another one counts for the inner stage alone, so the stages never sum
    to more than the total.
    """

    def __init__(self) -> None:
        self._start = self._since = time.perf_counter()
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._stages: list[str] = []  # from the outermost to the innermost, which counts

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block for the stage ``name``."""
        self._credit()
        self._stages.append(name)
        try:
            yield
        finally:
            self._credit()
            self._stages.pop()

    def seconds(self) -> dict[str, float]:
        """Return the seconds so far of each stage, and ``"total"``."""
        return {**self._seconds, "total": time.perf_counter() - self._start}

    def _credit(self) -> None:
        """Add the time since the last change to the stage in which it was spent."""
        now = time.perf_counter()
        if self._stages:
            self._seconds[self._stages[-1]] += now - self._since
        self._since = now


_running: ContextVar[Stopwatch | None] = ContextVar("keyscore_stopwatch", default=None)


@contextmanager
def counting() -> Iterator[Stopwatch]:
    """Start a stopwatch to which every `stage` inside the block belongs.

    Example:
        >>> with counting() as stopwatch, stage("encode"):
        ...     pass
        >>> sorted(stopwatch.seconds())
        ['caption', 'decode', 'encode', 'propose', 'score', 'select', 'total']
    """
    stopwatch = Stopwatch()
    token = _running.set(stopwatch)
    try:
        yield stopwatch
    finally:
        _running.reset(token)


def stage(name: str) -> AbstractContextManager[None]:
    """Count the time inside the block for a stage of the current call.

    Args:
        name: Name of the stage, from `keyscore_plugin.types.STAGES`.
    """
    stopwatch = _running.get()
    return nullcontext() if stopwatch is None else stopwatch.stage(name)


def waiting(name: str, items: Iterator[T]) -> Iterator[T]:
    """Yield items; the time spent waiting for each one counts for the stage ``name``."""
    while True:
        with stage(name):
            item = list(islice(items, 1))
        if not item:
            return
        yield item[0]
