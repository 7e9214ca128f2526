"""Where the video of a name lies."""

import csv
from collections.abc import Iterator
from pathlib import Path

from evals.harness.data import read_text
from keyscore_plugin.errors import InputError

TITLES = "ydata-tvsum50-info.tsv"


def read_titles(path: Path) -> dict[str, str]:
    """Titles by YouTube id, from TVSum's `TITLES`.

    Args:
        path: A table apart by tabs with a header that holds ``video_id`` and ``title``.

    Raises:
        InputError: A column is missing, a title is empty, or an id comes twice.
    """
    # Titles hold lone quotation marks: they are letters, not a way to quote.
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
    """What a file name says: SumMe's videos have no other title.

    Example:
        >>> title_of_name("Bike_Polo")
        'Bike Polo'
    """
    return " ".join(name.replace("_", " ").split())


_ENDINGS = (".mp4", ".webm")


def find_video(root: Path, name: str) -> Path:
    """The file under ``Videos`` that bears a name.

    SumMe's own files disagree about spaces, underscores and capitals ("Saving dolphines"); one
    file must fit, and one only.

    Args:
        root: Folder of the data set.
        name: Of the video, without an ending.

    Returns:
        The path under ``root``; ``Videos/<name>.mp4`` where there is none, for the caller to miss.

    Raises:
        InputError: Several files fit.
    """
    fitting = sorted(
        path.relative_to(root)
        for path in (root / "Videos").glob("*")
        if path.suffix in _ENDINGS and _plain(path.stem) == _plain(name)
    )
    if len(fitting) > 1:
        raise InputError(
            f"{root} has {len(fitting)} files for {name!r}: {', '.join(map(str, fitting))}"
        )
    return fitting[0] if fitting else Path("Videos", f"{name}.mp4")


def _plain(name: str) -> str:
    return title_of_name(name).casefold()
