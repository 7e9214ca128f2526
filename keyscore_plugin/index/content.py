"""The identity of a video file: a hash of its content."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from keyscore_plugin.errors import VideoError

_CHUNK = 1 << 20


def content_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a whole file as hexadecimal digits; a gigabyte takes about a second.

    Within one process the digest is computed again only if the file's size, its inode, or its time
    of modification or of change differs. A file whose content was changed in between without a
    change of any of these (on a file system with coarse times, within one tick of its clock) keeps
    its old digest until the process ends.

    Raises:
        VideoError: The file cannot be read.
    """
    try:
        facts = Path(path).stat()
        unchanged = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
        return _digest(os.fspath(path), facts.st_size, unchanged)
    except OSError as error:
        cause = error.strerror or str(error)
        raise VideoError(os.fspath(path), cause, "give the path of a video file") from error


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, unchanged: tuple[int, ...]) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
