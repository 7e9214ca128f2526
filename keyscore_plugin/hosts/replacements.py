"""Hooks that other libraries replaced, kept on disk so that `keyscore doctor` can name them."""

import json
from collections.abc import Sequence
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
    first, others = now, []
    for one in kept_replacements():
        if (one.host, one.name) != (host, name):
            others.append(one)
        elif one.by == by:
            first = one.first
    with suppress(OSError, RuntimeError):
        _write([*others, KeptReplacement(host, name, by, first, now)])


def kept_replacements() -> list[KeptReplacement]:
    """What was noted on disk; nothing if there is no file, or if it is damaged."""
    with suppress(OSError, RuntimeError, TypeError, ValueError):
        return [KeptReplacement(**one) for one in json.loads(_file().read_bytes())]
    return []


def _write(replacements: Sequence[KeptReplacement]) -> None:
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps([asdict(one) for one in replacements]).encode())


def _file() -> Path:
    return user_cache() / "replacements.json"
