"""Hooks that other libraries replaced, kept on disk so that `keyscore doctor` can name them."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from keyscore_plugin._runtime.files import user_cache, write_whole


@dataclass(frozen=True, slots=True)
class KeptReplacement:
    """A hook that another library replaced, in any process of this user.

    Attributes:
        host: Name of the host, such as ``"qwen-vl-utils"``.
        name: Place in the host, such as ``"VIDEO_READER_BACKENDS['decord']"``.
        by: Module and name of the function that was put there.
        first: Time at which this function was first noticed there, in ISO 8601.
        last: Time at which it was last noticed.
    """

    host: str
    name: str
    by: str
    first: str
    last: str


def keep_replacement(host: str, name: str, by: str, *, noticed: datetime) -> None:
    """Note on disk that a hook was replaced; where the disk cannot be written, nothing is kept.

    Args:
        host: Name of the host.
        name: Place in the host; the last function that was put there is kept.
        by: Module and name of that function.
        noticed: Time at which it was noticed.
    """
    now = noticed.isoformat(timespec="seconds")
    with suppress(OSError, RuntimeError):
        path = _folder() / f"{hashlib.sha256(f'{host}:{name}'.encode()).hexdigest()}.json"
        before = _read(path)
        first = before.first if before is not None and before.by == by else now
        path.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(KeptReplacement(host, name, by, first, now))
        write_whole(path, json.dumps(content).encode())


def kept_replacements() -> list[KeptReplacement]:
    """What was noted on disk, by host and place; a damaged file counts as none."""
    with suppress(OSError, RuntimeError):
        found = [one for path in _folder().glob("*.json") if (one := _read(path)) is not None]
        return sorted(found, key=lambda one: (one.host, one.name))
    return []


def _read(path: Path) -> KeptReplacement | None:
    """What a file holds; None if there is none, or if it is damaged."""
    with suppress(AttributeError, OSError, RuntimeError, TypeError, ValueError):
        values = json.loads(path.read_bytes())
        if all(isinstance(value, str) for value in values.values()):
            return KeptReplacement(**values)
    return None


def _folder() -> Path:
    """One file for each place: two processes that notice two of them do not undo each other."""
    return user_cache() / "replacements"
