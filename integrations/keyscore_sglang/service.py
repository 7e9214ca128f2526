"""What chooses frames in this process: one encoder, some threads, and the frames of before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.hosts import Chosen, Fold
from keyscore_serving import FrameChooser, FrameRequest, ServerSettings, split_url
from keyscore_serving.cache import MemoryCache
from keyscore_serving.settings import whole_number
from keyscore_serving.sources import identity_of_fetched

_FOLD = Fold(frames_per_patch=2)  # of every Qwen-VL
_CACHE_BYTES = 256 << 20  # ours: some hundred frames of 640 x 360
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
        self._chooser = FrameChooser(settings)
        self._cache = MemoryCache[Chosen](_CACHE_BYTES)
        # Jobs run side by side: with two threads of torch each, the same selection took three times
        # as long on a busy machine.
        self._threads = ThreadPoolExecutor(
            max_workers=whole_number("KEYSCORE_JOBS") or 2,
            thread_name_prefix="keyscore-job",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )

    def frames(self, source: str | bytes, keys: dict[str, str]) -> Chosen:
        """The chosen frames of a video, found again if they were chosen before.

        Args:
            source: Path or content of a video that SGLang has fetched.
            keys: What the client asks.

        Raises:
            ValueError: The request cannot be met, or the video cannot be read. SGLang answers 400.
        """
        try:
            request = FrameRequest.of(keys, self._settings.limits)
            key = f"{request.digest()}:{identity_of_fetched(source)}"
            chosen = self._cache.get(key)
            if chosen is None:
                job = self._threads.submit(self._chooser.choose, source, request, fold=_FOLD)
                chosen = job.result()
                self._cache.put(key, chosen, n_bytes=chosen.pixels.nbytes)
            return chosen
        except KeyScoreError as error:
            raise ValueError(f"keyscore: {error}") from error


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


def asked_of(url: object) -> tuple[dict[str, str], str] | None:
    """The keys of a ``keyscore:`` URL and the address of its video; None for anything else.

    Raises:
        ValueError: The URL cannot be read.
    """
    if not isinstance(url, str):
        return None
    try:
        return split_url(url)
    except KeyScoreError as error:
        raise ValueError(f"keyscore: {error}") from error
