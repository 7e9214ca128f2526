"""What chooses frames in this process: one encoder, some threads, and the frames of before."""

import threading
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from keyscore_plugin.hosts import BACKEND, Chosen, Fold
from keyscore_serving import (
    FrameChooser,
    FrameRequest,
    RequestLimits,
    ServerSettings,
)
from keyscore_serving.cache import MemoryCache
from keyscore_serving.jobs import Jobs
from keyscore_serving.sources import identity_of_fetched

VideoItem = tuple[npt.NDArray[np.uint8], dict[str, Any]]

CACHE_BYTES = 256 << 20  # ours: some hundred frames of 640 x 360
_LOCK = threading.Lock()


class FrameService:
    """Chooses frames for the requests of one process.

    Args:
        settings: What the server decides. The encoder is loaded at once.

    Raises:
        ModelError: The encoder cannot be loaded.
        InputError: A setting cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._jobs = Jobs.from_environment()
        self._chooser = FrameChooser(settings)
        self._cache = MemoryCache[VideoItem](CACHE_BYTES)

    @property
    def limits(self) -> RequestLimits:
        """Upper bounds of a request."""
        return self._settings.limits

    def frames(self, video: bytes | Path, request: FrameRequest, fold: Fold) -> VideoItem:
        """The chosen frames of a video, found again if they were chosen before.

        Args:
            video: Contents or path of a video that the client may read.
            request: What the client asks.
            fold: How the model folds frames into visual tokens.

        Returns:
            ``(n, h, w, 3)`` uint8 RGB, and the metadata that vLLM's own loaders give.

        Raises:
            VideoError: The video cannot be read.
            InputError: The request cannot be met.
        """
        key = f"{request.digest()}:{fold.frames_per_patch}:{identity_of_fetched(video)}"
        found = self._cache.get(key)
        if found is None:
            found = item_of(self._chooser.choose(video, request, fold=fold))
            self._cache.put(key, found, n_bytes=found[0].nbytes)
        return found

    async def frames_in_thread(
        self, video: bytes | Path, request: FrameRequest, fold: Fold
    ) -> VideoItem:
        """`frames`, chosen in a thread so that the event loop stays free.

        Raises:
            BusyError: Too many videos wait.
            LateError: The choice took too long.
        """
        return await self._jobs.run(partial(self._one_threaded, video, request, fold))

    def _one_threaded(self, video: bytes | Path, request: FrameRequest, fold: Fold) -> VideoItem:
        # Jobs run side by side already: with two threads each, the same selection took three times
        # as long on a busy machine.
        torch.set_num_threads(1)
        return self.frames(video, request, fold)


def item_of(chosen: Chosen) -> VideoItem:
    """Chosen frames as vLLM takes a video: ``(n, h, w, 3)`` uint8 RGB, and its metadata."""
    metadata = {**chosen.metadata, "video_backend": BACKEND, "do_sample_frames": False}
    return chosen.pixels.permute(0, 2, 3, 1).contiguous().numpy(), metadata


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
