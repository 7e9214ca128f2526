"""Files that are written as a whole or not at all, and the user's cache folder."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_folder(name: str) -> bool:
    """Whether a name that the caller gave is a folder; False if it cannot be a path."""
    try:
        return name != "" and Path(name).is_dir()
    except OSError:  # too long for a path, or in a folder without permission
        return False


def is_file(name: str) -> bool:
    """Whether a name that the caller gave is a regular file; False if it cannot be a path."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long, without permission, or with a null byte
        return False


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file in the same folder and move it to its place in one step.

    Until the move, and if the process is killed or the disk is full, readers find the earlier
    file or none. Several processes may write one file; the last one to move wins.

    Args:
        path: File to write; a link is followed.
        content: Content of the file.

    Raises:
        OSError: The file cannot be written; no temporary file is left behind.
    """
    with whole(path) as temporary, temporary.open("xb") as file:
        file.write(content)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Do as `write_whole` for a file that another library writes inside the block.

    Args:
        path: File to write; a link is followed.

    Yields:
        Path of a temporary file in the same folder. It is moved to ``path`` if the block ends
        without an error, and deleted otherwise.

    Raises:
        OSError: The file cannot be moved; no temporary file is left behind.
    """
    path = _target(path)  # a link stays a link
    # The name is random, so that two writers do not meet. mkstemp is not used: only the user
    # could read its files.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(OSError):  # the file was moved, or never made
            temporary.unlink()


def _target(path: Path) -> Path:
    """Follow the links of a path; before Python 3.13 `Path.resolve` raises other errors for loops.

    Raises:
        OSError: The links form a loop.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def write_sealed(path: Path, key: str, content: bytes) -> None:
    """Write a file with a checksum, which `read_sealed` checks together with the key.

    Args:
        path: File to write; its folder is made.
        key: Key that `read_sealed` must be given.
        content: Content of the file.

    Raises:
        OSError: The file cannot be written; no temporary file is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _seal(key, content) + b"\n" + content)


def read_sealed(path: Path, key: str) -> bytes | None:
    """Read a file of `write_sealed`.

    Args:
        path: File to read.
        key: Key under which the file was written.

    Returns:
        The content; None if the file was truncated or changed, or has another key.

    Raises:
        OSError: The file does not exist or cannot be read.
    """
    seal, _, content = path.read_bytes().partition(b"\n")
    return content if seal == _seal(key, content) else None


def user_cache() -> Path:
    """Return the folder for files that can be made again.

    Returns:
        The folder that the variable ``KEYSCORE_CACHE`` names, or ``keyscore`` in the user's cache
        folder. It need not exist.

    Raises:
        RuntimeError: The user has no home folder.
    """
    own = os.environ.get("KEYSCORE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keyscore"


def _seal(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + content).hexdigest().encode()
