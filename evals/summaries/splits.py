"""The test sets of the two published sets of splits, and the weight of each video in their means.

Both name videos by their key in the h5 file. The five test sets of PGL-SUM, which LLMVS uses too,
overlap and leave videos out; those of CSTA hold every video once.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.harness.data import parse_json, part_of, read_lines, read_text
from keyscore_plugin.errors import InputError

Splits = tuple[tuple[str, ...], ...]

N_SPLITS = 5  # in either set


def read_pgl_sum(path: Path, keys: Collection[str]) -> Splits:
    """Read the test keys of each split of ``{tvsum,summe}_splits.json``.

    Args:
        path: File with a JSON list of objects with ``train_keys`` and ``test_keys``.
        keys: Keys of the h5 file.

    Raises:
        InputError: The file has another format, or names an unknown video, or one twice.
    """
    splits = parse_json(read_text(path), where=str(path))
    if not isinstance(splits, list) or not splits:
        raise InputError(f"{path}: expected a list of splits, got {type(splits).__name__}")
    return tuple(
        _test_keys(
            *(_key_list(split, field, f"{path}, split {order}") for field in _FIELDS),
            where=f"{path}, split {order}",
            keys=keys,
        )
        for order, split in enumerate(splits)
    )


def read_csta(path: Path, keys: Collection[str]) -> Splits:
    """Read the test keys of each split of ``{TVSum,SumMe}_splits.txt``.

    Args:
        path: File with lines such as ``TVSum/split0/video_1,video_2/video_3``: training, then test.
        keys: Keys of the h5 file.

    Raises:
        InputError: A line has other parts, or names an unknown video, or one twice.
    """
    splits = []
    for where, line in read_lines(path):
        parts = line.strip().split("/")
        if len(parts) != 4:
            raise InputError(f"{where} has {len(parts)} parts; expected dataset/split/train/test")
        train, test = (part.split(",") for part in parts[2:])
        splits.append(_test_keys(train, test, where=where, keys=keys))
    if not splits:
        raise InputError(f"{path} is empty; expected one split per line")
    return tuple(splits)


_FIELDS = ("train_keys", "test_keys")


def _key_list(split: Any, field: str, where: str) -> list[str]:
    found = split.get(field) if isinstance(split, dict) else None
    if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{where} has no list {field!r}; it needs {' and '.join(_FIELDS)}")
    return found


def _test_keys(
    train: Sequence[str], test: Sequence[str], *, where: str, keys: Collection[str]
) -> tuple[str, ...]:
    both = [*train, *test]
    unknown = sorted(set(both) - set(keys))
    if unknown:
        raise InputError(
            f"{where} names {unknown[0]!r}, which the h5 file does not hold; "
            "get both from one place"
        )
    twice = sorted({key for key in both if both.count(key) > 1})
    if twice:
        raise InputError(f"{where} names {twice[0]!r} twice; expected each video once")
    if not test:
        raise InputError(f"{where} tests no video; expected one or more")
    return tuple(test)


Weights = Mapping[str, float]


def protocols(splits: Mapping[str, Splits], measured: Sequence[str]) -> dict[str, Weights]:
    """The weight of each video in the mean of every protocol.

    A published figure is the mean over splits of the mean over the test videos of each split. That
    is a weighted mean over videos, so the same predictions serve all protocols.

    Args:
        splits: Test keys of each split, by the name of their publisher.
        measured: Keys of the videos that were measured.

    Returns:
        Weights above 0, which sum to 1, by key and by the name of the protocol. The name says so if
        the number of splits is not the published five.

    Raises:
        InputError: Every video of a split was left out.

    Example:
        >>> protocols({"X": (("a", "b"), ("b",))}, ["a", "b", "c"])["X splits, 2 of 5 splits"]
        {'a': 0.25, 'b': 0.75}
    """
    by_protocol: dict[str, Weights] = {"all": {key: 1 / len(measured) for key in measured}}
    for name, sets in splits.items():
        weights = dict.fromkeys(measured, 0.0)
        for order, tested in enumerate(sets):
            present = [key for key in tested if key in weights]
            if not present:
                raise InputError(
                    f"all videos of split {order} of {name} were left out; leave fewer out, "
                    "or give --no-splits"
                )
            for key in present:
                weights[key] += 1 / len(sets) / len(present)
        title = part_of(f"{name} splits", len(sets), N_SPLITS, "splits")
        by_protocol[title] = {key: weight for key, weight in weights.items() if weight}
    return by_protocol
