"""A data set that is not all there, or not what it should be, is one clear line."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from keyscore_plugin.errors import InputError

_SHOWN = 3


def part_of(name: str, n: int, n_published: int, unit: str) -> str:
    """The name of a data set, and how much of what was published is there.

    Rows bear it as their ``dataset``: nothing is missing from a mean in silence.

    Args:
        name: Of all of it.
        n: How many there are.
        n_published: How many were published.
        unit: What is counted.

    Example:
        >>> part_of("tvsum20", 20, 20, "videos"), part_of("tvsum20", 19, 20, "videos")
        ('tvsum20', 'tvsum20, 19 of 20 videos')
    """
    return name if n == n_published else f"{name}, {n} of {n_published} {unit}"


def require_files(root: Path, paths: Iterable[Path | str], *, source: str, layout: str) -> None:
    """Check that the files of a data set are there.

    Args:
        root: The folder that was given.
        paths: Files and folders under it.
        source: Where to get them.
        layout: How they lie under the folder.

    Raises:
        InputError: Some are not; names the first of them, the source and the layout.
    """
    wanted = [Path(path) for path in paths]
    missing = [path for path in wanted if not (root / path).exists()]
    if missing:
        named = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise InputError(
            f"{len(missing)} of {len(wanted)} files are not under {root}: {named}; "
            f"{advice(source=source, layout=layout)}"
        )


def advice(*, source: str, layout: str) -> str:
    """What to do where files of a data set are missing.

    Args:
        source: Where to get them.
        layout: How they lie under the folder.
    """
    return f"get them from {source} and lay them out as {layout}"


def require_file_name(name: str, *, where: str) -> str:
    """The name, if it can be that of a file in the folder of the videos.

    Raises:
        InputError: It leads out of the folder, or to nothing.
    """
    if PurePath(name).name != name or name in ("", ".", "..") or not name.isprintable():
        raise InputError(f"{where}: {name!r} is not the name of a video file")
    return name


def read_text(path: Path) -> str:
    """The text of an annotation file. Lines end with a line feed, however they end in the file.

    Split it at line feeds: `str.splitlines` also ends a line at U+2028 and its like, which stand
    in titles and queries.

    Raises:
        InputError: It cannot be read, or is not UTF-8: an archive, a picture, a page.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {path}: byte {error.start} is not UTF-8; download it again"
        ) from error


def parse_json(text: str, *, where: str) -> Any:
    """A JSON value.

    Args:
        text: What should be one.
        where: Where it stands, for the error.

    Raises:
        InputError: It is none, or one that Python does not read: too deep, a number too long.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}") from error
