"""What earlier requests were given, kept in memory."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class MemoryCache(Generic[V]):
    """Values of earlier requests, within a bound of memory.

    The values that were not asked for longest go first. Threads may share one cache.

    Args:
        max_bytes: Largest size of all values in it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> V | None:
        """The value of a key; None if there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, value: V, *, n_bytes: int) -> None:
        """Keep a value; one that is larger than the whole cache is not kept.

        Args:
            key: Everything that decides the value.
            value: Value that nobody changes.
            n_bytes: Size of the value.
        """
        with self._lock:
            if key in self._kept or n_bytes > self._max_bytes:
                return
            self._kept[key] = value, n_bytes
            self._n_bytes += n_bytes
            while self._n_bytes > self._max_bytes:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._n_bytes -= dropped
