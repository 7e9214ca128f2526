"""Download a file within limits of size and time, and from public servers alone if asked to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.hosts.addresses import is_ip_address, is_public
from keyscore_plugin.types.numbers import is_real, is_whole
from keyscore_plugin.video.copies import UnnamedFile

if TYPE_CHECKING:
    import ssl

    import httpx

_AS_IT_IS = {"Accept-Encoding": "identity"}  # compressed, its size would be unknown
_NOT_MODIFIED = 304
_MOST_REDIRECTS = 10
_MOST_SECONDS = (1 << 31) // 1000  # poll(2), by which sockets wait, counts milliseconds in 31 bits


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits of a download.

    Attributes:
        max_bytes: Largest size of the file.
        max_seconds: Longest time for the whole download.
        public_only: Whether addresses that are not public (loopback, private, link-local ...) are
            refused, also without a redirect. A server needs this for the URLs of its clients.

    Raises:
        InputError: A limit is not a number above 0, or limits nothing.
    """

    max_bytes: int = 2 << 30
    max_seconds: float = 120.0
    public_only: bool = False

    def __post_init__(self) -> None:
        n, seconds = self.max_bytes, self.max_seconds
        if not is_whole(n) or n < 1:
            raise InputError(f"max_bytes must be a whole number >= 1, got {shown(n)}")
        if not (is_real(seconds) and 0 < seconds <= _MOST_SECONDS):
            raise InputError(
                f"max_seconds must be a number > 0 and <= {_MOST_SECONDS}, got {shown(seconds)}"
            )


def check_limits(limits: object, *, allowed_by: str) -> None:
    """Refuse limits of another type, before anything is opened.

    Args:
        limits: Limits as the caller gave them.
        allowed_by: Text that the user writes in this host to allow URLs, for the error.

    Raises:
        InputError: They are neither `DownloadLimits` nor None.
    """
    if not isinstance(limits, DownloadLimits | None):
        raise InputError(
            f"limits={shown(limits)} is no DownloadLimits; allow URLs by {allowed_by}, or leave it "
            "out, which refuses them"
        )


@contextmanager
def downloaded(url: str, limits: DownloadLimits, *, allowed_by: str) -> Iterator[str]:
    """Download a URL to an unnamed file, which is deleted afterwards: `fetch` for one use.

    Args:
        url: Address of the file.
        limits: Limits of size and time.
        allowed_by: Text that the user writes in this host to allow more, for the errors.

    Yields:
        Path of the file.

    Raises:
        VideoError: The file cannot be fetched within the limits.
    """
    file = UnnamedFile()
    try:
        fetch(url, file, limits, allowed_by=allowed_by)
        yield file.path
    finally:
        file.delete()


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What a server says of the file that it sends (RFC 9110, section 8.8).

    Attributes:
        etag: Its entity tag; None if there is none.
        last_modified: Its date of modification as the server writes it; None if there is none.
        may_be_kept: Whether the server lets caches keep the file.
    """

    etag: str | None = None
    last_modified: str | None = None
    may_be_kept: bool = True

    @property
    def conditions(self) -> dict[str, str]:
        """Headers of a request that asks for the file only if it is another version."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value is not None}


def fetch(
    url: str,
    file: UnnamedFile,
    limits: DownloadLimits,
    *,
    allowed_by: str,
    unless: FileVersion | None = None,
) -> FileVersion | None:
    """Download a URL.

    The time limit covers all of it: connections, TLS handshakes, headers, redirects and the body,
    however slowly the server sends them. Only the look-up of a name may outlast it, by the system's
    own limit. Proxies come from the environment, as httpx reads them.

    A redirect to anything but HTTP(S) is refused, and so is one that leads from a public address to
    one that is not: loopback, private, link-local ... With ``public_only`` such an address is
    refused everywhere. The address checked is the one connected to, so a host name that changes its
    address in between is refused too; the connection is closed before a request is sent. What a
    proxy connects to is known only if the URL gives an address itself.

    Args:
        url: Address of the file.
        file: File to write.
        limits: Limits of size and time.
        allowed_by: Text that the user writes in this host to allow more, for the errors.
        unless: Version that need not be sent again.

    Returns:
        The version that was written; None if the server still has the version of ``unless``.

    Raises:
        VideoError: The server does not answer with a file, a redirect is refused, or a limit is
            exceeded.
    """
    import httpx
    from anyio.from_thread import start_blocking_portal

    more = f"download it yourself, or allow more by {allowed_by}"
    download = _Download(url, limits, more, {} if unless is None else unless.conditions)
    try:
        # In a separate thread, since the caller may already run an event loop.
        with start_blocking_portal() as portal:
            return portal.call(download.to, Path(file.path))
    except TimeoutError as error:
        cause = f"it did not arrive within {limits.max_seconds:g} s"
        raise VideoError(url, cause, more) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise VideoError(url, cause, "check the address, or give a file") from error


