"""Files that are there as a whole or not at all, and the folder for those that save time."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_folder(name: str) -> bool:
    """Whether a name that somebody gave is a folder; nothing that can be no path is one."""
    try:
        return name != "" and Path(name).is_dir()
    except OSError:  # too long for a path, or of a folder that may not be looked into
        return False


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there in one step.

    Whoever reads meanwhile finds the file of before, or none; so does the next run where this one
    is killed or the disk is full. Several processes may write one file: the last one stays.

    Raises:
        OSError: The system refuses; nothing is left behind.
    """
    with whole(path) as beside, beside.open("xb") as file:
        file.write(content)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`write_whole` for what others write: a path, which is moved when the block has ended well.

    Raises:
        OSError: The system refuses; nothing is left behind.
    """
    path = _target(path)  # a link stays a link
    # Not a fixed name, and not mkstemp, whose files nobody else may read.
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        with suppress(OSError):  # it was moved, or never made
            beside.unlink()


def _target(path: Path) -> Path:
    """Where a path leads; `Path.resolve` has another error for a circle before Python 3.13.

    Raises:
        OSError: Nowhere: its links go in a circle.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def write_sealed(path: Path, key: str, content: bytes) -> None:
    """Write a file that `read_sealed` gives back only as it is, and only under the same key.

    Raises:
        OSError: The system refuses; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _seal(key, content) + b"\n" + content)


def read_sealed(path: Path, key: str) -> bytes | None:
    """The content of a sealed file; None where it was cut, changed, or is of another key.

    Raises:
        OSError: There is no such file, or the system refuses.
    """
    seal, _, content = path.read_bytes().partition(b"\n")
    return content if seal == _seal(key, content) else None


def user_cache() -> Path:
    """The folder for what can be made again: ``KEYSCORE_CACHE``, or the one of the system.

    Raises:
        RuntimeError: The system knows no home for this user.
    """
    own = os.environ.get("KEYSCORE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keyscore"


def _seal(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + content).hexdigest().encode()
