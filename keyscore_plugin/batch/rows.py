"""The input of a batch as rows: a folder, or a file of JSON lines, a table or a list of names."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import InputError

KEYS = ("video", "caption", "question", "id", "start", "end")
STDIN = Path("-")

# Ours: what a file with moving pictures is usually called; a name that is listed may be any.
VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v"),
    *(".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm"),
    *(".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of one video, not checked yet.

    Attributes:
        where: The place it stands at, for errors.
        id: What it is known by if it does not say so itself.
        values: Its `KEYS`, and whatever else was written.
    """

    where: str
    id: str | int
    values: Mapping[str, Any]


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a manifest; blank lines are skipped.

    A folder gives the videos in it and below, by name. A file ending in ``.jsonl``, ``.ndjson`` or
    ``.json`` holds an object a line, one ending in ``.csv`` or ``.tsv`` a table; of any other file,
    and of standard input, the first line says whether it is one of these, or a list of names.

    Args:
        path: A folder, a file in UTF-8, or `STDIN`.

    Raises:
        InputError: It cannot be read, holds no video, or a line is malformed.
    """
    if path != STDIN and path.is_dir():
        return _folder_rows(path)
    text = _text(path)
    return _reader(path, text)(text, "standard input" if path == STDIN else str(path))


def _folder_rows(folder: Path) -> Iterator[Row]:
    """The videos below a folder; the id is the name, so that one more changes no other."""

    def refuse(error: OSError) -> None:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error

    names = [
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, files in os.walk(folder, onerror=refuse)
        for name in files
        if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")
    ]
    if not names:
        raise InputError(
            f"no file below the folder {folder} is called a video (.mp4, .mkv, .webm ...); give "
            "another folder, or a file with one name a line"
        )
    for name in sorted(names):
        yield Row(str(folder / name), name, {"video": name})


def _text(path: Path) -> str:
    try:
        if path != STDIN:
            return path.read_text(encoding="utf-8-sig")
        if sys.stdin is None:
            raise InputError("cannot read the manifest from standard input: it is closed")
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the manifest {path}: {_cause(error)}; "
            "give a folder, or a list, a CSV or JSON lines in UTF-8 (one video: keyscore select)"
        ) from error


def _cause(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return error.strerror or str(error)


def _reader(path: Path, text: str) -> Callable[[str, str], Iterator[Row]]:
    suffix = path.suffix.lower()
    first = text.lstrip().partition("\n")[0]
    columns = {name.strip(' "\r') for name in re.split(f"[{_DELIMITERS}]", first)}
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows
    if suffix in (".csv", ".tsv") or ("video" in columns and columns <= set(KEYS)):
        return _table_rows
    return _json_rows if first.startswith("{") else _list_rows


def _list_rows(text: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Row(f"{name}, line {number}", number, {"video": line.strip()})


def _table_rows(text: str, name: str) -> Iterator[Row]:
    """The lines of a CSV below the one that names its columns; an empty field says nothing."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        if "video" not in reader.fieldnames:
            raise InputError(
                f"{name}, line 1: no column is called 'video'; a table names its columns in its "
                f"first line, from: {', '.join(KEYS)}"
            )
        for fields in reader:
            where = f"{name}, line {reader.line_num}"
            if None in fields:
                raise InputError(f"{where}: it has more fields than there are columns; quote them")
            values = {column: _cell(column, text) for column, text in fields.items() if text}
            yield Row(where, reader.line_num, values)
    except csv.Error as error:
        raise InputError(f"{name}, after line {reader.line_num}: not CSV ({error})") from error


def _cell(column: str, text: str) -> str | float:
    """The value of a field: ``start`` and ``end`` as numbers; any other text is refused later."""
    if column in ("start", "end"):
        with suppress(ValueError):
            return float(text)
    return text


def _json_rows(text: str, name: str) -> Iterator[Row]:
    # split, not splitlines: JSON strings may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield Row(where, number, _object(line, where=where))


def _object(line: str, *, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a number too long for Python, or too deep
        raise InputError(f"{where}: not JSON that Python reads ({error})") from error
    if not isinstance(values, dict):
        raise InputError(
            f"{where}: expected an object such as {{'video': 'a.mp4'}}, got {type(values).__name__}"
        )
    return values
