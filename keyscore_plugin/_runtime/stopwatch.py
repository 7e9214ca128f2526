"""Seconds spent in each stage of a call.

A sampler's call opens `counting`, and the code on the way names its `stage`. The stopwatch is a
context variable, so no signature carries it; where nothing counts, `stage` does nothing.
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
    """Seconds spent in each of `keyscore_plugin.types.STAGES`, and in total.

    The time of a stage inside another one counts for the inner stage alone, so the stages never sum
    to more than the total.
    """

    def __init__(self) -> None:
        self._start = self._since = time.perf_counter()
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._stages: list[str] = []  # from the outermost to the one that counts now

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
        """The seconds so far of each stage, and ``"total"``."""
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
    """Count the time inside the block for a stage of the call that is going on.

    Args:
        name: One of `keyscore_plugin.types.STAGES`.
    """
    stopwatch = _running.get()
    return nullcontext() if stopwatch is None else stopwatch.stage(name)


def waiting(name: str, items: Iterator[T]) -> Iterator[T]:
    """Pass items on; the time until each one comes counts for the stage ``name``."""
    while True:
        with stage(name):
            item = list(islice(items, 1))
        if not item:
            return
        yield item[0]
