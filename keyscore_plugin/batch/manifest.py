"""The input of a batch: a folder, or a file of JSON lines, a table or a list of names.

All lines are checked before any video is opened.
"""

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

from keyscore_plugin._runtime.names import hint
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import Join, TextInput, check_join, texts_of
from keyscore_plugin.types.numbers import is_whole
from keyscore_plugin.video.trim import check_part

ItemId = str | int

KEYS = ("video", "caption", "question", "join", "subtitles", "id", "start", "end")
STDIN = Path("-")

# Ours: the usual suffixes of video files, for which a folder is searched; a file that is named in
# a list may have any suffix.
_VIDEO_SUFFIXES = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v"),
    *(".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm"),
    *(".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest.

    Attributes:
        id: Key of the line in the output. A line without an id gets its line number, and a video
            of a folder gets its name.
        video: Name of the video, as in the manifest.
        path: Path of the video. A relative name starts at the manifest's folder, or at the current
            one if the manifest is standard input.
        caption: Sentence about the video, if given, or a list of them.
        question: Question about the video, if given, or a list of them.
        join: Join of several texts.
        subtitles: Path of a subtitle file, or as `keyscore_plugin.Sampler` takes it. A relative
            path starts where that of the video does.
        start_seconds: Start of the part to choose from, in seconds from the first frame; None
            means the first frame.
        end_seconds: End of that part; None means the end of the video.
    """

    id: ItemId
    video: str
    path: Path
    caption: TextInput | None = None
    question: TextInput | None = None
    join: Join = "all"
    subtitles: str | bool | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One line as it was written, before it is checked.

    Attributes:
        where: Place of the line, for errors.
        id: Id of the line if it does not give one.
        values: Values by key; the keys need not be `KEYS`.
    """

    where: str
    id: str | int
    values: Mapping[str, Any]


def read_manifest(path: Path, *, needs_text: bool = False) -> list[Item]:
    """Read a manifest; blank lines are skipped.

    A folder gives the videos in it and in its subfolders, sorted by name. A file ending in
    ``.jsonl``, ``.ndjson`` or ``.json`` holds one object per line; one ending in ``.csv`` or
    ``.tsv`` is a table. The first line of any other file, and of standard input, decides whether it
    is one of these or a list of names.

    Args:
        path: File in UTF-8, folder, or `STDIN`.
        needs_text: Whether a line without a caption and a question is an error.

    Returns:
        The items in the order of the lines.

    Raises:
        InputError: The manifest cannot be read, a folder has no videos, a line is malformed, or two
            lines share an id. The whole manifest is refused, so that a run does not stop in the
            middle.
    """
    folder = Path() if path == STDIN else path if path.is_dir() else path.parent
    seen: dict[ItemId, str] = {}
    items = []
    for row in _rows(path):
        item = _item(row, folder=folder)
        if needs_text and item.caption is None and item.question is None:
            raise InputError(
                f"{row.where}: this sampler needs a text; add a caption or a question, or name a "
                "--captioner"
            )
        if item.id in seen:
            raise InputError(
                f"{row.where}: id {shown(item.id)} is taken by {seen[item.id]}; "
                "give each line another id (a line without one takes its line number)"
            )
        seen[item.id] = row.where.rpartition(", ")[2]
        items.append(item)
    return items


def _item(row: _Row, *, folder: Path) -> Item:
    values, where = row.values, row.where
    for key in values:
        if key not in KEYS:
            raise InputError(
                f"{where}: unknown key {shown(key)}{hint(key, KEYS)}; "
                f"the keys are: {', '.join(KEYS)}"
            )
    video = values.get("video")
    if video is None:
        raise InputError(f"{where}: 'video' is missing; give the path of a video")
    if not (isinstance(video, str) and video.strip()):
        raise InputError(f"{where}: 'video' must be a text that is not empty, got {shown(video)}")
    item_id = values.get("id", row.id)
    if not (isinstance(item_id, str) or is_whole(item_id)):
        raise InputError(f"{where}: 'id' must be a text or a whole number, got {shown(item_id)}")
    subtitles = values.get("subtitles")
    if isinstance(subtitles, str) and subtitles.strip():
        subtitles = str(folder / subtitles)
    elif not (subtitles is None or isinstance(subtitles, bool)):
        raise InputError(
            f"{where}: 'subtitles' must be a path, true or false, got {shown(subtitles)}"
        )
    try:
        check_part(values.get("start"), values.get("end"))
        join = check_join(values.get("join") or "all")
        for role in ("caption", "question"):
            texts_of(values.get(role), role)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Item(
        id=item_id,
        video=video,
        path=folder / video,
        caption=values.get("caption"),
        question=values.get("question"),
        join=join,
        subtitles=subtitles,
        start_seconds=values.get("start"),
        end_seconds=values.get("end"),
    )


def _rows(path: Path) -> Iterator[_Row]:
    if path != STDIN and path.is_dir():
        return _folder_rows(path)
    text = _text(path)
    return _reader(path, text)(text, "standard input" if path == STDIN else str(path))


def _folder_rows(folder: Path) -> Iterator[_Row]:
    """Yield the videos below a folder; their names are the ids, which new videos do not change."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"cannot read {error.filename}: {error.strerror}; give another folder, or free this"
        ) from error

    names = [
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, files in os.walk(folder, onerror=refuse)
        for name in files
        if name.lower().endswith(_VIDEO_SUFFIXES) and not name.startswith(".")
    ]
    if not names:
        raise InputError(
            f"no file below the folder {folder} has the suffix of a video (.mp4, .mkv, .webm ...); "
            "give another folder, or a file with one name per line"
        )
    for name in sorted(names):
        yield _Row(str(folder / name), name, {"video": name})


def _text(path: Path) -> str:
    try:
        if path != STDIN:
            return path.read_text(encoding="utf-8-sig")
        if sys.stdin is None:
            raise InputError(
                "cannot read the manifest from standard input: it is closed; give the name of a "
                "file or a folder"
            )
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


def _reader(path: Path, text: str) -> Callable[[str, str], Iterator[_Row]]:
    suffix = path.suffix.lower()
    first = text.lstrip().partition("\n")[0]
    columns = {name.strip(' "\r') for name in re.split(f"[{_DELIMITERS}]", first)}
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json_rows
    if suffix in (".csv", ".tsv") or ("video" in columns and columns <= set(KEYS)):
        return _table_rows
    return _json_rows if first.startswith("{") else _list_rows


def _list_rows(text: str, name: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _Row(f"{name}, line {number}", number, {"video": line.strip()})


def _table_rows(text: str, name: str) -> Iterator[_Row]:
    """Yield the lines of a CSV after the one that names its columns; empty fields are left out."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        if "video" not in reader.fieldnames:
            raise InputError(
                f"{name}, line 1: no column is called 'video'; name the columns in the first line, "
                f"from: {', '.join(KEYS)}"
            )
        for fields in reader:
            where = f"{name}, line {reader.line_num}"
            if None in fields:
                raise InputError(
                    f"{where}: it has more fields than the table has columns; quote a field that "
                    "contains the delimiter"
                )
            values = {column: _cell(column, text) for column, text in fields.items() if text}
            yield _Row(where, reader.line_num, values)
    except csv.Error as error:
        raise InputError(
            f"{name}, after line {reader.line_num}: not CSV ({error}); mend the line, or give JSON "
            "lines"
        ) from error


def _cell(column: str, text: str) -> str | float | bool:
    """Return the value of a field: a time as a number, true or false of subtitles as a bool."""
    if column == "subtitles" and text in ("true", "false"):
        return text == "true"
    if column in ("start", "end"):
        with suppress(ValueError):
            return float(text)
    return text


def _json_rows(text: str, name: str) -> Iterator[_Row]:
    # split, not splitlines: JSON strings may hold U+2028 and similar characters unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield _Row(where, number, _object(line, where=where))


def _object(line: str, *, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON ({error.msg} at column {error.colno}); write one object per line"
        ) from error
    except (ValueError, RecursionError) as error:  # too long a number, or nested too deep
        raise InputError(
            f"{where}: not JSON that Python reads ({error}); write one plain object per line"
        ) from error
    if not isinstance(values, dict):
        raise InputError(
            f"{where}: expected an object such as {{'video': 'a.mp4'}}, got {type(values).__name__}"
        )
    return values
