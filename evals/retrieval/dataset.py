"""What the three data sets have in common: videos, their captions, and how a file may be wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evals.harness.data import part_of, read_text, require_file_name
from keyscore_plugin.errors import InputError


@dataclass(frozen=True, slots=True)
class CaptionedVideo:
    """A video of the gallery and the captions that should find it.

    Attributes:
        id: As the annotations name it.
        video: Its file.
        captions: At least one.
    """

    id: str
    video: Path
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The test split of a retrieval data set, in the order of its annotations.

    Attributes:
        name: Of the data set.
        videos: The gallery; every caption of every video is a query.
        n_published: Videos of the published split.
        cut_seconds: How much of each video counts, from its first frame; None is all of it.
    """

    name: str
    videos: tuple[CaptionedVideo, ...]
    n_published: int
    cut_seconds: float | None = None

    def title(self, n_videos: int) -> str:
        """The name, and how much of the published split was measured."""
        return part_of(self.name, n_videos, self.n_published, "videos")


def read_list(path: Path) -> list[str]:
    """The videos that a list names, one a line; blank lines are skipped.

    Raises:
        InputError: It cannot be read, is empty, or names a video twice or none that can be a file.
    """
    lines = enumerate(read_text(path).split("\n"), start=1)
    named = [(f"{path}, line {number}", line.strip()) for number, line in lines if line.strip()]
    if not named:
        raise InputError(f"{path} names no video; expected one a line")
    for where, name in named:
        require_file_name(name, where=where)
    require_once(named, what="video")
    return [name for _, name in named]


def require_once(named: Iterable[tuple[str, str]], *, what: str) -> None:
    """Check that no name stands twice.

    Args:
        named: Where each name stands, and the name.
        what: What is named, for the error.

    Raises:
        InputError: One does; says where.
    """
    seen: dict[str, str] = {}
    for where, name in named:
        if name in seen:
            raise InputError(f"{where}: {what} {name!r} stands already in {seen[name]}")
        seen[name] = where


def require_caption(text: str, *, where: str) -> str:
    """The caption without blanks around it.

    Raises:
        InputError: It says nothing.
    """
    caption = text.strip()
    if not caption:
        raise InputError(f"{where}: the caption is empty")
    return caption
