"""The videos of a chat, replaced by the frames that its keys ask for."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from keyscore_openai.proxy.metrics import Metrics
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.workers import Workers
from keyscore_plugin.hosts import (
    Copy,
    DownloadCache,
    DownloadedVideo,
    DownloadLimits,
    is_data_url,
    is_remote,
)
from keyscore_serving import FrameRequest, rewrite, split_url
from keyscore_serving.cache import MemoryCache
from keyscore_serving.jobs import Jobs
from keyscore_serving.rewriting import chat_of


class Selecting:
    """Chooses the frames of chats, for one proxy.

    Args:
        settings: What the operator decides.
        workers: Processes that choose.
        jobs: Threads that fetch videos and wait for the workers.
        metrics: Counters.
    """

    def __init__(
        self, settings: ProxySettings, workers: Workers, jobs: Jobs, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._jobs = jobs
        self._metrics = metrics
        self._cache = MemoryCache[list[dict[str, Any]]](settings.cache_bytes)
        self._downloads = DownloadCache(
            settings.sources.limits or DownloadLimits(),
            max_bytes=settings.download_cache_bytes,
            allowed_by="the settings of the server",
        )

    async def forwardable(self, body: bytes) -> tuple[bytes, int]:
        """The body to forward, and the number of videos that frames were chosen of.

        A chat that asks for no frames stays byte for byte.

        Args:
            body: Body of a chat request.

        Raises:
            KeyScoreError: The request cannot be met.
            BusyError: Too many selections wait.
            LateError: A selection took too long.
        """
        chat = await asyncio.to_thread(self._asked, body)
        if chat is None:
            return body, 0
        n_videos = 0
        for message in chat["messages"]:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, list):
                made: list[Any] = []
                for part in content:
                    shown = await self._shown(part)
                    made += [part] if shown is None else shown
                    n_videos += shown is not None
                message["content"] = made
        return await asyncio.to_thread(lambda: json.dumps(chat).encode()), n_videos

    def _asked(self, body: bytes) -> dict[str, Any] | None:
        """The chat with its requests as URLs; None if it asks for no frames."""
        chat = chat_of(body)
        choosing = self._settings.choosing
        if chat is None:
            return None
        return rewrite(chat, limits=choosing.limits, default=choosing.default)

    async def _shown(self, part: Any) -> list[dict[str, Any]] | None:
        """The frames of a part that asks for some; None for every other part."""
        place = part.get("video_url") if isinstance(part, dict) else None
        url = place.get("url") if isinstance(place, dict) else None
        split = split_url(url) if isinstance(url, str) else None
        if split is None:
            return None
        keys, video = split
        request = FrameRequest.of(keys, self._settings.choosing.limits)
        return await self._jobs.run(partial(self._chosen, video, request))

    def _chosen(self, video: str, request: FrameRequest) -> list[dict[str, Any]]:
        """The parts of one video; runs in a thread."""
        video = self._settings.sources.require(video)
        downloaded = self._downloads.get(video) if is_remote(video) else None
        if downloaded is None:
            identity = self._settings.sources.identity(video)
        else:
            identity = downloaded.digest
        key = None if identity is None else f"{request.digest()}:{identity}"
        if key is not None and (found := self._cache.get(key)) is not None:
            self._metrics.hit()
            return found
        with _file_of(video, downloaded) as (path, name):
            seconds = self._settings.select_seconds
            made = self._workers.choose(path, request, name=name, max_seconds=seconds)
        self._metrics.selected(request.sampler, made.seconds)
        if key is not None:
            size = sum(len(part.get("image_url", {}).get("url", "")) for part in made.content)
            self._cache.put(key, made.content, n_bytes=size)
        return made.content


@contextmanager
def _file_of(video: str, downloaded: DownloadedVideo | None) -> Iterator[tuple[str, str]]:
    """Path of a file that holds the video, and the name of the video in errors."""
    if downloaded is not None:
        yield downloaded.path, video
    elif is_data_url(video):
        copy = Copy(video)
        try:
            yield copy.path, copy.name
        finally:
            copy.delete()
    else:
        yield video, video
