"""TVSum and SumMe: all files of a data set, read and checked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.harness.data import part_of, require_file_name, require_files
from evals.harness.figures import Floats
from evals.summaries.annotators import N_USERS, read_annotators, scores_at_picks
from evals.summaries.h5 import Annotation, read_h5
from evals.summaries.splits import Splits, read_csta, read_pgl_sum
from evals.summaries.videos import TITLES, find_video, read_titles, title_of_name
from keyscore_plugin.errors import InputError

PGL_SUM, CSTA = "PGL-SUM", "CSTA"
DATASETS = {"tvsum": "TVSum", "summe": "SumMe"}
_N_PUBLISHED = {"tvsum": 50, "summe": 25}
_ANNOTATORS = "ydata-tvsum50-anno.tsv"
SOURCE = (
    "github.com/e-apostolidis/PGL-SUM and github.com/thswodnjs3/CSTA (h5, splits) and "
    "people.csail.mit.edu/yalesong/tvsum or data.vision.ee.ethz.ch/cvl/SumMe"
)
LAYOUT = (
    "eccv16_dataset_*_google_pool5.h5, splits/*_splits.{json,txt}, Videos/<name>.mp4, for TVSum "
    f"{_ANNOTATORS} and {TITLES}"
)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedVideo:
    """One video and its annotations.

    Attributes:
        annotation: Picks, shots and summaries of the users.
        video: File of the video.
        title: Title; None if titles are not read.
        users: ``(20, n_steps)`` scores that TVSum's users gave each pick; None for SumMe.
    """

    annotation: Annotation
    video: Path
    title: str | None
    users: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """TVSum or SumMe.

    Attributes:
        name: Name of the data set: ``"tvsum"`` or ``"summe"``.
        videos: Videos by key, in the order of the h5 file.
        splits: Test sets by the name of their publisher.
    """

    name: str
    videos: Mapping[str, AnnotatedVideo]
    splits: Mapping[str, Splits]

    def title(self, n_videos: int) -> str:
        """The name, with the share of the published videos if not all were measured."""
        return part_of(self.name, n_videos, _N_PUBLISHED[self.name], "videos")


def read_data_set(
    name: str,
    root: Path,
    *,
    with_splits: bool,
    with_titles: bool,
    left_out: Collection[str] = (),
    with_videos: bool = True,
) -> DataSet:
    """Read and check all files of a data set.

    Args:
        name: Name of the data set: ``"tvsum"`` or ``"summe"``.
        root: Folder of the data set.
        with_splits: Whether the two sets of splits are read.
        with_titles: Whether titles are read; those of SumMe are the names of its videos.
        left_out: Keys of videos whose file may be missing.
        with_videos: Whether the files of the videos have to be there.

    Raises:
        InputError: A file is missing, broken, or contradicts another one.
    """
    title = DATASETS[name]
    splits = [Path("splits", f"{name}_splits.json"), Path("splits", f"{title}_splits.txt")]
    titles = [TITLES] if with_titles and name == "tvsum" else []
    _require(root, [*annotation_files(name), *titles, *(splits if with_splits else [])])
    n_users = range(N_USERS, N_USERS + 1) if name == "tvsum" else range(15, 19)
    annotations = read_h5(root / h5_path(name), n_users=n_users)
    read = _tvsum if name == "tvsum" else _summe
    videos = read(root, annotations, with_titles)
    wanted = [video.video for key, video in videos.items() if key not in left_out]
    _require(root, [video.relative_to(root) for video in wanted if with_videos])
    split_files = {}
    if with_splits:
        split_files = {
            PGL_SUM: read_pgl_sum(root / splits[0], annotations),
            CSTA: read_csta(root / splits[1], annotations),
        }
    return DataSet(name, videos, split_files)


def h5_path(name: str) -> Path:
    """The h5 file of a data set, in its folder."""
    return Path(f"eccv16_dataset_{name}_google_pool5.h5")


def annotation_files(name: str) -> list[Path]:
    """The files that hold the annotations of a data set, in its folder."""
    return [h5_path(name), *([Path(_ANNOTATORS)] if name == "tvsum" else [])]


def _require(root: Path, files: Sequence[Path | str]) -> None:
    require_files(root, files, source=SOURCE, layout=LAYOUT)


def _tvsum(
    root: Path, annotations: Mapping[str, Annotation], with_titles: bool
) -> dict[str, AnnotatedVideo]:
    joined = scores_at_picks(read_annotators(root / _ANNOTATORS), annotations)
    titles = read_titles(root / TITLES) if with_titles else None
    videos = {}
    for key, (video_id, users) in joined.items():
        if titles is not None and video_id not in titles:
            raise InputError(
                f"{root / TITLES} has no title of {video_id}, {key} of the h5 file; "
                "add it, or give --captioner"
            )
        videos[key] = AnnotatedVideo(
            annotations[key],
            root / "Videos" / f"{video_id}.mp4",
            None if titles is None else titles[video_id],
            users,
        )
    return videos


def _summe(
    root: Path, annotations: Mapping[str, Annotation], with_titles: bool
) -> dict[str, AnnotatedVideo]:
    videos: dict[str, AnnotatedVideo] = {}
    for key, annotation in annotations.items():
        if annotation.name is None:
            raise InputError(
                f"{key} of the h5 file has no dataset 'video_name', which SumMe needs; "
                "download it again"
            )
        require_file_name(annotation.name, where=f"{key} of the h5 file")
        video = root / find_video(root, annotation.name)
        twice = [other for other, known in videos.items() if known.video == video]
        if twice:
            raise InputError(
                f"{twice[0]} and {key} of the h5 file are both {annotation.name!r}; "
                "download it again"
            )
        title = title_of_name(annotation.name) if with_titles else None
        videos[key] = AnnotatedVideo(annotation, video, title)
    return videos
