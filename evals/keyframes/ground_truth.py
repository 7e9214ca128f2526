"""The keyframes that people chose, read from the file names of the data set."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.harness.data import require_files
from keyscore_plugin.errors import InputError

SOURCES = {
    "tvsum20": (
        "github.com/ttharden/Keyframe-extraction (Dataset/Keyframe) and the videos from TVSum "
        "(people.csail.mit.edu/yalesong/tvsum)"
    ),
    "summe": "data.vision.ee.ethz.ch/cvl/SumMe, which has no keyframes: use your own list",
}
# The list of LMSKE for TVSum20; all videos of SumMe.
N_PUBLISHED = {"tvsum20": 20, "summe": 25}
LAYOUT = "Keyframe/<id>.mp4/<frame index>.jpg and Videos/<id>.mp4"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A video and its true keyframes.

    Attributes:
        id: File name of the video without its extension.
        video: File of the video.
        indices: Frame indices of the keyframes, rising and unique.
        n_frames: Number of frames of the annotated copy; None if it is unknown.
    """

    id: str
    video: Path
    indices: tuple[int, ...]
    n_frames: int | None = None


def read_keyframes(root: Path, *, source: str, left_out: Collection[str] = ()) -> list[Labelled]:
    """Read ``Keyframe/<id>.mp4/<frame index>.jpg``; the pictures themselves are not opened.

    Args:
        root: Folder of the data set.
        source: Place to get it from, for the message.
        left_out: Ids of videos whose file may be missing.

    Returns:
        The videos that have keyframes, sorted by name.

    Raises:
        InputError: A file is missing, is not named by a frame index, or repeats one.
    """
    require_files(root, ["Keyframe", "Videos"], source=source, layout=LAYOUT)
    folders = [path for path in sorted((root / "Keyframe").iterdir()) if not _hidden(path)]
    if not folders:
        raise InputError(f"{root / 'Keyframe'} is empty; expected {LAYOUT}")
    videos = [Path("Videos", folder.name) for folder in folders]
    wanted = [video for video in videos if video.stem not in left_out]
    require_files(root, wanted, source=source, layout=LAYOUT)
    return [
        Labelled(video.stem, root / video, _indices(folder))
        for folder, video in zip(folders, videos, strict=True)
    ]


def _indices(folder: Path) -> tuple[int, ...]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected {LAYOUT}")
    files = [path for path in folder.iterdir() if not _hidden(path)]
    if not files:
        raise InputError(f"{folder} holds no keyframe; expected {LAYOUT}")
    # isdecimal alone would accept the digits of other scripts.
    wrong = sorted(
        path.name
        for path in files
        if path.suffix != ".jpg" or not (path.stem.isascii() and path.stem.isdecimal())
    )
    if wrong:
        raise InputError(f"{folder} holds {wrong[0]!r}; expected <frame index>.jpg alone")
    indices = sorted(int(path.stem) for path in files)
    _require_once(indices, str(folder))
    return tuple(indices)


def _require_once(indices: Sequence[int], where: str) -> None:
    twice = [index for index in set(indices) if indices.count(index) > 1]
    if twice:
        raise InputError(f"{where} names frame {min(twice)} twice; expected each frame once")


def _hidden(path: Path) -> bool:
    """Whether a file is hidden: file managers leave such files behind."""
    return path.name.startswith(".")
