"""What the operator of the proxy decides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from keyscore_openai.parts import PartSettings
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import DownloadLimits
from keyscore_serving import ServerSettings, VideoSources
from keyscore_serving.middleware import MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """What the operator of the proxy decides.

    Attributes:
        upstream: Address of the server that answers, without the path of a request.
        choosing: Encoder, device, decoder and upper bounds.
        sources: Videos that clients may name; by default none by path, and of URLs those whose
            server has a public address.
        parts: Settings by which frames are written for the server.
        max_body_bytes: Largest body of a chat request, and largest size of the frames that are
            chosen for it; the large bodies together take at most twice that.
        n_jobs: Videos that frames are chosen of at once, each in a process with its own encoder.
        n_waiting: Further videos that wait for that, and further ones that wait to be fetched; one
            more is answered with 429.
        select_seconds: Longest time for the frames of one video, a download and the waiting
            included.
        answer_seconds: Longest silence of the server, longest time until a chat has arrived,
            longest silence of a client that sends another body, and longest time for the answers
            that run when the proxy is stopped.
        cache_bytes: Memory for frames that were chosen before, with their pictures.
        download_cache_bytes: Room in the temporary folder for videos that were downloaded before;
            those that wait for their frames come on top.

    Raises:
        InputError: A value cannot be used.
    """

    upstream: str
    choosing: ServerSettings = field(default_factory=ServerSettings)
    sources: VideoSources = field(
        default_factory=lambda: VideoSources(limits=DownloadLimits(public_only=True))
    )
    parts: PartSettings = field(default_factory=PartSettings)
    max_body_bytes: int = MAX_BODY_BYTES
    n_jobs: int = 2
    n_waiting: int = 32
    select_seconds: float = 120.0
    answer_seconds: float = 600.0
    cache_bytes: int = 256 << 20
    download_cache_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.upstream)
        except httpx.InvalidURL as error:
            raise InputError(
                f"upstream is no URL ({error}); give one such as {_EXAMPLE}"
            ) from error
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            raise InputError(
                f"upstream must be an http: or https: URL without a query, got "
                f"{shown(self.upstream)}; give one such as {_EXAMPLE}"
            )
        if url.userinfo:  # not shown: it may hold a password
            raise InputError(
                "upstream names a user; leave it out, since clients send their own authentication"
            )
        _require_folders(self.sources.folders)


_EXAMPLE = "http://localhost:8000"


def _require_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; allow clients a folder that exists")