class _Download:
    """One download, through its redirects."""

    def __init__(
        self, url: str, limits: DownloadLimits, more: str, conditions: Mapping[str, str]
    ) -> None:
        self._url = url
        self._limits = limits
        self._more = more
        self._conditions = conditions
        self._version: FileVersion | None = None
        self._came_from_public = limits.public_only
        self._streams: list[Any] = []

    async def to(self, path: Path) -> FileVersion | None:
        """Fetch the URL within its limits; returns the version, None if nothing is new.

        Raises:
            TimeoutError: The time is over.
        """
        import anyio

        try:
            with anyio.fail_after(self._limits.max_seconds):
                await self._follow(path)
        finally:
            # httpx leaves one open that is cancelled in its TLS handshake.
            for stream in self._streams:
                await stream.aclose()
        return self._version

    async def _follow(self, path: Path) -> None:
        """Fetch the URL, through its redirects."""
        import httpx

        # No connection is kept, so that each one is checked.
        alone = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=None, limits=alone, verify=_trusted()) as client:
            headers = {**_AS_IT_IS, **self._conditions}
            request = client.build_request("GET", self._url, headers=headers)
            if not request.url.host:
                raise ValueError("it names no server")
            for _ in range(_MOST_REDIRECTS + 1):
                following = await self._answer(client, request, path)
                if following is None:
                    return
                request = following
            raise ValueError(f"it redirects more than {_MOST_REDIRECTS} times")

    async def _answer(
        self, client: "httpx.AsyncClient", request: "httpx.Request", path: Path
    ) -> "httpx.Request | None":
        """Save what one address answers; the next request if that is a redirect."""
        if request.url.scheme not in ("http", "https"):
            raise ValueError(f"a redirect to {shown(str(request.url))} is not allowed")
        host = request.url.raw_host.decode("ascii")
        address = host if is_ip_address(host) else None
        self._require_public(address)
        target = ""

        async def watch(event: str, info: Mapping[str, Any]) -> None:
            nonlocal address, target
            if event == "connection.connect_tcp.started":
                target = info["host"]
            elif event == "connection.connect_tcp.complete":
                self._streams.append(info["return_value"])
                if target == host:  # the address of a proxy says nothing about the server's
                    address = info["return_value"].get_extra_info("server_addr")[0]
                    self._require_public(address)

        request.extensions["trace"] = watch
        response = await client.send(request, stream=True)
        self._came_from_public |= address is None or is_public(address)
        try:
            if response.next_request is not None:
                return response.next_request
            if response.status_code == _NOT_MODIFIED and self._conditions:
                return None
            if not response.is_success:
                raise ValueError(
                    f"the server answers {response.status_code} {response.reason_phrase}"
                )
            await self._save(response, path)
            self._version = _version_of(response)
        finally:
            await response.aclose()
        return None

    def _require_public(self, address: str | None) -> None:
        """Refuse an address that is not public after one that was."""
        if self._came_from_public and address is not None and not is_public(address):
            if self._limits.public_only:
                raise ValueError(f"its server's address {address} is not public, and is refused")
            raise ValueError(f"a redirect to {address}, which is not a public address, is refused")

    async def _save(self, response: "httpx.Response", path: Path) -> None:
        """Write the body as it comes; httpx raises if it ends before its announced length."""
        n_bytes = 0
        with path.open("wb") as file:
            async for chunk in response.aiter_raw():
                n_bytes += len(chunk)
                if n_bytes > self._limits.max_bytes:
                    cause = f"it is larger than {self._limits.max_bytes:,} bytes"
                    raise VideoError(self._url, cause, self._more)
                file.write(chunk)


@cache
def _trusted() -> "ssl.SSLContext":
    """The certificates that are trusted; to read them takes longer than a small file."""
    import httpx

    return httpx.create_ssl_context()


def _version_of(response: "httpx.Response") -> FileVersion:
    headers = response.headers
    may_be_kept = "no-store" not in headers.get("cache-control", "").lower()
    return FileVersion(headers.get("etag"), headers.get("last-modified"), may_be_kept)
