"""The records of a run on disk, one for each video; each process writes a separate journal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.harness.data import parse_json
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import write_whole

Record = dict[str, Any]

_SETTINGS = "settings.json"


def journal_path(out: Path, rank: int, n_processes: int) -> Path:
    """The journal of one process."""
    return out / f"records-{rank}-of-{n_processes}.jsonl"


def read_records(out: Path) -> dict[str, Record]:
    """The records of all journals of a run by id; a measurement replaces an error.

    A last line without a line end is being written, or was cut off, and is ignored.

    Raises:
        InputError: A journal cannot be read, or holds a line that is not a record.
    """
    records: dict[str, Record] = {}
    for path in sorted(out.glob("records-*.jsonl")):
        try:
            whole, _, _ = path.read_bytes().rpartition(b"\n")
        except OSError as error:
            raise InputError(
                f"cannot read {path}: {error.strerror or error}; make it readable"
            ) from error
        for number, line in enumerate(whole.splitlines(), start=1):
            record = _parse(line, f"{path}, line {number}")
            if "error" not in record or record["id"] not in records:
                records[record["id"]] = record
    return records


def _parse(line: bytes, where: str) -> Record:
    record = parse_json(line.decode("utf-8", "replace"), where=where)
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise InputError(f"{where} is not a record of a video; give another --out")
    return record


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder of a run, or check that it holds a part of the same run.

    Raises:
        InputError: The folder holds another run, or cannot be written.
    """
    path = out / _SETTINGS
    text = json.dumps(settings, indent=1, sort_keys=True)
    try:
        if path.exists():
            _require_same(path, _settings_of(path), json.loads(text))
            return
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; give another --out"
        ) from error


def release(out: Path) -> None:
    """Free the folder of a run that measured nothing for any other run."""
    (out / _SETTINGS).unlink(missing_ok=True)


def _settings_of(path: Path) -> Any:
    text = path.read_bytes().decode("utf-8", "replace")
    try:
        return parse_json(text, where=str(path))
    except InputError as error:
        raise InputError(f"{path} is not a settings file; give another --out") from error


def _require_same(path: Path, then: Any, now: dict[str, Any]) -> None:
    if not isinstance(then, dict):
        raise InputError(f"{path} is not a settings file; give another --out")
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            before, after = _differing(then.get(name), now.get(name))
            raise InputError(
                f"{path.parent} holds a run with {name} {before!r}, this one has {after!r}; "
                "give another --out"
            )


def _differing(then: Any, now: Any) -> tuple[Any, Any]:
    """Two values; of two objects, only the entries that differ."""
    if not isinstance(then, dict) or not isinstance(now, dict):
        return then, now
    names = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    return {name: then.get(name) for name in names}, {name: now.get(name) for name in names}
