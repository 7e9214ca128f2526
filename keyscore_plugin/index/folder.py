"""The folder of an index: one file a video, encoder and grid; written whole, read in any order."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock

from keyscore_plugin._runtime.files import write_whole
from keyscore_plugin.errors import CacheError, InputError
from keyscore_plugin.index.frame_table import scan_from_tensors, scan_to_tensors
from keyscore_plugin.index.look import Look
from keyscore_plugin.index.sealed import facts_of, pack, unpack
from keyscore_plugin.video.decoders.scan import Scan

SUFFIX = ".safetensors"
_HEADER_BYTES = 1 << 16  # ours: facts and the names of tensors take a few thousand
_LOCK_SECONDS = 10.0  # ours: a writer holds the lock for a fraction of a second
_PART_SECONDS = 3600.0  # ours: a temporary file this old was left behind by a process that died
_MEMORY_BYTES = 256 << 20  # ours: of files that stay in memory between the calls of a process


@dataclass(frozen=True, slots=True, eq=False)
class IndexFile:
    """The content of one file.

    Attributes:
        look: Look at the video.
        scan: The frames of the video, by which it is opened without another scan.
        facts: Plain JSON values: what was looked at, and by what (`IndexFolder.entries`).
    """

    look: Look
    scan: Scan
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the folder.

    Attributes:
        path: Path of the file.
        n_bytes: Size of the file.
        used: Time of its last use, in seconds since 1970.
        facts: Facts of the file; None if its header cannot be read, or was not read.
    """

    path: Path
    n_bytes: int
    used: float
    facts: Mapping[str, Any] | None = None


