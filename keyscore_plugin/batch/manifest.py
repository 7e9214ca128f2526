"""The lines of a manifest, checked as a whole before any work starts."""

from dataclasses import dataclass
from pathlib import Path

from keyscore_plugin._runtime.names import hint
from keyscore_plugin.batch.rows import KEYS, STDIN, Row, rows_of
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_whole
from keyscore_plugin.video.trim import check_part

ItemId = str | int


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a manifest.

    Attributes:
        id: What the line is known by in the output: if the line gives no id, its number; for a
            folder's video its name.
        video: The video, as the manifest names it.
        path: Where it is: a relative name starts at the manifest's folder, or at the current one
            if the manifest is standard input.
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
    """Read a manifest; see `keyscore_plugin.batch.rows.rows_of` for what can be one.

    Args:
        path: A file in UTF-8, a folder, or `STDIN`.
        needs_text: Whether a line without a caption and a question is an error.

    Raises:
        InputError: It cannot be read, a line is malformed, or two lines share an id. The whole
            manifest is refused, so that no run stops at its last line.
    """
    folder = Path() if path == STDIN else path if path.is_dir() else path.parent
    seen: dict[ItemId, str] = {}
    items = []
    for row in rows_of(path):
        item = _item(row, folder=folder)
        if needs_text and item.caption is None and item.question is None:
            raise InputError(
                f"{row.where}: this sampler needs a text; add a caption or a question, or name a "
                "--captioner"
            )
        if item.id in seen:
            raise InputError(
                f"{row.where}: id {shown(item.id)} is taken by {seen[item.id]}; "
                "an id may stand once (a line without one takes its line number)"
            )
        seen[item.id] = row.where.rpartition(", ")[2]
        items.append(item)
    return items


def _item(row: Row, *, folder: Path) -> Item:
    values, where = row.values, row.where
    for key in values:
        if key not in KEYS:
            raise InputError(
                f"{where}: unknown key {shown(key)}{hint(key, KEYS)}; "
                f"the keys are: {', '.join(KEYS)}"
            )
    texts = {}
    for key in ("video", "caption", "question"):
        value = values.get(key)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise InputError(
                f"{where}: {key!r} must be a text that is not empty, got {shown(value)}"
            )
        texts[key] = value
    video = texts["video"]
    if video is None:
        raise InputError(f"{where}: 'video' is missing")
    item_id = values.get("id", row.id)
    if not (isinstance(item_id, str) or is_whole(item_id)):
        raise InputError(f"{where}: 'id' must be a text or a whole number, got {shown(item_id)}")
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
