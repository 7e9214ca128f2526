"""How far a long stage is, for whoever shows it. Nothing is shown unless somebody listens.

The stages call `advance` from their loops, and `loading` around what loads a model; a rim such as
the command line wraps the whole call in `listening`. So no signature on the way carries a progress
argument.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int], None]
Batch = TypeVar("Batch", bound=Sized)

Loads = Callable[[str], AbstractContextManager[None]]

_loads: ContextVar[Loads | None] = ContextVar("keyscore_loads", default=None)
_listener: ContextVar[Listener | None] = ContextVar("keyscore_progress", default=None)


def advance(stage: str, done: int, total: int) -> None:
    """Say that ``done`` of ``total`` items of a stage are finished.

    Args:
        stage: One of `keyscore_plugin.types.STAGES`.
        done: Items finished so far; may end below an estimated total.
        total: Items of the whole stage.
    """
    listener = _listener.get()
    if listener is not None:
        listener(stage, done, total)


def track(stage: str, batches: Iterable[Batch], *, total: int) -> Iterator[Batch]:
    """Pass batches on, and `advance` by the length of each one when it has been dealt with.

    Example:
        >>> with listening(lambda stage, done, total: print(stage, done, total)):
        ...     sizes = [len(batch) for batch in track("decode", ["abc", "de"], total=5)]
        decode 3 5
        decode 5 5
    """
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        advance(stage, done, total)


@contextmanager
def part_of(done: int, total: int) -> Iterator[None]:
    """Within this block a stage speaks of a part alone: count from ``done``, of ``total``.

    Example:
        >>> with listening(lambda stage, done, total: print(stage, done, total)):
        ...     with part_of(64, 100):
        ...         advance("encode", 8, 36)
        encode 72 100
    """
    listener = _listener.get()
    if listener is None:
        yield
        return
    with listening(lambda stage, of_part, _: listener(stage, done + of_part, total)):
        yield


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Say that a model is being loaded, for as long as this block takes.

    Args:
        what: Such as ``"encoder conse"``.
    """
    show = _loads.get()
    with nullcontext() if show is None else show(what):
        yield


@contextmanager
def watching_loads(show: Loads) -> Iterator[None]:
    """Enter ``show(what)`` around every `loading` in this block."""
    token = _loads.set(show)
    try:
        yield
    finally:
        _loads.reset(token)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(stage, done, total)`` at every `advance` in this block.

    Example:
        >>> with listening(lambda stage, done, total: print(stage, done, total)):
        ...     advance("encode", 8, 64)
        encode 8 64
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