class IndexFolder:
    """A folder of looks at videos.

    A file has the name of everything that decides its content, in a folder with the name of the
    video's content. Several processes may use one folder: a file is written under a temporary name
    and moved to its place, and what another process added meanwhile is kept.

    Args:
        path: Path of the folder, made at the first file.
        max_bytes: Most bytes of all files; the least recently used ones are deleted beyond it.

    Raises:
        CacheError: The path is that of a file.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        if path.exists() and not path.is_dir():
            raise CacheError(f"the index {path} is a file; give a folder, or delete the file")

    def file(self, content: str, key: str) -> Path:
        """Path of the file for a video's content and a key; it need not exist."""
        return self.path / content / f"{key}{SUFFIX}"

    def get(self, content: str, key: str) -> IndexFile | None:
        """Read a file; None if it does not exist.

        Raises:
            InputError: The file was cut or changed, or belongs to another key.
            OSError: The file cannot be read.
        """
        return _read(self.file(content, key))

    def put(self, content: str, key: str, look: IndexFile) -> None:
        """Write a file, with what another process has added to it, and make room for it.

        Raises:
            OSError: The file cannot be written, the disk is full, or another process holds the lock
                of the folder (a `filelock.Timeout`); nothing is left behind.
        """
        path = self.file(content, key)
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / ".lock", timeout=_LOCK_SECONDS):
            path.parent.mkdir(exist_ok=True)  # under the lock: prune deletes empty ones
            with suppress(InputError, OSError):
                there = _read(path)
                if there is not None:
                    look = replace(look, look=look.look.joined(there.look))
            write_whole(path, _packed(path, look))
            _mark_used(path)
            _REMEMBERED.put(path, look, _state(path))
            self._make_room()

    def scan(self, content: str, is_usable: Callable[[Mapping[str, Any]], bool]) -> Scan | None:
        """Find the scan of a video, of the stream that FFmpeg takes by default.

        Args:
            content: Digest of the video's content.
            is_usable: Function of a file's facts.

        Returns:
            The scan; None if no file of this content is usable, or each is of a stream that was
            asked for by its number.
        """
        for path in sorted((self.path / content).glob(f"*{SUFFIX}")):
            with suppress(InputError, OSError):
                facts = _facts(path)
                if facts is None or not (is_usable(facts) and facts["is_default_stream"]):
                    continue
                file = _read(path)
                if file is not None:
                    return file.scan
        return None

    def entries(self) -> list[Entry]:
        """The files with their facts, the most recently used one first."""
        return [entry for entry in map(_with_facts, self._files()) if entry is not None]

    def _files(self) -> list[Entry]:
        """The files without their facts, which only reading them gives, in the same order."""
        files = []
        for path in self.path.glob(f"*/*{SUFFIX}"):
            with suppress(OSError):  # another process has deleted it
                state = path.stat()
                files.append(Entry(path, state.st_size, state.st_atime))
        return sorted(files, key=lambda entry: entry.used, reverse=True)

    def prune(self, is_usable: Callable[[Mapping[str, Any]], bool]) -> list[Entry]:
        """Delete the files that are damaged or no longer usable, and those beyond the size limit.

        Args:
            is_usable: Function of a file's facts.

        Returns:
            The files that were deleted.

        Raises:
            OSError: A file cannot be deleted, or another process holds the lock of the folder.
        """
        if not self.path.is_dir():
            return []
        with FileLock(self.path / ".lock", timeout=_LOCK_SECONDS):
            useless = [entry for entry in self.entries() if not _is_usable(entry, is_usable)]
            for entry in useless:
                self._delete(entry.path)
            return useless + self._make_room()

    def _make_room(self) -> list[Entry]:
        """Delete the least recently used files beyond the limit, and what dead writers left.

        The file that was used last stays, however large it is. No file is read but those that are
        deleted, since this is done at each write.
        """
        for part in self.path.glob("*/.*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _PART_SECONDS:
                    part.unlink()
        n_bytes, deleted = 0, []
        for place, entry in enumerate(self._files()):
            n_bytes += entry.n_bytes
            if n_bytes > self._max_bytes and place > 0:
                deleted.append(_with_facts(entry) or entry)
                self._delete(entry.path)
        return deleted

    def _delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files
            path.parent.rmdir()


class _Remembered:
    """The files that were read or written last, while they are as they were then."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, tuple[tuple[int, ...], IndexFile]] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path) -> IndexFile | None:
        """The content of a file; None if it is not remembered, or has changed."""
        state = _state(path)
        with self._lock:
            then, file = self._files.get(path, ((), None))
            if file is None or then != state:
                return None
            self._files.move_to_end(path)
            return file

    def put(self, path: Path, file: IndexFile, state: tuple[int, ...]) -> None:
        """Remember the content of a file, which had this state before it was read."""
        with self._lock:
            self._files[path] = (state, file)
            self._files.move_to_end(path)
            while len(self._files) > 1 and self._n_bytes() > _MEMORY_BYTES:
                self._files.popitem(last=False)

    def _n_bytes(self) -> int:
        return sum(file.look.n_bytes for _, file in self._files.values())


_REMEMBERED = _Remembered()


def _state(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _read(path: Path) -> IndexFile | None:
    """The content of a file; None if it is not there.

    Raises:
        InputError: The file was cut or changed, or has another name than it was written under.
        OSError: The file cannot be read.
    """
    try:
        file = _REMEMBERED.get(path)
        if file is None:
            state = _state(path)
            file = _unpacked(path, path.read_bytes())
            _REMEMBERED.put(path, file, state)
    except FileNotFoundError:
        return None
    _mark_used(path)
    return file


def _mark_used(path: Path) -> None:
    """Set the time of the last use, which file systems do not all keep by themselves."""
    with suppress(OSError):  # a folder that cannot be written
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _packed(path: Path, file: IndexFile) -> bytes:
    tensors, proposals = file.look.to_tensors()
    table, scan = scan_to_tensors(file.scan)
    facts = {
        **file.facts,
        "name": [path.parent.name, path.name],
        "n_grid": len(file.look),
        "n_embedded": len(file.look.rows),
        "proposals": proposals,
        "scan": scan,
    }
    return pack({**tensors, **table}, facts)


def _unpacked(path: Path, content: bytes) -> IndexFile:
    tensors, facts = unpack(content)
    if facts["name"] != [path.parent.name, path.name]:
        raise InputError(f"{path} was written under the name {facts['name'][1]}; delete it")
    look = Look.from_tensors(tensors, facts["proposals"])
    return IndexFile(look, scan_from_tensors(tensors, facts["scan"]), facts)


def _with_facts(entry: Entry) -> Entry | None:
    """A file with its facts; None if another process has deleted it."""
    with suppress(OSError):
        return replace(entry, facts=_facts(entry.path))
    return None


def _facts(path: Path) -> Mapping[str, Any] | None:
    with suppress(InputError), _unmarked(path), path.open("rb") as file:
        return facts_of(file.read(_HEADER_BYTES))
    return None


@contextmanager
def _unmarked(path: Path) -> Iterator[None]:
    """Read a file without a use of it: most file systems take any read of it for one."""
    state = path.stat()
    try:
        yield
    finally:
        with suppress(OSError):  # a folder that cannot be written
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _is_usable(entry: Entry, is_usable: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether a file is of use, and as it was written."""
    if entry.facts is None or not is_usable(entry.facts):
        return False
    try:
        with _unmarked(entry.path):
            return _read(entry.path) is not None
    except InputError:
        return False
