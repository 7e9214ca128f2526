"""The split files of HMDB-51: ``<class>_test_split<1|2|3>.txt``, one line a clip."""

import re
from enum import IntEnum
from pathlib import Path

from evals.harness.data import read_text
from keyscore_plugin.errors import InputError

SPLITS = (1, 2, 3)
N_TRAIN, N_TEST = 70, 30  # of every class in every official split

# Greedy from the right: the file of `sit` is not the beginning of the file of `situp`.
_NAME = re.compile(r"(?P<label>.+)_test_split(?P<split>[123])\.txt")
_EXPECTED = "expected 'name.avi ID' with ID 1 (train), 2 (test) or 0 (unused)"


class Part(IntEnum):
    """What a split does with a clip; the numbers of the files."""

    UNUSED = 0
    TRAIN = 1
    TEST = 2


Listed = dict[str, Part]


def list_name(label: str, split: int) -> str:
    """Name of the file of one class in one split."""
    return f"{label}_test_split{split}.txt"


def listed_classes(folder: Path) -> set[str]:
    """The classes that any of the split files in a folder is about."""
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return {match["label"] for match in matches if match}


def read_list(path: Path) -> Listed:
    """What one split does with the clips of one class, by file name.

    A file name may hold spaces and signs such as ``#`` and ``(``; the ID is what follows the last
    space.

    Raises:
        InputError: The file cannot be read, a line has another form, names a clip again, or there
            is none.
    """
    listed: Listed = {}
    numbers: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        name, part = _parse(line, place=f"{path}, line {number}")
        if name in listed:
            raise InputError(
                f"{path}, line {number}: {name} stands in line {numbers[name]} already; "
                "leave one of the two"
            )
        listed[name], numbers[name] = part, number
    if not listed:
        raise InputError(f"{path} lists no clip; unpack it again")
    return listed


def _parse(line: str, *, place: str) -> tuple[str, Part]:
    words = line.rsplit(maxsplit=1)
    name = words[0].strip()
    known = {str(part.value): part for part in Part}
    if len(words) != 2 or words[1] not in known:
        raise InputError(f"{place}: {line.strip()!r}; {_EXPECTED}")
    if not name.endswith(".avi") or Path(name).name != name:
        raise InputError(f"{place}: {name!r} is no name of a clip; {_EXPECTED}")
    return name, known[words[1]]


def uneven(listed: Listed) -> tuple[int, int] | None:
    """How many clips a list trains and tests on, where they are not the official 70 and 30."""
    parts = list(listed.values())
    counts = parts.count(Part.TRAIN), parts.count(Part.TEST)
    return None if counts == (N_TRAIN, N_TEST) else counts
