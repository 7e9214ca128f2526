"""Progress of long stages, passed to a listener; without a listener nothing is shown.

The stages call `advance` in their loops, and enter `loading` while they load a model. A caller that
shows progress, such as the command line, wraps the whole call in `listening`. The listener is a
context variable, so that no signature needs a progress argument.
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
    """Report that ``done`` of ``total`` items of a stage are finished.

    Args:
        stage: Name of the stage, from `keyscore_plugin.types.STAGES`.
        done: Number of items finished so far; it may end below an estimated total.
        total: Number of items in the whole stage.
    """
    listener = _listener.get()
    if listener is not None:
        listener(stage, done, total)


def track(stage: str, batches: Iterable[Batch], *, total: int) -> Iterator[Batch]:
    """Yield batches, and `advance` by the length of each one after it was consumed.

    Args:
        stage: Name of the stage, from `keyscore_plugin.types.STAGES`.
        batches: Batches of items.
        total: Number of items in all batches.

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
    """Count a stage in this block as a part of a larger one.

    Args:
        done: Number of items finished before the block.
        total: Number of items in the larger stage.

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
    """Report that a model is being loaded, for as long as this block takes.

    Args:
        what: Kind and name of the model, such as ``"encoder conse"``.
    """
    show = _loads.get()
    with nullcontext() if show is None else show(what):
        yield


@contextmanager
def watching_loads(show: Loads) -> Iterator[None]:
    """Enter the context ``show(what)`` around every `loading` in this block."""
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
