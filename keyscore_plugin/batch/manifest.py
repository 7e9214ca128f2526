"""The lines of a manifest, checked as a whole before any work starts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_plugin.excerpt import check_part

ItemId = str | int

_KEYS = ("video", "caption", "question", "id", "start", "end")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest.

    Attributes:
        id: What the line is known by in the output; the line number when none was given.
        video: The video, as the manifest names it.
        path: Where it is: a relative name starts at the manifest's folder.
        caption: A sentence about the video, if given.
        question: A question about the video, if given.
        start_seconds: Choose from here on, seconds from the first frame; None from the beginning.
        end_seconds: Choose up to here; None up to the end.
    """

    id: ItemId
    video: str
    path: Path
    caption: str | None = None
    question: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None


def read_manifest(path: Path, *, needs_text: bool = False) -> list[Item]:
    """Read ``{"video", "caption"?, "question"?, "id"?, "start"?, "end"?}`` lines.

    Blank lines are skipped.

    Args:
        path: A JSON Lines file in UTF-8.
        needs_text: Whether a line without a caption and a question is an error.

    Raises:
        InputError: The file cannot be read, a line is malformed, or two lines share an id. The
            whole manifest is refused, so that no run stops at its last line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the manifest {path}: {_cause(error)}; "
            "give a file with one JSON object a line, in UTF-8"
        ) from error
    seen: dict[ItemId, int] = {}
    items = []
    # split, not splitlines: JSON strings may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        item = _item(_object(line, where=where), number=number, folder=path.parent, where=where)
        if needs_text and item.caption is None and item.question is None:
            raise InputError(f"{where}: this sampler needs a text; add a caption or a question")
        if item.id in seen:
            raise InputError(
                f"{where}: id {item.id!r} is taken by line {seen[item.id]}; "
                "an id may stand once (a line without one takes its line number)"
            )
        seen[item.id] = number
        items.append(item)
    return items


def _cause(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return error.strerror or str(error)


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


def _item(values: Mapping[str, Any], *, number: int, folder: Path, where: str) -> Item:
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; the keys are: {', '.join(_KEYS)}")
    texts = {}
    for key in ("video", "caption", "question"):
        value = values.get(key)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise InputError(f"{where}: {key!r} must be a text that is not empty, got {value!r}")
        texts[key] = value
    video = texts["video"]
    if video is None:
        raise InputError(f"{where}: 'video' is missing")
    item_id = values.get("id", number)
    # bool is an int to isinstance; true is no name for a line.
    if isinstance(item_id, bool) or not isinstance(item_id, str | int):
        raise InputError(f"{where}: 'id' must be a text or a whole number, got {item_id!r}")
    try:
        check_part(values.get("start"), values.get("end"))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Item(
        id=item_id,
        video=video,
        path=folder / video,
        caption=texts["caption"],
        question=texts["question"],
        start_seconds=values.get("start"),
        end_seconds=values.get("end"),
    )
