"""The output of a batch: an append-only file of lines that stays valid if the process is killed.

A record is one ``write`` of one whole line to a file opened for appending, followed by ``fsync``.
So at any moment the file consists of whole lines and at most one torn line at its end, which was
never reported as done; the next run cuts it off. The process that writes holds a lock on an empty
file in the same folder, ``.NAME.lock``. That file stays; the lock ends with the process.
"""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from keyscore_plugin.batch.manifest import ItemId
from keyscore_plugin.errors import InputError

# Every line begins like this. A file that begins differently is not ours and is never changed.
_LINE_START = b'{"id": '


class Journal:
    """An output file, locked for one process.

    Args:
        path: Output file; it is made if it does not exist.

    Attributes:
        done: Records that the file held when it was opened, by id.

    Raises:
        InputError: The file cannot be opened or written, another process writes to it, or it
            holds something other than the output of a batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail = b""  # a last line without an end
        try:
            # Devices and pipes cannot be read to their end and then continued.
            if path.exists() and not (stat.S_ISREG(path.stat().st_mode) or path.is_dir()):
                raise InputError(
                    f"cannot write {path}: it is not a regular file; give another --out"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as opened:
                self._file = opened.enter_context(path.open("a+b", buffering=0))
                opened.enter_context(_lock(path))
                self.done = self._recover()
                self._opened = opened.pop_all()
        except Timeout as error:
            raise InputError(
                f"another process writes to {path}; wait for it, or give another --out"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free its lock."""
        self._opened.close()

    def mend(self) -> None:
        """Cut off a torn last line; complete one that lacks only its line break.

        Opening the file does not do this, so that a file with other content is left unchanged.

        Raises:
            InputError: The disk is full or the file has become unwritable.
        """
        tail, self._tail = self._tail, b""
        try:
            if _is_whole(tail):
                self._file.write(b"\n")
            elif tail:
                self._file.truncate(self._size() - len(tail))
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, item_id: ItemId, record: Mapping[str, Any]) -> None:
        """Call `mend`, add one record, and wait until it is on the disk.

        Args:
            item_id: Id of the line.
            record: Answer to the line, as plain JSON values.

        Raises:
            InputError: The disk is full or the file has become unwritable; earlier lines are kept.
        """
        self.mend()
        text = json.dumps({"id": item_id, **record}, ensure_ascii=False, allow_nan=False)
        # A file name that is not UTF-8 holds lone surrogates; escaped as \udcXX they are JSON.
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        end = self._size()
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # a torn line that stays is cut off by the next run
                self._file.truncate(end)
            raise self._unwritable(error) from error

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

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


def _lock(path: Path) -> FileLock:
    # Links to one file share its lock.
    target = Path(os.path.realpath(path))
    return FileLock(target.with_name(f".{target.name}.lock"), timeout=0)


def _is_whole(line: bytes) -> bool:
    """Whether a line without a line break is a whole record; a torn JSON object is not JSON."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
