"""A sentence about every frame, written once: captions are kept on disk by the frame's content."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path

from torch import Tensor

from keyscore_plugin._runtime.files import user_cache
from keyscore_plugin.captioners.base import Captioner, FrameCaptioner
from keyscore_plugin.captioners.pictures import PICTURE_PROMPT
from keyscore_plugin.captioners.registry import captioner_weights
from keyscore_plugin.errors import CacheError
from keyscore_plugin.types import Frames

_PER_QUERY = 500  # SQLite takes at least 999 values in a statement
_WAIT_SECONDS = 60.0  # ours: for another process that writes


class CaptionCache:
    """Captions of frames in one SQLite file, which several processes may use at once.

    A caption is written as soon as its batch is done, so a run that was killed goes on where it
    stopped.

    Args:
        folder: Folder of the file, made at the first use. None means ``captions`` in the user's
            cache: ``KEYSCORE_CACHE``, or the one of the system.
    """

    def __init__(self, folder: str | PathLike[str] | None = None) -> None:
        self.path = (user_cache() / "captions" if folder is None else Path(folder)) / "frames.db"

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """The captions of those keys that have one.

        Raises:
            CacheError: The file cannot be read, or does not hold captions.
        """
        captions: dict[str, str] = {}
        with self._open() as database:
            for start in range(0, len(keys), _PER_QUERY):
                some = keys[start : start + _PER_QUERY]
                places = ",".join("?" * len(some))
                rows = database.execute(
                    f"SELECT key, text FROM captions WHERE key IN ({places})", some
                )
                captions.update(rows)
        return captions

    def put(self, captions: Mapping[str, str]) -> None:
        """Keep captions, all of them or none.

        Raises:
            CacheError: The file cannot be written, or does not hold captions.
        """
        with self._open() as database, database:
            database.executemany("REPLACE INTO captions VALUES (?, ?)", captions.items())

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS)) as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS captions (key TEXT PRIMARY KEY, text TEXT NOT NULL)"
                )
                yield database
        except (OSError, sqlite3.Error) as error:
            raise CacheError(
                f"cannot use the captions in {self.path}: {error}; delete that file, or set "
                "KEYSCORE_CACHE to another folder"
            ) from error


class FrameDescriber:
    """A captioner that describes frames one by one, and keeps what it wrote on disk.

    Args:
        captioner: A `FrameCaptioner`; any other captioner is asked about one frame at a time.
        name: Name that the captioner was loaded by. Nothing is kept for one without a name, or
            whose weights are not on this machine: what decides its captions is unknown.

    Attributes:
        model: Name of the captioner.
    """

    def __init__(self, captioner: Captioner, name: str | None = None) -> None:
        self.model = captioner.name
        self._captioner = captioner
        self._identity = None if name is None else captioner_identity(name)
        self._cache = None if self._identity is None else CaptionCache()

    def __call__(self, frames: Frames) -> list[str]:
        """The sentence on each frame, by `caption_frames`."""
        return caption_frames(self._captioner, frames, identity=self._identity, cache=self._cache)


def captioner_identity(name: str) -> str | None:
    """Identify all that decides a caption besides the frame, for the key of the cache.

    Args:
        name: Captioner by its name.

    Returns:
        The name, its weights and the prompt in one text; None if this machine does not have the
        weights.
    """
    weights = captioner_weights(name)
    return None if weights is None else f"{name}\n{weights}\n{PICTURE_PROMPT}"


def caption_frames(
    captioner: Captioner,
    frames: Frames,
    *,
    identity: str | None = None,
    cache: CaptionCache | None = None,
) -> list[str]:
    """Describe each frame; equal pixels cost one caption.

    Args:
        captioner: A `FrameCaptioner`; any other captioner is asked about one frame at a time.
        frames: ``n`` frames of one video.
        identity: Identity of all that decides a caption besides the frame, as `captioner_identity`
            gives it; None, for a captioner of unknown weights, reads and writes no cache.
        cache: Captions of earlier calls; None keeps nothing.

    Returns:
        ``n`` sentences; ``""`` for a frame of which the captioner wrote nothing.

    Raises:
        CacheError: The cache cannot be used.
    """
    keys = [_key(pixels, identity) for pixels in frames.pixels.cpu()]
    kept = cache.get(keys) if cache is not None and identity is not None else {}
    new = {key: row for row, key in enumerate(keys) if key not in kept}
    if new:
        rows = list(new.values())
        texts = _describe(captioner, frames if len(rows) == len(frames) else frames[rows])
        written = dict(zip(new, texts, strict=True))
        if cache is not None and identity is not None:
            cache.put(written)
        kept |= written
    return [kept[key] for key in keys]


def _describe(captioner: Captioner, frames: Frames) -> list[str]:
    if isinstance(captioner, FrameCaptioner):
        return captioner.caption_each(frames)
    return [captioner.caption(frames[row : row + 1]).text for row in range(len(frames))]


def _key(pixels: Tensor, identity: str | None) -> str:
    about = f"{identity}\n{tuple(pixels.shape)}\n".encode()
    digest = hashlib.sha256(about)  # which processors have instructions for
    digest.update(pixels.contiguous().numpy().data)
    return digest.hexdigest()
