"""The output of a batch: an append-only file of lines that survives being killed at any moment.

A record is one ``write`` of one whole line to a file opened for appending, followed by ``fsync``.
So at any moment the file is whole lines and at most one torn line at its end, which was never
reported as done; the next run cuts it off. POSIX only (``flock``).
"""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from keyscore_plugin.batch.manifest import ItemId
from keyscore_plugin.errors import InputError

# Every line begins so. What does not is not ours, and is never cut off or appended to.
_LINE_START = b'{"id": '


class Journal:
    """An output file, locked for one process.

    Args:
        path: The file; made when absent.

    Attributes:
        done: The records it held when it was opened, by id.

    Raises:
        InputError: The file cannot be opened or written, another process writes to it, or it
            holds something else than the output of a batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail = b""  # a last line without an end
        try:
            # A device has no end to be read to, a pipe none to go on from.
            if path.exists() and not (stat.S_ISREG(path.stat().st_mode) or path.is_dir()):
                raise InputError(f"cannot write {path}: it is no regular file; give another --out")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._lock()
            self.done = self._recover()
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which frees its lock."""
        os.close(self._fd)

    def mend(self) -> None:
        """Cut off a torn last line; end one that lacks its line break alone.

        Not done by opening the file: until it is clear what it holds, it is left as it was.

        Raises:
            InputError: The disk is full or the file has become unwritable.
        """
        tail, self._tail = self._tail, b""
        try:
            if _is_whole(tail):
                os.write(self._fd, b"\n")
            elif tail:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - len(tail))
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, item_id: ItemId, record: Mapping[str, Any]) -> None:
        """`mend`, add one record, and wait until it is on the disk.

        Raises:
            InputError: The disk is full or the file has become unwritable; what was there stays.
        """
        self.mend()
        text = json.dumps({"id": item_id, **record}, ensure_ascii=False, allow_nan=False)
        # A file name that is no UTF-8 holds lone surrogates; written as \udcXX they are JSON.
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        end = os.fstat(self._fd).st_size
        try:
            while line:
                line = line[os.write(self._fd, line) :]
            os.fsync(self._fd)
        except OSError as error:
            with suppress(OSError):  # a torn line that stays is cut off by the next run
                os.ftruncate(self._fd, end)
            raise self._unwritable(error) from error

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another process writes to {self.path}; wait for it, or give another --out"
            ) from error

    def _recover(self) -> dict[ItemId, dict[str, Any]]:
        """Read the whole lines; remember the last one if it has no end."""
        *lines, tail = self.path.read_bytes().split(b"\n")
        if tail[: len(_LINE_START)] != _LINE_START[: len(tail)]:
            raise self._foreign(len(lines) + 1)
        if _is_whole(tail):
            lines.append(tail)
        self._tail = tail
        done: dict[ItemId, dict[str, Any]] = {}
        for number, line in enumerate(lines, start=1):
            record = self._record(line, number=number)
            done[record["id"]] = record
        return done

    def _record(self, line: bytes, *, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # JSONDecodeError, UnicodeDecodeError ...
            raise self._foreign(number) from error
        if not (isinstance(record, dict) and isinstance(record.get("id"), str | int)):
            raise self._foreign(number)
        return record

    def _foreign(self, number: int) -> InputError:
        return InputError(
            f"{self.path}, line {number} was not written by a batch; give another --out"
        )

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write {self.path}: {error.strerror or error}; "
            "free the disk or give another --out, then run the same command again"
        )


def _is_whole(line: bytes) -> bool:
    """Whether a line without an end is a whole record: no part of a JSON object is JSON."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
