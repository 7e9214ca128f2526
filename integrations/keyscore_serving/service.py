"""What chooses frames in the process of a server: one encoder, some threads, and a memory."""

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

from keyscore_plugin.hosts import Chosen, Fold
from keyscore_serving.cache import MemoryCache
from keyscore_serving.choosing import FrameChooser
from keyscore_serving.jobs import Jobs
from keyscore_serving.request import FrameRequest, RequestLimits
from keyscore_serving.settings import ServerSettings
from keyscore_serving.sources import identity_of_fetched

T = TypeVar("T")

CACHE_BYTES = 256 << 20  # ours: some hundred frames of 640 x 360
_LOCK = threading.Lock()


class FrameService:
    """Chooses frames for the requests of one process.

    Args:
        settings: Settings of the server. The encoder is loaded at once.

    Raises:
        ModelError: The encoder cannot be loaded.
        InputError: A setting cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._jobs = Jobs.from_environment()
        self._chooser = FrameChooser(settings)
        self._cache = MemoryCache[Chosen](CACHE_BYTES)

    @property
    def limits(self) -> RequestLimits:
        """Upper bounds of a request."""
        return self._settings.limits

    def frames(self, video: bytes | str | Path, request: FrameRequest, fold: Fold) -> Chosen:
        """The chosen frames of a video, found again if they were chosen before.

        What nothing identifies, such as a ``file:`` URL, is chosen from each time.

        Args:
            video: Contents or path of a video that the client may read.
            request: Request of the client.
            fold: Fold of the model's frames into visual tokens.

        Returns:
            Frames that nobody changes: later requests get them too.

        Raises:
            VideoError: The video cannot be read.
            InputError: The request cannot be met.
        """
        identity = identity_of_fetched(video)
        if identity is None:
            return self._chooser.choose(video, request, fold=fold)
        key = f"{request.digest()}:{fold.frames_per_patch}:{identity}"
        found = self._cache.get(key)
        if found is None:
            found = self._chooser.choose(video, request, fold=fold)
            assert found.frames is not None
            self._cache.put(key, found, n_bytes=found.frames.pixels.nbytes)
        return found

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of work that calls `frames`, in a thread, so that the event loop stays free.

        Raises:
            BusyError: Too many videos wait.
            LateError: The work took too long.
        """

        def alone() -> T:
            # Jobs run side by side already: with two threads each, the same selection took three
            # times as long on a busy machine.
            torch.set_num_threads(1)
            return work()

        return await self._jobs.run(alone)


def frame_service() -> FrameService:
    """The service of this process, made by the settings in its environment.

    Raises:
        ModelError: The encoder cannot be loaded.
        InputError: A setting cannot be used.
    """
    with _LOCK:  # two requests at once would load two encoders
        return _made()


@cache
def _made() -> FrameService:
    return FrameService(ServerSettings.from_environment())
