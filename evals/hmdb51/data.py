"""HMDB-51 on disk: a folder of clips for each class, and the lists of the splits."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from evals.harness.data import part_of, read_lines, require_files, require_once
from keyscore_plugin.errors import InputError

SPLITS = (1, 2, 3)
N_TRAIN, N_TEST = 70, 30  # of every class in every official split

# Greedy from the right: the file of `sit` is not the beginning of the file of `situp`.
_NAME = re.compile(r"(?P<label>.+)_test_split(?P<split>[123])\.txt")
_EXPECTED = "expected 'name.avi ID' with ID 1 (train), 2 (test) or 0 (unused)"


class Part(IntEnum):
    """The part of a split that a clip belongs to; the numbers are those of the lists."""

    UNUSED = 0
    TRAIN = 1
    TEST = 2


Listed = dict[str, Part]


def list_name(label: str, split: int) -> str:
    """The name of the list of one class in one split."""
    return f"{label}_test_split{split}.txt"


def listed_classes(folder: Path) -> set[str]:
    """The classes that have a list in a folder."""
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return {match["label"] for match in matches if match}


def read_list(path: Path) -> Listed:
    """The part of each clip of one class in one split, by file name.

    A file name may hold spaces and signs such as ``#`` and ``(``; the ID follows the last space.

    Raises:
        InputError: The file cannot be read or lists no clip, or a line has another format or names
            a clip again.
    """
    parsed = [(where, *_parse(line, where=where)) for where, line in read_lines(path)]
    require_once(((where, name) for where, name, _ in parsed), what="clip")
    if not parsed:
        raise InputError(f"{path} lists no clip; unpack it again")
    return {name: part for _, name, part in parsed}


def _parse(line: str, *, where: str) -> tuple[str, Part]:
    words = line.rsplit(maxsplit=1)
    name = words[0].strip()
    known = {str(part.value): part for part in Part}
    if len(words) != 2 or words[1] not in known:
        raise InputError(f"{where}: {line.strip()!r}; {_EXPECTED}")
    if not name.endswith(".avi") or Path(name).name != name:
        raise InputError(f"{where}: {name!r} is not the name of a clip; {_EXPECTED}")
    return name, known[words[1]]


def uneven(listed: Listed) -> tuple[int, int] | None:
    """The numbers of training and test clips in a list, if they are not the official 70 and 30."""
    parts = list(listed.values())
    counts = parts.count(Part.TRAIN), parts.count(Part.TEST)
    return None if counts == (N_TRAIN, N_TEST) else counts


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
        label: Class of the clip, the name of its folder.
        video: File of the clip.
        parts: Part of the clip in each split.
    """

    label: str
    video: Path
    parts: Mapping[int, Part]

    @property
    def id(self) -> str:
        """Class and file name: two classes may have files of one name."""
        return f"{self.label}/{self.video.name}"


@dataclass(frozen=True, slots=True)
class Hmdb51:
    """The data set, checked.

    Attributes:
        classes: Names of the folders, sorted. Classes are matched by name: published numberings
            differ (kick before kick_ball, or after it).
        clips: Clips, sorted by class and file name.
        splits: Numbers of the splits that were read.
        digest: SHA-256 of their lists.
        uneven: Lists that do not have the official 70 clips to train and 30 to test on.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    splits: tuple[int, ...]
    digest: str
    uneven: tuple[str, ...]

    def title(self, n_left_out: int) -> str:
        """The name, with the share of the published classes and clips if some are missing.

        Args:
            n_left_out: Number of clips that are on disk and were left out.
        """
        title = part_of("hmdb51", len(self.classes), _N_CLASSES, "classes")
        return part_of(title, len(self.clips) - n_left_out, _N_CLIPS, "clips")

    def of_part(self, split: int, part: Part) -> list[Clip]:
        """The clips in one part of a split."""
        return [clip for clip in self.clips if clip.parts[split] is part]


def read_hmdb51(
    root: Path, splits: Sequence[int] = SPLITS, *, left_out: Collection[str] = ()
) -> Hmdb51:
    """Read the lists and find the clips.

    Args:
        root: Folder of the data set, in `LAYOUT`.
        splits: Numbers of the splits whose lists are read.
        left_out: Ids of clips that may be missing.

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
            raise InputError(
                f"split {split} under {root / FOLDER} has no clip to test (ID 2); "
                "unpack the lists again"
            )
    return data


def _class_folders(root: Path) -> set[str]:
    """The names of the folders that hold clips."""
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
    """Check that every clip is listed: another one would silently be missing from the figures."""
    forgotten = [
        f"{label}/{name} (not in {list_name(label, split)})"
        for (label, split), listed in lists.items()
        for name in sorted(_clips(root / label) - listed.keys())
    ]
    if forgotten:
        raise InputError(
            f"{len(forgotten)} times a clip under {root} is absent from a list of its class, "
            f"the first: {forgotten[0]}; list it with ID 0 or remove it"
        )


def _digest(root: Path, names: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()
