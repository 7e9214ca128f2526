"""A video that comes without a file: its bytes, a file object, a ``data:`` URL.

It is copied to an unnamed temporary file for as long as the video is open: decoders open a file
several times, and the rules for files (no other file is opened, no address is asked) hold for the
copy. The kernel deletes an unnamed file with its process, however that ends.
"""

import binascii
import io
import os
import re
import tempfile
import weakref
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, runtime_checkable
from urllib.parse import unquote_to_bytes

from torch import Tensor
from typing_extensions import override

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.types import Frames
from keyscore_plugin.video.base import ForwardedVideo, VideoSource

_CHUNK = 1 << 20
_WHOLE_FILE = "give the bytes of a whole video file, a file object rewound by seek(0)"


@runtime_checkable
class Readable(Protocol):
    """A file object that was opened in binary mode; it need not be able to seek."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` of the next bytes; no bytes at the end."""


Bytes = bytes | bytearray | memoryview

_UNNAMED = re.compile(r"/proc/\d+/fd/\d+")


class UnnamedFile:
    """An empty temporary file without a name, which processes of this user can open by its path.

    It is deleted with the last reference to this object, or earlier by `delete`.

    Attributes:
        path: Path of the file until it is deleted. FFmpeg recognises formats by the content alone.

    Raises:
        OSError: The temporary folder cannot be written.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self._delete = weakref.finalize(self, os.close, self._descriptor)

    def write(self, chunks: Iterable[Bytes]) -> int:
        """Write the content of the file; returns its size in bytes.

        Raises:
            OSError: The disk is full.
        """
        with open(self._descriptor, "wb", closefd=False) as file:
            return sum(file.write(chunk) for chunk in chunks)

    def delete(self) -> None:
        """Delete the file, which stays readable to those who have opened it."""
        self._delete()


def is_unnamed(path: str) -> bool:
    """Whether this is the path of an `UnnamedFile`, which says nothing about the video in it."""
    return _UNNAMED.fullmatch(path) is not None


class Copy(UnnamedFile):
    """A temporary file that holds the bytes of a video.

    Args:
        given: Bytes, a file object (read from its position to its end), or a ``data:`` URL.

    Attributes:
        name: Name of the video in messages and in `Selection.video`.

    Raises:
        InputError: The file object is opened for texts, or returns something other than bytes.
        VideoError: There are no bytes, they cannot be read, or the disk is full.
    """

    def __init__(self, given: Bytes | Readable | str) -> None:
        self.name, chunks = _contents(given)
        super().__init__()
        try:
            self._fill(chunks)
        except BaseException:
            self.delete()
            raise

    def _fill(self, chunks: Iterable[Bytes]) -> None:
        try:
            n_bytes = self.write(chunks)
        except VideoError:  # about what is read, not about the copy
            raise
        except OSError as error:
            raise VideoError(
                self.name,
                f"it cannot be copied to {tempfile.gettempdir()} ({error.strerror})",
                "free room there, or set TMPDIR to another folder",
            ) from error
        if not n_bytes:
            raise VideoError(self.name, "it holds no bytes, or none that come next", _WHOLE_FILE)


class CopiedVideo(ForwardedVideo):
    """The video in a `Copy`, under the copy's name. Closing it deletes the copy.

    Args:
        source: Video in the copy.
        copy: The copy.

    Attributes:
        whole: Video in the copy.
    """

    def __init__(self, source: VideoSource, copy: Copy) -> None:
        super().__init__(source)
        self.whole = source
        self._copy = copy
        self.facts = replace(source.facts, path=copy.name)

    @override
    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        with named(self.path):
            return super().read(indices, size=size)

    @override
    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        with named(self.path):
            yield from super().thumbnails(grid, short_side=short_side)

    @override
    def close(self) -> None:
        super().close()
        self._copy.delete()


@contextmanager
def named(name: str) -> Iterator[None]:
    """Make errors name what the caller gave, not our copy of it."""
    try:
        yield
    except VideoError as error:
        raise VideoError(name, error.cause, error.remedy) from error


def is_data_url(video: str) -> bool:
    """Whether this is a URL that contains the video itself (RFC 2397)."""
    return video[:5].lower() == "data:"


def _contents(given: Bytes | Readable | str) -> tuple[str, Iterable[Bytes]]:
    """Name of the video, and its bytes."""
    if isinstance(given, str):
        name = f"<data: URL of {len(given):,} characters>"
        return name, [_data_of(given, name=name)]
    if isinstance(given, Bytes):
        whole = given.tobytes() if isinstance(given, memoryview) else given
        return shown(given), [whole]
    file_name = getattr(given, "name", None)
    if not isinstance(file_name, str):
        return f"<{type(given).__name__}>", _read(given)
    return f"<file object of {file_name}>", _read(given)


def _data_of(url: str, *, name: str) -> bytes:
    """Content of a ``data:`` URL."""
    header, comma, data = url[len("data:") :].partition(",")
    # Bytes of a command line that are not UTF-8 come as lone surrogates.
    content = unquote_to_bytes(data.encode("utf-8", "surrogatepass"))
    if not comma:
        raise VideoError(name, "it has no comma before its data", "give data:video/mp4;base64,...")
    if "base64" not in header.lower().split(";")[1:]:
        return content
    try:
        return b64decode(b"".join(content.split()), validate=True)
    except binascii.Error as error:
        raise VideoError(name, f"its base64 is damaged ({error})", _WHOLE_FILE) from error


def _read(given: Readable) -> Iterator[Bytes]:
    name = getattr(given, "name", None) or type(given).__name__
    if isinstance(given, io.TextIOBase):
        raise InputError(f"{shown(name)} is opened for texts; open it with open(path, 'rb')")
    while True:
        try:
            chunk = given.read(_CHUNK)
        # Closed, opened to write, or an error of its library: EOFError, zlib.error, BadZipFile ...
        except Exception as error:
            raise VideoError(
                str(name),
                f"its read() fails: {error or type(error).__name__}",
                "give a file object open for reading",
            ) from error
        if not isinstance(chunk, Bytes):
            raise InputError(
                f"read() of {shown(name)} gives {shown(chunk)}, not bytes; give a file object in "
                "binary mode, or the path"
            )
        if not chunk:
            return
        yield chunk
