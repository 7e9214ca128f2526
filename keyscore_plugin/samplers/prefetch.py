"""Work ahead of whoever reads: the next items are made in a thread while one is dealt with."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """Pass items on in order, while a thread makes up to ``depth`` of the next ones.

    Worth it where making an item releases the interpreter's lock, as decoders do. An error of
    ``items`` is raised where its item would have come. Closing this early waits for the item in
    the making, and for no other.

    Args:
        items: What is made; only the thread touches it until this is exhausted or closed.
        depth: Items made ahead at most; bounds memory.

    Example:
        >>> list(ahead(iter("abc"), depth=2))
        ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="keyscore-ahead") as thread:
        # Each future holds one item, or none after the last.
        waiting: deque[Future[list[T]]] = deque()
        try:
            waiting.extend(thread.submit(_next, items) for _ in range(depth))
            while item := waiting.popleft().result():
                waiting.append(thread.submit(_next, items))
                yield item[0]
        finally:
            for future in waiting:
                future.cancel()


def _next(items: Iterator[T]) -> list[T]:
    """The next item alone in a list; an empty list after the last."""
    for item in items:
        return [item]
    return []
