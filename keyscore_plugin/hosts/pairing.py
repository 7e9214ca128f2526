"""The frames that share a visual token in models that fold several into one, and their cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_whole

Pair = Literal["duplicate", "neighbor", "pack", "plain"]

PACK_SECONDS = 1.0  # ours: closer keyframes are one moment, whose mean time is off by half of this


@dataclass(frozen=True, slots=True)
class Fold:
    """How a model folds frames into visual tokens.

    Attributes:
        frames_per_patch: Frames in one token; 1 means that the model folds none.
        spacing_seconds: Time between two frames that the model's own sampling takes.
    """

    frames_per_patch: int = 1
    spacing_seconds: float = 0.5


def check_pair(pair: str) -> None:
    """Refuse a name that is not in `Pair`.

    Raises:
        InputError: The way of pairing is unknown.
    """
    if not isinstance(pair, str) or pair not in get_args(Pair):
        raise InputError(f"unknown pair {shown(pair)}; the ways are: {', '.join(get_args(Pair))}")


def keyframes_for_budget(
    uniform_frames: int, frames_per_patch: int, *, pair: Pair = "duplicate"
) -> int:
    """Keyframes whose visual tokens are as many as those of N uniform frames.

    Args:
        uniform_frames: Number N of frames that uniform sampling would give the model.
        frames_per_patch: Frames that the model folds into one visual token.
        pair: Filling of a token by keyframes, see `pair_frames`.

    Raises:
        InputError: N is not a whole number of 1 or more.

    Example:
        >>> keyframes_for_budget(16, frames_per_patch=2)
        8
        >>> keyframes_for_budget(16, frames_per_patch=2, pair="plain")
        16
    """
    if not is_whole(uniform_frames) or uniform_frames < 1:
        raise InputError(
            f"token_budget must be a number of frames >= 1, got {shown(uniform_frames)}"
        )
    return uniform_frames if pair == "plain" else -(-uniform_frames // frames_per_patch)


def pair_frames(keyframes: Sequence[int], pts_seconds: Tensor, pair: Pair, fold: Fold) -> list[int]:
    """The frames to decode, patch by patch, for the keyframes that were chosen.

    A token is a linear blend of the frames of its patch. Two keyframes far apart in time would be
    blended into one picture with one time, so each keyframe gets its own patch by default:

    - ``"duplicate"`` repeats the keyframe. A patch of one frame twice encodes exactly as the still
      image does. K keyframes cost as many tokens as ``frames_per_patch`` * K uniform frames.
    - ``"neighbor"`` adds the frames that follow at the model's usual spacing, so that the patch
      shows motion. It costs the same; the patch's time is the mean of its frames.
    - ``"pack"`` is ``"duplicate"``, but keyframes less than a second apart share a patch. K
      keyframes need K / ``frames_per_patch`` to K patches.
    - ``"plain"`` lets any keyframes in a row share a patch, as stock sampling does. K keyframes
      cost as many tokens as K uniform frames.

    Args:
        keyframes: Rising frame indices.
        pts_seconds: ``(n_frames,)`` times of every frame of the video.
        pair: Way of filling a patch.
        fold: Fold of the model's frames into visual tokens; if it folds none, the keyframes stay as
            they are.

    Returns:
        ``frames_per_patch`` indices for each patch; the list never falls.

    Example:
        >>> pts = torch.arange(10) / 2
        >>> pair_frames([0, 6], pts, "neighbor", Fold(frames_per_patch=2))
        [0, 1, 6, 7]
    """
    size = fold.frames_per_patch
    if size == 1:
        return list(keyframes)
    if pair == "pack":
        patches = _packed(keyframes, pts_seconds, size)
    elif pair == "neighbor":
        patches = _with_neighbors(keyframes, pts_seconds, size, fold.spacing_seconds)
    elif pair == "plain":
        starts = range(0, len(keyframes), size)
        patches = [list(keyframes[start : start + size]) for start in starts]
    else:
        patches = [[frame] for frame in keyframes]
    return [i for patch in patches for i in patch + patch[-1:] * (size - len(patch))]


def _packed(keyframes: Sequence[int], pts_seconds: Tensor, size: int) -> list[list[int]]:
    patches: list[list[int]] = []
    for frame in keyframes:
        near = bool(patches) and pts_seconds[frame] - pts_seconds[patches[-1][0]] < PACK_SECONDS
        if near and len(patches[-1]) < size:
            patches[-1].append(frame)
        else:
            patches.append([frame])
    return patches


def _with_neighbors(
    keyframes: Sequence[int], pts_seconds: Tensor, size: int, spacing_seconds: float
) -> list[list[int]]:
    patches = []
    for frame, following in zip(keyframes, [*keyframes[1:], len(pts_seconds)], strict=True):
        # Not beyond the next keyframe, so that the order of the frames stays that of time.
        reachable = pts_seconds[frame:following]
        wanted = pts_seconds[frame] + spacing_seconds * torch.arange(size)
        nearest = (reachable[None, :] - wanted[:, None]).abs().argmin(1)
        patches.append((frame + nearest).tolist())
    return patches
