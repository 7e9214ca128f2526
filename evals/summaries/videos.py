"""Titles and files of the videos of TVSum and SumMe."""

import csv
from collections.abc import Iterator
from pathlib import Path

from evals.harness.data import read_text
from keyscore_plugin.errors import InputError

TITLES = "ydata-tvsum50-info.tsv"


def read_titles(path: Path) -> dict[str, str]:
    """Read the titles in TVSum's `TITLES` by YouTube id.

    Args:
        path: File with a tab-separated table, whose header holds ``video_id`` and ``title``.

    Raises:
        InputError: A column is missing, a title is empty, or an id occurs twice.
    """
    # Titles hold single quotation marks, which quote nothing.
    table = csv.DictReader(read_text(path).split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = table.fieldnames or ()
    missing = [name for name in ("video_id", "title") if name not in columns]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; its columns are {columns}")
    titles: dict[str, str] = {}
    for row in _rows(table, path):
        video_id, title = row["video_id"], (row["title"] or "").strip()
        if not video_id:
            raise InputError(f"{path}, line {table.line_num} names no video")
        if video_id in titles:
            raise InputError(f"{path}: {video_id} comes twice; expected each video once")
        if not title:
            raise InputError(f"{path}: {video_id} has no title")
        titles[video_id] = title
    return titles


def _rows(table: "csv.DictReader[str]", path: Path) -> Iterator[dict[str, str | None]]:
    try:
        yield from table
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: {error}") from error


def title_of_name(name: str) -> str:
    """A file name as a title: the videos of SumMe have no other one.

    Example:
        >>> title_of_name("Bike_Polo")
        'Bike Polo'
    """
    return " ".join(name.replace("_", " ").split())


_ENDINGS = (".mp4", ".webm")


def find_video(root: Path, name: str) -> Path:
    """The file of a video under ``Videos``.

    Spaces, underscores and capitals are ignored, because SumMe's own files differ in them ("Saving
    dolphines").

    Args:
        root: Folder of the data set.
        name: Name of the video, without an extension.

    Returns:
        The path relative to ``root``; ``Videos/<name>.mp4`` if no file has this name.

    Raises:
        InputError: Several files have this name.
    """
    fitting = sorted(
        path.relative_to(root)
        for path in (root / "Videos").glob("*")
        if path.suffix in _ENDINGS and _plain(path.stem) == _plain(name)
    )
    if len(fitting) > 1:
        raise InputError(
            f"{root} has {len(fitting)} files for {name!r}: {', '.join(map(str, fitting))}; "
            "keep one"
        )
    return fitting[0] if fitting else Path("Videos", f"{name}.mp4")


def _plain(name: str) -> str:
    return title_of_name(name).casefold()
