"""What the three data sets share: videos with captions, and checks of their files."""

from dataclasses import dataclass
from pathlib import Path

from evals.harness.data import part_of, read_lines, require_file_name, require_once
from keyscore_plugin.errors import InputError


@dataclass(frozen=True, slots=True)
class CaptionedVideo:
    """A video of the gallery and the captions that should find it.

    Attributes:
        id: Name of the video in the annotations.
        video: File of the video.
        captions: Captions, at least one.
    """

    id: str
    video: Path
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The test split of a retrieval data set, in the order of its annotations.

    Attributes:
        name: Name of the data set.
        videos: Gallery; every caption of every video is a query.
        n_published: Number of videos in the published split.
        cut_seconds: Length of each video that is used, from its first frame; None uses all of it.
    """

    name: str
    videos: tuple[CaptionedVideo, ...]
    n_published: int
    cut_seconds: float | None = None

    def title(self, n_videos: int) -> str:
        """The name, with the share of the published split if not all of it was measured."""
        return part_of(self.name, n_videos, self.n_published, "videos")


def read_list(path: Path) -> list[str]:
    """The videos that a list names, one per line; blank lines are skipped.

    Raises:
        InputError: The file cannot be read, is empty, names a video twice, or holds a line that is
            not a file name.
    """
    named = [(where, line.strip()) for where, line in read_lines(path)]
    if not named:
        raise InputError(f"{path} names no video; expected one per line")
    for where, name in named:
        require_file_name(name, where=where)
    require_once(named, what="video")
    return [name for _, name in named]


def require_caption(text: str, *, where: str) -> str:
    """The caption without surrounding blanks.

    Raises:
        InputError: The caption is empty.
    """
    caption = text.strip()
    if not caption:
        raise InputError(f"{where}: the caption is empty; write one or remove the entry")
    return caption
