"""The videos of a chat, replaced by the frames that its keys ask for."""

import asyncio
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio

from keyscore_openai.proxy.fetches import Fetches
from keyscore_openai.proxy.metrics import Metrics
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.workers import Workers
from keyscore_plugin.hosts import Copy, DownloadedVideo, is_data_url, is_remote
from keyscore_serving import FrameRequest, rewrite, split_url
from keyscore_serving.cache import MemoryCache
from keyscore_serving.jobs import BusyError, Jobs, LateError
from keyscore_serving.middleware import BodyTooLargeError
from keyscore_serving.rewriting import chat_of

Parts = list[dict[str, Any]]

_N_LOOKUPS = 8  # ours: they read no video and use no network


class Selecting:
    """Chooses the frames of chats, for one proxy.

    Args:
        settings: Settings of the operator.
        workers: Processes that choose.
        jobs: Threads that wait for the workers.
        fetches: Videos at URLs.
        metrics: Counters.
    """

    def __init__(
        self,
        settings: ProxySettings,
        workers: Workers,
        *,
        jobs: Jobs,
        fetches: Fetches,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._jobs = jobs
        self._fetches = fetches
        self._metrics = metrics
        # What is kept needs no worker, and waits for none. The number of chats bounds this queue.
        self._lookups = Jobs(n_running=_N_LOOKUPS, n_waiting=sys.maxsize, max_seconds=math.inf)
        self._cache = MemoryCache[Parts](settings.cache_bytes)

    async def forwardable(self, body: bytearray) -> tuple[bytes, int]:
        """The body to forward, and the number of videos that frames were chosen of.

        A chat that asks for no frames stays byte for byte.

        Args:
            body: Body of a chat request. It is emptied, since it may be large.

        Raises:
            KeyScoreError: The request cannot be met.
            BodyTooLargeError: The chosen frames are larger than a body may be.
            BusyError: Too many selections wait.
            LateError: A selection took too long.
        """
        chat = await asyncio.to_thread(self._asked, body)
        unchanged = bytes(body) if chat is None else b""
        body.clear()
        if chat is None:
            return unchanged, 0
        n_videos = n_bytes = 0
        for message in chat["messages"]:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, list):
                made: list[Any] = []
                for part in content:
                    shown = await self._shown(part)
                    made += [part] if shown is None else shown
                    n_videos += shown is not None
                    # Equal parts are one object until they are written out.
                    n_bytes += _n_bytes(shown or [])
                    self._require_size(n_bytes)
                message["content"] = made
        return await asyncio.to_thread(lambda: json.dumps(chat).encode()), n_videos

    def _require_size(self, n_bytes: int) -> None:
        """Refuse frames that together are larger than a body may be."""
        most = self._settings.max_body_bytes
        if n_bytes > most:
            raise BodyTooLargeError(
                f"the chosen frames of the chat's videos take more than {most:,} bytes, the "
                "server's bound; ask for fewer frames ('num_frames'), or send fewer videos"
            )

    def _asked(self, body: bytearray) -> dict[str, Any] | None:
        """The chat with its requests as URLs; None if it asks for no frames."""
        chat = chat_of(body)
        choosing = self._settings.choosing
        if chat is None:
            return None
        return rewrite(chat, limits=choosing.limits, default=choosing.default)

    async def _shown(self, part: Any) -> Parts | None:
        """The frames of a part that asks for some; None for every other part."""
        place = part.get("video_url") if isinstance(part, dict) else None
        url = place.get("url") if isinstance(place, dict) else None
        split = split_url(url) if isinstance(url, str) else None
        if split is None:
            return None
        keys, video = split
        request = FrameRequest.of(keys, self._settings.choosing.limits)
        with anyio.move_on_after(self._settings.select_seconds):
            return await self._parts(video, request)
        raise LateError

    async def _parts(self, video: str, request: FrameRequest) -> Parts:
        """The parts of one video; those that were made before need no worker, and wait for none."""
        downloaded = await self._downloaded(video) if is_remote(video) else None
        found = await self._lookups.run(partial(self._made, video, downloaded, request))
        if found is not None:
            return found
        return await self._jobs.run(partial(self._chosen, video, downloaded, request))

    async def _downloaded(self, url: str) -> DownloadedVideo:
        """The video at a URL; a new one is not downloaded only to be refused."""
        url = self._settings.sources.require(url)
        if self._jobs.is_full and not self._fetches.keeps(url):
            raise BusyError
        return await self._fetches.video(url)

    def _made(
        self, video: str, downloaded: DownloadedVideo | None, request: FrameRequest
    ) -> Parts | None:
        """The parts of one video if they were made before."""
        video = self._settings.sources.require(video)
        return self._found(self._key(video, downloaded, request))

    def _chosen(
        self, video: str, downloaded: DownloadedVideo | None, request: FrameRequest
    ) -> Parts:
        """The parts of one video, by a worker if an equal request before has not made them."""
        video = self._settings.sources.require(video)
        key = self._key(video, downloaded, request)
        found = self._found(key)
        if found is not None:
            return found
        with _file_of(video, downloaded) as (path, name):
            # From its start: frames that come too late are found when the client asks again.
            seconds = self._settings.select_seconds
            made = self._workers.choose(path, request, name=name, max_seconds=seconds)
        self._metrics.selected(request.sampler, made.seconds)
        if key is not None:
            self._cache.put(key, made.content, n_bytes=_n_bytes(made.content))
        return made.content

    def _key(
        self, video: str, downloaded: DownloadedVideo | None, request: FrameRequest
    ) -> str | None:
        """Key of the parts in the cache; None if nothing says that a video is the same."""
        if downloaded is None:
            identity = self._settings.sources.identity(video)
        else:
            identity = downloaded.digest
        return None if identity is None else f"{request.digest()}:{identity}"

    def _found(self, key: str | None) -> Parts | None:
        found = None if key is None else self._cache.get(key)
        if found is not None:
            self._metrics.hit()
        return found


def _n_bytes(parts: Parts) -> int:
    """Size of the pictures in content parts, as they are written."""
    return sum(len(part.get("image_url", {}).get("url", "")) for part in parts)


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
