"""TVSum's annotation: the score that each of 20 users gave each frame, from 1 to 5."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evals.harness.data import read_lines, require_file_name
from evals.harness.figures import Floats
from evals.summaries.h5 import Annotation
from keyscore_plugin.errors import InputError

N_USERS = 20
_SCORES = (1.0, 5.0)


def read_annotators(path: Path) -> dict[str, Floats]:
    """Read ``ydata-tvsum50-anno.tsv``: 20 lines per video, one for each user.

    Args:
        path: Lines of video id, category and one number per frame; tabs separate the three fields,
            commas the numbers.

    Returns:
        ``(20, n_frames)`` scores by YouTube id, in the order of the file.

    Raises:
        InputError: A line has other fields or holds something that is not a score, a video has
            other than 20 lines or lines of different lengths, or its lines are not together.
    """
    blocks: dict[str, list[Floats]] = {}
    previous = None
    for where, line in read_lines(path):
        video_id, scores = _parse(line, where)
        if video_id in blocks and video_id != previous:
            raise InputError(
                f"{where}: {video_id} comes a second time; "
                f"expected the {N_USERS} lines of a video one after the other"
            )
        blocks.setdefault(video_id, []).append(scores)
        previous = video_id
    return {video_id: _stack(video_id, rows, path) for video_id, rows in blocks.items()}


def _parse(line: str, where: str) -> tuple[str, Floats]:
    fields = line.split("\t")
    if len(fields) != 3:
        raise InputError(
            f"{where} has {len(fields)} fields; expected video id, category and scores, "
            "separated by tabs"
        )
    require_file_name(fields[0], where=where)
    try:
        scores = np.array(fields[2].split(","), dtype=np.float64)
    except ValueError as error:
        raise InputError(
            f"{where}: the scores must be numbers separated by commas ({error})"
        ) from error
    low, high = _SCORES
    if not ((scores >= low) & (scores <= high)).all():  # NaN fails too
        raise InputError(
            f"{where}: the scores must be from {low:.0f} to {high:.0f}; download it again"
        )
    return fields[0], scores


def _stack(video_id: str, rows: list[Floats], path: Path) -> Floats:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise InputError(
            f"{path}: the lines of {video_id} have {lengths[0]} to {lengths[-1]} scores; "
            "expected one length"
        )
    if len(rows) != N_USERS:
        raise InputError(f"{path}: {video_id} has {len(rows)} lines; expected {N_USERS} users")
    return np.stack(rows)


def scores_at_picks(
    annotators: Mapping[str, Floats], annotations: Mapping[str, Annotation]
) -> dict[str, tuple[str, Floats]]:
    """Join the annotators' scores with the h5 file, whose videos are in the same order.

    Neither file names the videos of the other. CSTA and LLMVS rely on the order; here the lengths
    are checked too. (They also divide by the largest score of each user, which changes no rank.)

    Args:
        annotators: ``(20, n_frames)`` scores by YouTube id.
        annotations: Annotations of the h5 file, in the order of its keys.

    Returns:
        The YouTube id and the ``(20, n_steps)`` scores, by key.

    Raises:
        InputError: The number of videos differs, or the length of one.
    """
    if len(annotators) != len(annotations):
        raise InputError(
            f"the TSV has {len(annotators)} videos and the h5 file {len(annotations)}; "
            "both must hold the same videos in the same order"
        )
    joined = {}
    for (video_id, scores), annotation in zip(
        annotators.items(), annotations.values(), strict=True
    ):
        n_steps = len(range(0, scores.shape[1], annotation.step))
        if n_steps != len(annotation.picks) or scores.shape[1] <= annotation.picks[-1]:
            raise InputError(
                f"{annotation.key} of the h5 file has {len(annotation.picks)} picks every "
                f"{annotation.step} frames, and {video_id}, in its place in the TSV, has "
                f"{scores.shape[1]} scores, which makes {n_steps}; the files do not belong together"
            )
        joined[annotation.key] = (video_id, scores[:, annotation.picks])
    return joined
