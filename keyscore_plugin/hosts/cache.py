"""Finished selections on disk, for hosts that ask about the same videos again."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyscore_plugin._runtime.files import read_sealed, user_cache, write_sealed
from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.errors import CacheError
from keyscore_plugin.index.content import content_digest
from keyscore_plugin.timed_texts.subtitles import subtitles_beside
from keyscore_plugin.types import Selection, SubtitleInput, SubtitlesFrom


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


def subtitles_key(video: str | os.PathLike[str], given: SubtitleInput) -> list[str | bool | None]:
    """What subtitles decide of a selection: how they were given, and the content of their file.

    Args:
        video: Path of the video.
        given: Subtitles as `keyscore_plugin.Sampler` takes them.
    """
    if given is False:
        return [False, None]
    kind: str | bool | None
    if given is None or given is True:
        kind, file = given, subtitles_beside(os.fspath(video))
    elif isinstance(given, SubtitlesFrom):
        kind, file = f"file from {given.start_seconds!r} s", Path(given.path)
    else:
        kind, file = "file", Path(given)
    return [kind, content_digest(file) if file is not None and file.is_file() else None]
