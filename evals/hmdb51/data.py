"""HMDB-51 as it lies on disk: clips in a folder a class, and the lists of the splits."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.harness.data import part_of, require_files
from evals.hmdb51.lists import SPLITS, Listed, Part, list_name, listed_classes, read_list, uneven
from keyscore_plugin.errors import InputError

SOURCE = (
    "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/ "
    "(hmdb51_org.rar and test_train_splits.rar)"
)
LAYOUT = "<class>/<name>.avi and splits/<class>_test_split{1,2,3}.txt"
FOLDER = "splits"
_N_CLASSES, _N_CLIPS = 51, 6766


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip.

    Attributes:
        label: Its class, as the folder is called.
        video: The file.
        parts: What each split does with it.
    """

    label: str
    video: Path
    parts: Mapping[int, Part]

    @property
    def id(self) -> str:
        """Class and file name; two classes may hold files of one name."""
        return f"{self.label}/{self.video.name}"


@dataclass(frozen=True, slots=True)
class Hmdb51:
    """The data set, checked.

    Attributes:
        classes: Names of the folders, sorted. A class is known by its name: published numberings
            differ (kick before kick_ball, or after it).
        clips: By class and file name.
        splits: The splits that were read.
        digest: SHA-256 of their lists.
        uneven: Lists that do not have the official 70 clips to train and 30 to test on.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    splits: tuple[int, ...]
    digest: str
    uneven: tuple[str, ...]

    def title(self, n_left_out: int) -> str:
        """The name, and how many of the published classes and clips are there.

        Args:
            n_left_out: Clips that are on disk and were not to be measured.
        """
        title = part_of("hmdb51", len(self.classes), _N_CLASSES, "classes")
        return part_of(title, len(self.clips) - n_left_out, _N_CLIPS, "clips")

    def of_part(self, split: int, part: Part) -> list[Clip]:
        """The clips that a split puts into a part."""
        return [clip for clip in self.clips if clip.parts[split] is part]


def read_hmdb51(
    root: Path, splits: Sequence[int] = SPLITS, *, left_out: Collection[str] = ()
) -> Hmdb51:
    """Read the lists and find the clips.

    Args:
        root: Folder of the data set, in `LAYOUT`.
        splits: The splits whose lists are read and have to be there.
        left_out: Ids of clips that need not be there.

    Raises:
        InputError: A class folder, a list or a listed clip is missing, a list is wrong, a clip on
            disk is in no list, or a split tests nothing.
    """
    require_files(root, [FOLDER], source=SOURCE, layout=LAYOUT)
    classes = sorted(listed_classes(root / FOLDER) | _class_folders(root))
    if not classes:
        raise InputError(f"{root} holds no class; get HMDB-51 from {SOURCE} as {LAYOUT}")
    names = {
        (label, split): Path(FOLDER, list_name(label, split))
        for label in classes
        for split in splits
    }
    require_files(root, [*classes, *names.values()], source=SOURCE, layout=LAYOUT)
    lists = {key: read_list(root / name) for key, name in names.items()}
    _require_listed_clips(root, lists, left_out)
    _require_no_others(root, lists)
    data = Hmdb51(
        classes=tuple(classes),
        clips=tuple(
            Clip(label, root / label / name, {split: lists[label, split][name] for split in splits})
            for label in classes
            for name in sorted(lists[label, splits[0]])
        ),
        splits=tuple(splits),
        digest=_digest(root, list(names.values())),
        uneven=tuple(
            f"{names[key].name} ({counts[0]} and {counts[1]})"
            for key, listed in lists.items()
            if (counts := uneven(listed)) is not None
        ),
    )
    for split in splits:
        if not data.of_part(split, Part.TEST):
            raise InputError(f"split {split} under {root / FOLDER} has no clip to test (ID 2)")
    return data


def _class_folders(root: Path) -> set[str]:
    """Folders that hold clips."""
    folders = (path for path in root.iterdir() if path.is_dir())
    return {folder.name for folder in folders if any(_clips(folder))}


def _clips(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix.lower() == ".avi"}


def _require_listed_clips(
    root: Path, lists: Mapping[tuple[str, int], Listed], left_out: Collection[str]
) -> None:
    wanted = dict.fromkeys(
        Path(label, name)
        for (label, _), listed in lists.items()
        for name in listed
        if f"{label}/{name}" not in left_out
    )
    require_files(root, wanted, source=SOURCE, layout=LAYOUT)


def _require_no_others(root: Path, lists: Mapping[tuple[str, int], Listed]) -> None:
    """A clip that a list forgot would be missing from every figure without a word."""
    forgotten = [
        f"{label}/{name} (not in {list_name(label, split)})"
        for (label, split), listed in lists.items()
        for name in sorted(_clips(root / label) - listed.keys())
    ]
    if forgotten:
        raise InputError(
            f"{len(forgotten)} times a clip under {root} is absent from a list of its class, "
            f"the first: {forgotten[0]}; list it with ID 0 or take it out"
        )


def _digest(root: Path, names: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()
