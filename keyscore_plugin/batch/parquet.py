"""The output of a batch as one Parquet file, by the writer of pyarrow.

A run writes its lines to `LINES` in the folder, as `Journal` does, so that it can be killed and
goes on like any other; at its end the lines become the Parquet file. Readers of Parquet ignore
names that begin with an underscore.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from keyscore_plugin._runtime.files import whole
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.batch.manifest import Item, ItemId
from keyscore_plugin.errors import InputError, shown

LINES = "_selections.jsonl"
_TABLE = "selections.parquet"
_ROWS = 1000  # ours: rows that are in memory at a time, some 4 KB each
_INT64 = range(-(2**63), 2**63)


def require_writer() -> None:
    """Check that Parquet can be written.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    require("pyarrow.parquet", extra="ray")


def require_distinct(items: Iterable[Item]) -> None:
    """Check that the ids of a manifest stay distinct in a column of texts.

    Raises:
        InputError: A text and a whole number would become the same id.
    """
    ids: dict[str, ItemId] = {}
    for item in items:
        text = _text(item.id)
        if text in ids:
            raise InputError(
                f"ids {shown(ids[text])} and {shown(item.id)} of the manifest become the same text "
                "in Parquet, which has one type for all ids; give one of them another id, or "
                "--out FILE.jsonl"
            )
        ids[text] = item.id


def write_parquet(folder: Path) -> None:
    """Write the lines of a folder as its Parquet file.

    The columns are the keys of the JSON lines, null where a line lacks one. ``config``, whose keys
    depend on the sampler, is a column of JSON texts. ``id`` is a column of whole numbers if all ids
    are whole numbers of 64 bits, and of texts otherwise.

    Args:
        folder: Folder that holds `LINES`; an earlier Parquet file in it is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    parquet: Any = require("pyarrow.parquet", extra="ray")
    pyarrow: Any = require("pyarrow", extra="ray")
    lines = folder / LINES
    ids = (record["id"] for record in _records(lines))
    has_numbers = all(isinstance(one, int) and one in _INT64 for one in ids)
    schema = _schema(pyarrow, has_numbers=has_numbers)
    try:
        with whole(folder / _TABLE) as path, parquet.ParquetWriter(path, schema) as writer:
            rows = (_row(record, has_numbers=has_numbers) for record in _records(lines))
            while some := list(islice(rows, _ROWS)):
                writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))
    except OSError as error:
        raise InputError(
            f"cannot write {folder / _TABLE}: {error.strerror or error}; free the disk, then run "
            "the same command again"
        ) from error


def _records(lines: Path) -> Iterator[dict[str, Any]]:
    with lines.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _row(record: Mapping[str, Any], *, has_numbers: bool) -> dict[str, Any]:
    row: dict[str, Any] = _utf8(record)
    if "config" in row:
        row["config"] = json.dumps(row["config"])
    if "seconds" in row:
        row["seconds"] = list(row["seconds"].items())
    if not has_numbers:
        row["id"] = _text(record["id"])
    return row


def _text(item_id: ItemId) -> str:
    text: str = _utf8(str(item_id))
    return text


def _utf8(value: Any) -> Any:
    r"""The value, with ``\udcXX`` as text for a byte of a file name that is not UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_utf8(one) for one in value]
    if isinstance(value, dict):
        return {name: _utf8(one) for name, one in value.items()}
    return value


def _schema(pyarrow: Any, *, has_numbers: bool) -> Any:
    """Types of the columns, as docs/selection.schema.json describes them."""
    whole_number, number = pyarrow.int64(), pyarrow.float64()
    text, flag = pyarrow.string(), pyarrow.bool_()

    def many(kind: Any) -> Any:
        return pyarrow.list_(kind)

    def group(**fields: Any) -> Any:
        return pyarrow.struct(list(fields.items()))

    scored = dict.fromkeys(("semantic", "temporal", "drop", "total"), number)
    columns = {
        "id": whole_number if has_numbers else text,
        "video": text,
        "error": text,
        "format": whole_number,
        "sampler": text,
        "config": text,
        "num_frames": whole_number,
        "threshold": number,
        "indices": many(whole_number),
        "pts_seconds": many(number),
        "scores": many(number),
        "rank": many(whole_number),
        "caption": group(text=text, origin=text, model=text),
        "question": text,
        "encoder": text,
        "captioner": text,
        "decoder": text,
        "stream": whole_number,
        "start_pts_seconds": number,
        "start_seconds": number,
        "end_seconds": number,
        "duration_seconds": number,
        "average_fps": number,
        "n_frames": whole_number,
        "n_frames_counted": flag,
        "n_grid": whole_number,
        "looked_at": group(kind=text, n_first=whole_number, n_closer=whole_number),
        "candidates": many(
            group(
                index=whole_number,
                pts_seconds=number,
                cluster=whole_number,
                **scored,
                by_text=many(number),
            )
        ),
        "clips": group(
            starts=many(number),
            ends=many(number),
            weights=many(number),
            priorities=many(whole_number),
            reasons=many(text),
            origin=text,
            model=text,
        ),
        "texts": many(group(text=text, role=text, origin=text)),
        "join": text,
        "chosen_for": many(whole_number),
        "subtitles": group(name=text, digest=text),
        "fallback": text,
        "frame_captions": many(text),
        "seconds": pyarrow.map_(text, number),
        "notes": many(text),
    }
    return pyarrow.schema(list(columns.items()))
