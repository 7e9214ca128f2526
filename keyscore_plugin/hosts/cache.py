"""Finished selections on disk, for hosts that ask about the same videos again."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from keyscore_plugin._runtime.files import read_sealed, user_cache, write_sealed
from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.errors import CacheError, VideoError
from keyscore_plugin.types import Selection

_CHUNK = 1 << 20


class SelectionCache:
    """A folder of finished selections, one file each, by everything that decides them.

    Several processes may use one folder: an entry is written under a temporary name and renamed, so
    that a reader finds a whole entry or none. If two processes miss the same entry, both write it,
    and the entries are equal. An entry that was cut or changed counts as missing.

    Args:
        folder: Folder of the selections, made at the first entry. None means ``selections`` in the
            user's cache: ``KEYSCORE_CACHE``, or the one of the system.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = user_cache() / "selections" if folder is None else Path(folder)

    def get(self, key: str) -> Selection | None:
        """The selection of a `selection_key`; None if the folder has no whole entry of it.

        Raises:
            CacheError: The folder cannot be read.
        """
        try:
            text = read_sealed(self._path(key), key)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return None if text is None else Selection.from_json(text.decode())

    def put(self, key: str, selection: Selection) -> None:
        """Keep a selection.

        Raises:
            CacheError: The folder cannot be written, or the disk is full; no part of the entry
                is left behind.
        """
        text = selection.to_json().encode("utf-8", "backslashreplace")
        try:
            write_sealed(self._path(key), key, text)
        except OSError as error:
            raise self._unusable(error) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _unusable(self, error: OSError) -> CacheError:
        return CacheError(
            f"cannot use the selection cache {self.folder}: {error.strerror or error}; "
            "give another folder, or none"
        )


def selection_key(video: str | os.PathLike[str], asked: Mapping[str, Any]) -> str:
    """Key of a selection: a hash of the video's content, of the request and of our version.

    Args:
        video: Path of a local file. Its name does not count, so a moved video is found again.
        asked: Request as plain JSON values: the text, the sampler and its settings, the budget.

    Raises:
        VideoError: The video cannot be read.
    """
    question = {"video": content_digest(video), "asked": dict(asked), "version": VERSION}
    text = json.dumps(question, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def content_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as hexadecimal digits, computed again once its size or time changes.

    Raises:
        VideoError: The file cannot be read.
    """
    try:
        facts = Path(path).stat()
        return _digest(os.fspath(path), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        cause = error.strerror or str(error)
        raise VideoError(os.fspath(path), cause, "give the path of a video file") from error


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
