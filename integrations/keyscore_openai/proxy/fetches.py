"""The videos at URLs, fetched for the requests of one proxy."""

import asyncio
import math
from dataclasses import dataclass
from functools import partial

from keyscore_openai.proxy.settings import ProxySettings
from keyscore_plugin.hosts import DownloadCache, DownloadedVideo, DownloadLimits
from keyscore_serving.jobs import Jobs

_N_AT_ONCE = 8  # ours: a fetch that stalls takes one place here, and no worker


@dataclass(slots=True)
class _Fetch:
    """A fetch that runs or waits.

    Attributes:
        task: Its task.
        n_requests: Number of requests that wait for it.
    """

    task: "asyncio.Task[DownloadedVideo]"
    n_requests: int = 0


class Fetches:
    """Fetches videos in separate threads, so that what needs no network never waits for them.

    Requests for one URL that come while it is fetched share that fetch.

    Args:
        settings: Settings of the operator.

    Attributes:
        jobs: Threads that download a video, or ask its server whether it has changed.
    """

    def __init__(self, settings: ProxySettings) -> None:
        # `Selecting` bounds the time of a selection as a whole.
        self.jobs = Jobs(n_running=_N_AT_ONCE, n_waiting=settings.n_waiting, max_seconds=math.inf)
        self._cache = DownloadCache(
            settings.sources.limits or DownloadLimits(),
            max_bytes=settings.download_cache_bytes,
            allowed_by="the settings of the server",
        )
        self._at_work: dict[str, _Fetch] = {}

    def keeps(self, url: str) -> bool:
        """Whether the video at a URL was downloaded before, and is sent again only if changed."""
        return self._cache.kept(url) is not None

    async def video(self, url: str) -> DownloadedVideo:
        """The video at a URL, as its server has it now. Hold the value while the file is read.

        Raises:
            BusyError: Too many videos wait to be fetched.
            InputError: The URL holds a user's name.
            VideoError: The video cannot be fetched within the limits.
        """
        fetch = self._at_work.get(url)
        if fetch is None:
            work = self.jobs.run(partial(self._cache.get, url))
            fetch = self._at_work[url] = _Fetch(asyncio.ensure_future(work))
        fetch.n_requests += 1
        try:
            return await asyncio.shield(fetch.task)
        finally:
            fetch.n_requests -= 1
            if not fetch.n_requests:  # the last one has its video, or nobody waits any longer
                del self._at_work[url]
                fetch.task.cancel()
