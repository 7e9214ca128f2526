"""A local copy of a video at an fsspec address, within limits of size and time."""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import InputError, MissingDependencyError, VideoError
from keyscore_plugin.hosts import DownloadLimits, require

_CHUNK = 1 << 20
# What aiohttp writes after a status: the address, or the one that it redirects to, which is often
# signed.
_URL = re.compile(r""", url=(?:'[^']*'|"[^"]*")""")


def is_address(video: str) -> bool:
    """Whether this is an address of fsspec, such as ``s3://bucket/clip.mp4``.

    Example:
        >>> is_address("gs://bucket/clip.mp4"), is_address("videos/clip.mp4")
        (True, False)
    """
    return "://" in video


@contextmanager
def local_copy(address: str, limits: DownloadLimits) -> Iterator[Path]:
    """Copy a file to a temporary folder, which is deleted afterwards.

    The credentials are those that fsspec finds for the protocol. The time is looked at between
    chunks of a MiB, so a server that sends nothing is left by fsspec's own limit.

    Args:
        address: Address of the file.
        limits: Limits of size and time.

    Raises:
        InputError: The address has a protocol that fsspec does not know.
        MissingDependencyError: The package for the protocol is not installed.
        VideoError: The file cannot be read, or exceeds a limit.
    """
    fsspec: Any = require("fsspec", extra="ray")
    end = time.monotonic() + limits.max_seconds
    more = "raise the limit by limits=DownloadLimits(...), or copy the file yourself"
    with tempfile.TemporaryDirectory(prefix="keyscore-") as folder:
        path = Path(folder, f"video{_suffix(address)}")
        n_bytes = 0
        try:
            with fsspec.open(address, "rb") as remote, path.open("wb") as local:
                while chunk := remote.read(_CHUNK):
                    n_bytes += len(chunk)
                    if n_bytes > limits.max_bytes:
                        raise VideoError(
                            address, f"it is larger than {limits.max_bytes:,} bytes", more
                        )
                    if time.monotonic() > end:
                        cause = f"it did not arrive within {limits.max_seconds:g} s"
                        raise VideoError(address, cause, more)
                    local.write(chunk)
        except VideoError:
            raise
        except ImportError as error:
            raise MissingDependencyError(
                f"cannot open {address}: {_one(error)}; install what fsspec needs for this "
                "protocol on every node"
            ) from error
        except ValueError as error:  # an unknown protocol
            raise InputError(
                f"cannot open {address}: {_one(error)}; give an address that fsspec knows, or a "
                "path"
            ) from error
        except Exception as error:  # each protocol has errors of its own
            # For HTTP, fsspec says "not found", and only the error before it has the status.
            cause = _without(address, error) or _without(address, error.__cause__ or error)
            cause = cause or type(error).__name__
            raise VideoError(address, cause, "check the address and its rights") from error
        yield path


def _suffix(address: str) -> str:
    """The suffix of the file's name, by which FFmpeg recognises some formats; empty if none.

    The query of a signed address is no part of it: with that, a name may be too long for a file.
    """
    match = re.search(r"\.\w{1,8}$", address.partition("::")[0].partition("?")[0])
    return match[0] if match else ""


def _without(address: str, error: BaseException) -> str:
    """The text of an error, in one line, without the address, which the message has already."""
    return _URL.sub("", _one(error)).replace(address, "").strip()


def _one(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
