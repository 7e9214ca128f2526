"""Keyframes of SumMe from its users' summaries. Ours: SumMe publishes no keyframes.

SumMe asked 15 to 18 people which parts of a video they would keep (Gygli et al., ECCV 2014). The
rule below is the one that TVSum20's keyframes follow (326 of 329 lie in the middle of a stretch of
two seconds, at peaks of the mean vote), applied to SumMe's votes:

1. the vote of a frame is the number of users who kept it; that of a stretch of two seconds, the
   mean over its frames;
2. a peak is a stretch, or a run of equal ones, whose vote is higher than that of the stretches on
   both sides and than the mean of the video;
3. its keyframe is the middle frame of its (middle) stretch.
"""

import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evals.harness.data import require_files
from evals.keyframes.ground_truth import Labelled
from evals.summaries.videos import find_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import require

LAYOUT = "GT/<name>.mat and Videos/<name>.mp4 or .webm"
_STRETCH_SECONDS = 2.0
_LEAST_USERS = 15
# Errors of the reader, besides its own, for bytes that are not a MATLAB file, or only half of one.
_MALFORMED = (
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    zlib.error,
)


def read_votes(root: Path, *, source: str, left_out: Collection[str] = ()) -> list[Labelled]:
    """Make keyframes from every ``GT/<name>.mat``.

    Args:
        root: Folder of the data set.
        source: Place to get it from, for the message.
        left_out: Ids of videos whose file may be missing.

    Raises:
        InputError: A file is missing or is not an annotation of SumMe.
    """
    require_files(root, ["GT", "Videos"], source=source, layout=LAYOUT)
    names = sorted(path.stem for path in (root / "GT").glob("*.mat"))
    if not names:
        raise InputError(f"{root / 'GT'} holds no .mat file; expected {LAYOUT}")
    videos = {name: find_video(root, name) for name in names}
    wanted = [video for name, video in videos.items() if name not in left_out]
    require_files(root, wanted, source=source, layout=LAYOUT)
    return [
        _labelled(name, root / video, root / "GT" / f"{name}.mat") for name, video in videos.items()
    ]


def _labelled(name: str, video: Path, path: Path) -> Labelled:
    votes, fps = _read_votes(path)
    peaks = peaks_of_votes(votes, fps=fps)
    if not peaks:
        raise InputError(
            f"{path}: every stretch has the same vote, so there is no peak; download it again"
        )
    return Labelled(name, video, tuple(peaks), n_frames=len(votes))


def _read_votes(path: Path) -> tuple[npt.NDArray[np.int64], float]:
    """``(n_frames,)`` votes, and the frames per second."""
    scipy_io = require("scipy.io", extra="evals")
    try:
        values = scipy_io.loadmat(path, variable_names=["user_score", "FPS"])
    except (scipy_io.matlab.MatReadError, *_MALFORMED) as error:
        raise InputError(
            f"{path} is not a MATLAB file of SumMe ({error}); download it again"
        ) from error
    for name in ("user_score", "FPS"):
        if name not in values:
            raise InputError(f"{path} has no {name}; expected user_score and FPS")
    rate = np.asarray(values["FPS"]).ravel()
    if rate.dtype.kind not in "iuf" or len(rate) != 1 or not 0 < rate[0] < np.inf:
        raise InputError(f"{path}: FPS is {values['FPS']!r}; expected one number above 0")
    scores = np.asarray(values["user_score"])
    if scores.ndim != 2 or not len(scores) or scores.shape[1] < _LEAST_USERS:
        raise InputError(
            f"{path}: user_score has shape {scores.shape}; expected (frames, {_LEAST_USERS} or "
            "more users)"
        )
    if scores.dtype.kind not in "biuf" or not np.isfinite(scores).all():
        raise InputError(f"{path}: user_score holds {scores.dtype}; expected finite numbers")
    return (scores > 0).sum(axis=1), float(rate[0])


def peaks_of_votes(votes: npt.NDArray[np.int64], *, fps: float) -> list[int]:
    """The keyframes at the peaks of a vote, by the rule of this module.

    Args:
        votes: ``(n_frames,)`` number of users who kept each frame.
        fps: Frames per second.

    Returns:
        Frame indices, rising.

    Example:
        >>> peaks_of_votes(np.repeat([0, 5, 5, 5, 1, 2], 60), fps=30)
        [150]
    """
    width = max(1, round(_STRETCH_SECONDS * fps))
    # Quotients of whole numbers: equal means are equal to the last bit, also the mean of the last,
    # shorter stretch and that of the video.
    means = np.array([votes[i : i + width].mean() for i in range(0, len(votes), width)])
    # Runs of equal stretches, so that a plateau is one peak.
    starts = np.flatnonzero(np.diff(means, prepend=np.nan) != 0)
    ends = np.append(starts[1:], len(means))
    heights = means[starts]
    walled = np.concatenate([[-np.inf], heights, [-np.inf]])
    is_peak = (heights > walled[:-2]) & (heights > walled[2:]) & (heights > votes.mean())
    middles = (starts[is_peak] + ends[is_peak] - 1) // 2
    return [min(int(m) * width + width // 2, len(votes) - 1) for m in middles]
