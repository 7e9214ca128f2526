"""Reading and checking the files of a data set; what is wrong with one is one line."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from keyscore_plugin.errors import InputError, VideoError

_SHOWN = 3
_CHUNK = 1 << 20


def part_of(name: str, n: int, n_published: int, unit: str) -> str:
    """The name of a data set, with the share that is there if some of it is missing.

    Every row has it as its ``dataset``, so that a mean over fewer videos says so.

    Args:
        name: Name of the whole data set.
        n: Number of items that are there.
        n_published: Number of items that were published.
        unit: Name of an item, in the plural.

    Example:
        >>> part_of("tvsum20", 20, 20, "videos"), part_of("tvsum20", 19, 20, "videos")
        ('tvsum20', 'tvsum20, 19 of 20 videos')
    """
    return name if n == n_published else f"{name}, {n} of {n_published} {unit}"


def require_files(root: Path, paths: Iterable[Path | str], *, source: str, layout: str) -> None:
    """Check that the files of a data set are there.

    Args:
        root: Folder of the data set.
        paths: Files and folders under it.
        source: Place to get them from.
        layout: Layout of the files in the folder.

    Raises:
        InputError: A file is missing; the message names the first ones, the source and the layout.
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
    """Advice on missing files of a data set.

    Args:
        source: Place to get them from.
        layout: Layout of the files in the folder.
    """
    return f"get them from {source} and lay them out as {layout}"


def require_file_name(name: str, *, where: str) -> str:
    """Return a name that a file in the folder of the videos can have.

    Raises:
        InputError: The name leads out of the folder, or no file can have it.
    """
    if PurePath(name).name != name or name in ("", ".", "..") or not name.isprintable():
        raise InputError(f"{where}: {name!r} is not the name of a video file; correct the line")
    return name


def read_text(path: Path) -> str:
    """The text of an annotation file, with line feeds as its only line ends.

    Raises:
        InputError: The file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; make it readable"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {path}: byte {error.start} is not UTF-8; download it again"
        ) from error


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of an annotation file that hold something, each after its place in the file.

    Raises:
        InputError: The file cannot be read, or is not UTF-8.
    """
    # `str.splitlines` also splits at U+2028 and the like, which occur in titles and queries.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", line


def require_once(named: Iterable[tuple[str, str]], *, what: str) -> None:
    """Check that no name occurs twice.

    Args:
        named: Place and name of each entry.
        what: Kind of name, for the message.

    Raises:
        InputError: A name occurs twice; the message gives both places.
    """
    seen: dict[str, str] = {}
    for where, name in named:
        if name in seen:
            raise InputError(f"{where}: {what} {name!r} was already in {seen[name]}; keep one")
        seen[name] = where


def digest(values: Any) -> str:
    """The SHA-256 of plain JSON values."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of the content of a file.

    Raises:
        InputError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; give a file that can be read"
        ) from error
    return digest.hexdigest()


def parse_json(text: str, *, where: str) -> Any:
    """Parse a JSON value.

    Args:
        text: Text of the value.
        where: Place of the text, for the message.

    Raises:
        InputError: The text is not JSON, or nests too deeply, or holds a number that is too long.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}); correct it") from error


def require_same_video(
    video: Path, n_frames: int, *, annotations: str, last: int, annotated: int | None, slack: int
) -> None:
    """Check that a video has as many frames as the annotated one.

    Args:
        video: Path of the video.
        n_frames: Number of frames of the video.
        annotations: Name of the annotations, in the plural, for the error.
        last: Largest frame index of the annotations.
        annotated: Number of frames of the annotated copy; None if it is unknown.
        slack: Least difference of the two numbers that is an error.

    Raises:
        VideoError: The numbers differ: in a copy with another frame rate the indices mean other
            frames.
    """
    if last >= n_frames or (annotated is not None and abs(annotated - n_frames) >= slack):
        extent = f"go up to frame {last}" if annotated is None else f"are of {annotated} frames"
        raise VideoError(
            str(video),
            f"its {annotations} {extent} and it has {n_frames} frames",
            f"get the copy that the {annotations} were made for",
        )
