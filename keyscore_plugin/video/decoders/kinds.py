"""The kind of a file that does not open as a video, by its first bytes and its boxes."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_HEAD_BYTES = 4096
VIDEO_REMEDY = "give a video file such as .mp4, .mkv, .webm or .avi"
_AGAIN = "copy or download it again, and compare its size with that of the original"


class Kind(NamedTuple):
    """The kind of a file, and a remedy for its user, each in one clause."""

    cause: str
    remedy: str


_PICTURE_REMEDY = "give a video, or a list of pictures with fps= to open_video"
_ARCHIVE_REMEDY = "unpack it, and give the video that lies in it"
_SIGNATURES = (
    (0, b"PK\x03\x04", Kind("it is a zip archive", _ARCHIVE_REMEDY)),
    (0, b"\x1f\x8b", Kind("it is a gzip archive", _ARCHIVE_REMEDY)),
    (0, b"\xfd7zXZ", Kind("it is an xz archive", _ARCHIVE_REMEDY)),
    (0, b"7z\xbc\xaf", Kind("it is a 7z archive", _ARCHIVE_REMEDY)),
    (0, b"Rar!", Kind("it is a RAR archive", _ARCHIVE_REMEDY)),
    (257, b"ustar", Kind("it is a tar archive", _ARCHIVE_REMEDY)),
    (0, b"%PDF", Kind("it is a PDF document", VIDEO_REMEDY)),
    (0, b"\x93NUMPY", Kind("it is a NumPy array", "give numpy.load(...) of it with fps=")),
    (0, b"\xff\xd8\xff", Kind("it is a picture (JPEG)", _PICTURE_REMEDY)),
    (0, b"\x89PNG", Kind("it is a picture (PNG)", _PICTURE_REMEDY)),
    (0, b"\x1aE\xdf\xa3", Kind("it is a WebM or Matroska file that is cut off", _AGAIN)),
    (8, b"AVI ", Kind("it is an AVI file that is cut off or damaged", _AGAIN)),
    (0, b"G@", Kind("it is an MPEG transport stream that is cut off or damaged", _AGAIN)),
)
_TEXTS = (
    (
        (b"<!doctype html", b"<html"),
        Kind("it is a web page (HTML)", "download the video itself, which the page only names"),
    ),
    (
        (b"version https://git-lfs",),
        Kind("it is a Git LFS pointer, not yet the file", "fetch the file with: git lfs pull"),
    ),
    (
        (b"#extm3u", b"ffconcat", b"<mpd", b"v=0"),
        Kind("it is a playlist, which names other files", "give one of the videos that it names"),
    ),
)
# Top-level boxes of MP4 and QuickTime (ISO/IEC 14496-12) that a file may begin with.
_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx"}
PICTURE = Kind("it is a picture", _PICTURE_REMEDY)


def kind_of(file: Path) -> Kind | None:
    """The kind of a file that FFmpeg does not open; None where its bytes do not show it.

    Raises:
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if head[4:8] in _BOXES:
            return _mp4(stream)
    if not any(head):
        return Kind("it begins with zeros only, as an incomplete copy does", _AGAIN)
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    return _text(head)


def _text(head: bytes) -> Kind | None:
    """The kind of a text; None for bytes that are not a text."""
    if any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        return None
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.end < len(head):  # not merely a character that was cut off
            return None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginnings, kind in _TEXTS:
        if start.startswith(beginnings):
            return kind
    return Kind("it is a text file", VIDEO_REMEDY)


def _mp4(stream: BinaryIO) -> Kind:
    """Why an MP4 or QuickTime file does not open."""
    n_bytes = stream.seek(0, 2)
    boxes = list(_boxes(stream, n_bytes))
    names = {name for name, _ in boxes}
    if b"moov" in names:
        return Kind("it is an MP4 file that is damaged", _AGAIN)
    if b"moof" in names:
        return Kind(
            "it is a part of a stream, without the header (moov) that all its parts share",
            "join the header (the init segment) and the parts to one file",
        )
    missing = max(end for _, end in boxes) - n_bytes
    before = f", and {missing:,} bytes before it" if missing > 0 else ""
    return Kind(
        f"it is an unfinished MP4 file: its index (moov) is missing{before}",
        "wait until it is written to its end, or copy it again; if the recording broke off, "
        "rebuild the index with a tool such as untrunc",
    )


def _boxes(stream: BinaryIO, n_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Name of each top-level box, and the place where it says it ends."""
    start = 0
    while start + 8 <= n_bytes:
        stream.seek(start)
        size, name, large = struct.unpack(">I4sQ", stream.read(16).ljust(16, b"\0"))
        if size == 1:
            size = large
        if size < 8:  # 0 means up to the end: a writer puts it there until it knows the size
            size = n_bytes - start
        yield name, start + size
        start += size
