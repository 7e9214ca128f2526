"""Frames that were chosen before, kept in memory."""

import threading
from collections import OrderedDict

from keyscore_openai.parts import FrameParts


class PartsCache:
    """Parts of earlier requests, within a bound of memory.

    The parts that were not asked for longest go first. Threads may share one cache.

    Args:
        max_bytes: Largest size of all pictures in it, as text.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._kept: OrderedDict[str, tuple[FrameParts, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> FrameParts | None:
        """The parts of a key; None if there are none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, parts: FrameParts) -> None:
        """Keep parts; those that are larger than the whole cache are not kept."""
        size = sum(len(part.get("image_url", {}).get("url", "")) for part in parts.content)
        with self._lock:
            if key in self._kept or size > self._max_bytes:
                return
            self._kept[key] = parts, size
            self._n_bytes += size
            while self._n_bytes > self._max_bytes:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._n_bytes -= dropped
