"""A video from wherever it lies: a file, or a URL if allowed, within limits of size and time."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import quote, unquote

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.hosts.deadline import Deadline
from keyscore_plugin.types.numbers import is_real, is_whole
from keyscore_plugin.video.copies import named
from keyscore_plugin.video.source import VideoSource, open_video

_CHUNK = 1 << 20
_USERINFO = re.compile(r"\w+:/*[^/?#]*@")
_MOST_SECONDS = (1 << 31) // 1000  # poll(2), by which sockets wait, counts milliseconds in 31 bits


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What a URL may cost.

    Attributes:
        max_bytes: Size of the file.
        max_seconds: Time for all of it.

    Raises:
        InputError: One of them limits nothing.
    """

    max_bytes: int = 2 << 30
    max_seconds: float = 120.0

    def __post_init__(self) -> None:
        n, seconds = self.max_bytes, self.max_seconds
        if not is_whole(n) or n < 1:
            raise InputError(f"max_bytes must be a whole number >= 1, got {shown(n)}")
        if not (is_real(seconds) and 0 < seconds <= _MOST_SECONDS):
            raise InputError(
                f"max_seconds must be a number > 0 and <= {_MOST_SECONDS}, got {shown(seconds)}"
            )


def check_limits(limits: object, *, allowed_by: str) -> None:
    """Refuse what is no limit, before anything is opened.

    Raises:
        InputError: It is neither `DownloadLimits` nor None.
    """
    if not isinstance(limits, DownloadLimits | None):
        raise InputError(
            f"limits={shown(limits)} is no DownloadLimits; allow URLs by {allowed_by}, or leave it "
            "out, which refuses them"
        )


def is_remote(video: str) -> bool:
    """Whether this names a file on a server."""
    return _scheme(video) in ("http", "https")


def local_path(video: str) -> str:
    """A path as it is, and the path of a ``file:`` URL.

    A ``file:`` URL has no query and no fragment (RFC 8089): ``?`` and ``#`` are of the path, as
    those write it who put ``file://`` before a name.

    Example:
        >>> local_path("file:///tmp/a%20clip.mp4")
        '/tmp/a clip.mp4'
        >>> local_path("file:///tmp/take#2.mp4")
        '/tmp/take#2.mp4'

    Raises:
        VideoError: It is a ``file:`` URL of another machine.
    """
    if _scheme(video) != "file":
        return video
    rest = video.partition(":")[2]
    if not rest.startswith("//"):
        return unquote(rest, errors="surrogateescape")  # as Python names a file that is no UTF-8
    host, slash, path = rest[2:].partition("/")
    if host.lower() not in ("", "localhost"):
        raise VideoError(
            video,
            f"its file lies on {shown(host)}, another machine",
            "give file:///PATH, or the path",
        )
    return unquote(slash + path, errors="surrogateescape")


def _scheme(video: str) -> str:
    # Not `urlsplit`: it raises for some paths that are no URL at all, such as //[a].mp4.
    return video.partition(":")[0].lower()


@contextmanager
def open_anywhere(
    video: str, *, decoder: str, limits: DownloadLimits | None, allowed_by: str
) -> Iterator[VideoSource]:
    """Open a path, a ``file:`` URL or, if allowed, an ``http(s):`` URL.

    Args:
        video: Where the video lies.
        decoder: See `keyscore_plugin.open_video`.
        limits: What a URL may cost; None allows none, and nothing is contacted.
        allowed_by: What the user writes in this host to allow it, for the errors.

    Raises:
        InputError: It is a URL, and none is allowed, or it holds a user's name; or ``limits`` are
            none.
        VideoError: It cannot be read.
    """
    check_limits(limits, allowed_by=allowed_by)
    if not is_remote(video):
        with open_video(local_path(video), decoder) as source:
            yield source
        return
    if _USERINFO.match(video):  # not shown: it may hold a password
        raise InputError(
            "a URL with a user's name before its host (https://USER@HOST/...) is not fetched; "
            "download it and give its path, or give a URL without"
        )
    if limits is None:
        raise InputError(
            f"{video} is a URL, and URLs are not fetched unless allowed; download it and give "
            f"its path, or allow URLs by {allowed_by}"
        )
    with (
        named(video),
        downloaded(video, limits, allowed_by=allowed_by) as path,
        open_video(path, decoder) as source,
    ):
        yield source


@contextmanager
def downloaded(url: str, limits: DownloadLimits, *, allowed_by: str) -> Iterator[str]:
    """Path of a copy that is deleted afterwards; see `open_anywhere` for the arguments.

    Raises:
        VideoError: The server does not answer with a file, or a limit is passed.
    """
    more = f"download it yourself, or allow more by {allowed_by}"
    with tempfile.TemporaryDirectory(prefix="keyscore-") as folder:
        # The suffix helps FFmpeg to tell some formats.
        path = Path(folder, f"video{Path(re.split('[?#]', url)[0]).suffix}")
        with Deadline(limits.max_seconds) as deadline:
            try:
                with deadline.open(url) as response, path.open("wb") as file:
                    _copy(response, file, url, limits, more)
            except VideoError:
                raise
            except (OSError, HTTPException, ValueError) as error:
                if isinstance(error, HTTPError):
                    error.close()  # it holds the connection
                if deadline.has_passed:
                    raise _too_slow(url, limits, more) from error
                raise VideoError(url, _cause(error), "check the address, or give a file") from error
            if deadline.has_passed:  # an answer without a length ends where it is cut off
                raise _too_slow(url, limits, more)
        yield str(path)


def _copy(
    response: HTTPResponse, file: IO[bytes], url: str, limits: DownloadLimits, more: str
) -> None:
    promised = response.length  # None where the server does not say
    n_bytes = 0
    # Not `read`: it waits for a whole chunk before the size can be looked at.
    while n_bytes != promised and (chunk := response.read1(_CHUNK)):
        n_bytes += len(chunk)
        if n_bytes > limits.max_bytes:
            raise VideoError(url, f"it is larger than {limits.max_bytes:,} bytes", more)
        file.write(chunk)
    # Some containers play without their end, and nobody would know.
    if promised is not None and n_bytes < promised:
        raise ConnectionError(f"the server closed after {n_bytes:,} of {promised:,} bytes")


def _cause(error: Exception) -> str:
    """What a library says went wrong, in one line."""
    if isinstance(error, UnicodeEncodeError):
        letter = error.object[error.start]
        return f"an address has {quote(letter, errors='surrogatepass')} in place of {letter!r}"
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def _too_slow(url: str, limits: DownloadLimits, more: str) -> VideoError:
    return VideoError(url, f"it did not arrive within {limits.max_seconds:g} s", more)
