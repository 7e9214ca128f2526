"""The h5 files that the field shares: ``eccv16_dataset_{tvsum,summe}_google_pool5.h5``.

PGL-SUM, CSTA and LLMVS read this layout. The CNN features and the averaged scores in it are not
used here: the videos are embedded anew, and the agreement is that with each user.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.harness.figures import Ints, Mask
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import require

_EXACT = 2.0**53  # above it a float cannot hold every whole number; NaN is not below it either
_KEY = re.compile(r"video_([1-9]\d*)")
_DATASETS = ("change_points", "n_frames", "n_steps", "picks", "user_summary")


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The annotation of one video.

    Attributes:
        key: Name of its group, ``"video_7"``, which the splits use.
        name: Title in the file; None for TVSum, whose file has no titles.
        n_frames: Number of frames of the video.
        picks: ``(n_steps,)`` rising indices of the frames that are scored, every 15th.
        shots: ``(n_shots, 2)`` first and last frame of each shot found by KTS, inclusive.
        user_summary: ``(n_users, n_frames)`` True for the frames in each user's summary.
    """

    key: str
    name: str | None
    n_frames: int
    picks: Ints
    shots: Ints
    user_summary: Mask

    @property
    def step(self) -> int:
        """The number of frames from one pick to the next."""
        return int(self.picks[1] - self.picks[0])


def read_h5(path: Path, *, n_users: range) -> dict[str, Annotation]:
    """Read and check the annotations of every video.

    Args:
        path: File, which is opened read-only.
        n_users: Range of the number of users of a video.

    Returns:
        Annotations by key, in the order of the numbers in the keys.

    Raises:
        InputError: The file is not h5 or holds no video, or a video lacks a dataset or contradicts
            itself; the message names the file, the video and the dataset.
        MissingDependencyError: h5py is not installed.
    """
    h5py = require("h5py", extra="evals")
    try:
        with h5py.File(path, "r") as file:
            keys = sorted(file, key=lambda key: (_number(key, path), key))
            if not keys:
                raise InputError(f"{path} holds no video; expected groups video_1, video_2 ...")
            return {key: _annotation(file[key], key, path, n_users) for key in keys}
    except (OSError, KeyError, RuntimeError) as error:  # the errors of h5py for a broken file
        raise InputError(
            f"{path} is not a readable h5 file ({error}); download it again"
        ) from error


def _number(key: str, path: Path) -> int:
    found = _KEY.fullmatch(key)
    if found is None:
        raise InputError(f"{path} has an entry {key!r}; expected groups video_1, video_2 ...")
    return int(found[1])


def _annotation(group: Any, key: str, path: Path, n_users: range) -> Annotation:
    where = f"{path}: {key}"
    if not hasattr(group, "keys"):
        raise InputError(
            f"{where} is not a group; expected one with the datasets {', '.join(_DATASETS)}"
        )
    for name in _DATASETS:
        if name not in group:
            raise InputError(f"{where} has no dataset {name!r}; it needs {', '.join(_DATASETS)}")
    named = "video_name" in group
    annotation = Annotation(
        key=key,
        name=_text(_one(group, "video_name", where)) if named else None,
        n_frames=int(_numbers(group, "n_frames", where).item()),
        picks=_numbers(group, "picks", where),
        shots=_numbers(group, "change_points", where),
        user_summary=_numbers(group, "user_summary", where) > 0,
    )
    _check_picks(annotation, int(_numbers(group, "n_steps", where).item()), where)
    _check_shots(annotation, where)
    _check_users(annotation, n_users, where)
    return annotation


def _check_picks(annotation: Annotation, n_steps: int, where: str) -> None:
    picks = annotation.picks
    if picks.ndim != 1 or len(picks) != n_steps or len(picks) < 2:
        raise InputError(
            f"{where}: picks has shape {picks.shape} and n_steps is {n_steps}; expected as many "
            "picks as steps, two or more"
        )
    if (np.diff(picks) < 1).any() or picks[0] < 0 or picks[-1] >= annotation.n_frames:
        raise InputError(
            f"{where}: picks must rise inside the {annotation.n_frames} frames, "
            f"got {picks[0]} ... {picks[-1]}"
        )


def _check_shots(annotation: Annotation, where: str) -> None:
    shots, n_frames = annotation.shots, annotation.n_frames
    if shots.ndim != 2 or shots.shape[1] != 2 or not len(shots):
        raise InputError(f"{where}: change_points has shape {shots.shape}; expected (n_shots, 2)")
    touch = shots[0, 0] == 0 and (shots[1:, 0] == shots[:-1, 1] + 1).all()
    # The released code allows a small difference at the end; here it is less than half a second.
    ends = abs(int(shots[-1, 1]) + 1 - n_frames) < annotation.step
    if not (touch and ends and (shots[:, 0] <= shots[:, 1]).all()):
        raise InputError(
            f"{where}: change_points must be shots that touch, from frame 0 to {n_frames - 1}, "
            f"got {shots[0].tolist()} ... {shots[-1].tolist()}"
        )


def _check_users(annotation: Annotation, n_users: range, where: str) -> None:
    shape = annotation.user_summary.shape
    if len(shape) != 2 or shape[1] != annotation.n_frames:
        raise InputError(
            f"{where}: user_summary has shape {shape}; expected one row a user "
            f"of {annotation.n_frames} frames"
        )
    if shape[0] not in n_users:
        wanted = f"{n_users.start}" if len(n_users) == 1 else f"{n_users.start} to {n_users[-1]}"
        raise InputError(f"{where}: user_summary has {shape[0]} users; expected {wanted}")


def _numbers(group: Any, name: str, where: str) -> Ints:
    """A dataset of whole numbers of any type; ``n_...`` is one number."""
    values = np.asarray(
        _one(group, name, where) if name.startswith("n_") else _all(group, name, where)
    )
    whole = values.dtype.kind in "biu" or (
        values.dtype.kind == "f"
        and (np.abs(values) < _EXACT).all()
        and (values == np.floor(values)).all()
    )
    if not whole:
        raise InputError(f"{where}: {name} holds {values.dtype}; expected whole numbers")
    return values.astype(np.int64)


def _one(group: Any, name: str, where: str) -> Any:
    """The value of a scalar, or of an array with one element."""
    values = _all(group, name, where)
    if values.size != 1:
        raise InputError(f"{where}: {name} has shape {values.shape}; expected one value")
    return values.item()


def _all(group: Any, name: str, where: str) -> npt.NDArray[Any]:
    if not hasattr(group[name], "shape"):
        raise InputError(f"{where}: {name} is not a dataset; expected numbers or a text")
    return np.asarray(group[name][()])


def _text(value: Any) -> str:
    """A text; bytes that are not UTF-8 become a character that no file name has."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
