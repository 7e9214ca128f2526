"""What was measured of each video, on disk: a journal a process, read by all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyscore_plugin._files import write_whole
from keyscore_plugin.errors import InputError

Record = dict[str, Any]


def journal_path(out: Path, rank: int, n_processes: int) -> Path:
    """Where one process writes."""
    return out / f"records-{rank}-of-{n_processes}.jsonl"


def read_records(out: Path) -> dict[str, Record]:
    """The records of all journals of a run, by id; one that measured replaces one that failed.

    A last line without an end is being written, or was cut off: it counts as not written.
    """
    records: dict[str, Record] = {}
    for path in sorted(out.glob("records-*.jsonl")):
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            record = json.loads(line)
            if "error" not in record or record["id"] not in records:
                records[record["id"]] = record
    return records


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder of a run, or check that it holds a part of the same run.

    Raises:
        InputError: It holds another run, or cannot be written.
    """
    path = out / "settings.json"
    text = json.dumps(settings, indent=1, sort_keys=True)
    try:
        if path.exists():
            _require_same(path, json.loads(path.read_text()), json.loads(text))
            return
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; give another --out"
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no settings file ({error}); give another --out") from error


def _require_same(path: Path, then: Any, now: dict[str, Any]) -> None:
    if not isinstance(then, dict):
        raise InputError(f"{path} is no settings file; give another --out")
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise InputError(
                f"{path.parent} holds a run with {name} {then.get(name)!r}, this one has "
                f"{now.get(name)!r}; give another --out"
            )
