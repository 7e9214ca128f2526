"""`SelectFrames`: the frames of each row's video, for ``map_batches`` of Ray and ``datasets``."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keyscore_plugin import get_sampler
from keyscore_plugin.errors import InputError, require_kind, shown
from keyscore_plugin.hosts import Budget, DownloadLimits, Item, Record
from keyscore_plugin.types import check_join, check_subtitles
from keyscore_ray.answering import JPEG, Answerer, sampler_maker


class SelectFrames:
    """Callable class that adds the chosen frames to the rows of a data set.

    It is for ``map_batches`` of Ray Data and ``map(..., batched=True)`` of datasets.

    Each actor loads its models once, in a process that it starts for its first row: a video on
    which a decoder hangs or crashes costs its own row. A row needs the column ``video``, a path
    that every node sees or an address of fsspec (``s3://``, ``gs://`` ...); it may have
    ``caption`` and ``question`` (a sentence or a list), ``join``, ``subtitles`` (a path, true or
    false), ``start`` and ``end`` (seconds from the first frame). The row keeps its columns and
    gets these:

    - ``indices``: chosen frames, rising; none if there is an error;
    - ``seconds``: their times from the video's first frame;
    - ``selection``: the record of ``keyscore batch`` as JSON;
    - ``error``: one line that says why no frames were chosen; empty if they were;
    - ``frames``: the frames as JPEG, if asked for.

    Args:
        sampler: Name of a sampler.
        num_frames: Number of frames of each video; None takes the sampler's default.
        threshold: Least score of a frame, instead of a number.
        settings: Other arguments of `keyscore_plugin.get_sampler`: ``encoder``, ``captioner``,
            ``config``, ``decoder``, ``device``.
        frames: Whether the rows get the frames.
        timeout_seconds: Time limit for one video, once the models are loaded.
        limits: Limits of the download of a video at an address.

    Raises:
        InputError: An argument cannot be used.
    """

    def __init__(
        self,
        sampler: str = "keyscore",
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        settings: Mapping[str, Any] | None = None,
        frames: bool = False,
        timeout_seconds: float = 3600.0,
        limits: DownloadLimits | None = None,
    ) -> None:
        require_kind(sampler, str, name="sampler")
        made = dict(settings or {})
        self._needs_text = get_sampler(sampler, **made).needs_text and "captioner" not in made
        self._frames = frames
        self._make = partial(
            Answerer,
            sampler_maker(sampler, **made),
            Budget(num_frames=num_frames, threshold=threshold),
            limit_seconds=timeout_seconds,
            limits=limits or DownloadLimits(),
            with_frames=frames,
        )
        self._answer: Answerer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle it without its process: `datasets.map` and Ray copy it to others."""
        return {**vars(self), "_answer": None}

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Choose the frames of a batch.

        Args:
            batch: Columns of the rows: arrays or lists of one length.

        Raises:
            KeyScoreError: No row can be answered, since a package or a model is missing.
        """
        n_rows = len(next(iter(batch.values())))
        rows = [{name: values[i] for name, values in batch.items()} for i in range(n_rows)]
        records = [self._record(row) for row in rows]
        chosen: dict[str, Any] = {
            **batch,
            "indices": [np.array(record.get("indices", []), np.int64) for record in records],
            "seconds": [np.array(_seconds(record), np.float64) for record in records],
            "error": [record.get("error", "") for record in records],
        }
        if self._frames:
            chosen["frames"] = [
                [base64.b64decode(jpeg) for jpeg in record.get(JPEG, [])] for record in records
            ]
        chosen["selection"] = [
            json.dumps({name: value for name, value in record.items() if name != JPEG})
            for record in records
        ]
        return chosen

    def _record(self, row: Mapping[str, Any]) -> Record:
        try:
            item = item_of(row, needs_text=self._needs_text)
        except InputError as error:
            return {"video": shown(row.get("video")), "error": str(error)}
        if self._answer is None:
            self._answer = self._make()
        return self._answer(item)


def item_of(row: Mapping[str, Any], *, needs_text: bool) -> Item:
    """A row as a line of a batch. NaN stands for no value, as in a column of numbers.

    Raises:
        InputError: The row has no video, no text where the sampler needs one, or a value that
            cannot be used.
    """
    row = {name: None if _is_nan(value) else value for name, value in row.items()}
    video = row.get("video")
    if not isinstance(video, str) or not video:
        raise InputError(
            f"a row has no video: its column 'video' holds {shown(video)}; give a path or an "
            "address in each row"
        )
    caption, question = (_text(name, row.get(name)) for name in ("caption", "question"))
    if needs_text and not (caption or question):
        raise InputError(
            f"the row of {video} has no text, and this sampler needs one; fill the column "
            "'caption' or 'question', or give settings={'captioner': ...}"
        )
    start, end = (_time(name, row.get(name)) for name in ("start", "end"))
    return Item(
        id=0,
        video=video,
        path=Path(video),
        caption=caption,
        question=question,
        join=check_join(row.get("join") or "all"),
        subtitles=_subtitles(row.get("subtitles")),
        start_seconds=start,
        end_seconds=end,
    )


def _is_nan(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def _text(name: str, value: Any) -> str | list[str] | None:
    """A text of a row, or a list of texts, which a column may hold as an array."""
    if value is None or isinstance(value, str):
        return value or None
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise InputError(
            f"{name!r} of a row must be a text or a list of texts, got {shown(value)}; give one, "
            "or None"
        )
    return [str(text) for text in value] or None


def _subtitles(value: Any) -> str | bool | None:
    """Subtitles of a row; a column of NumPy holds its own booleans."""
    value = bool(value) if isinstance(value, np.bool_) else value
    check_subtitles(value)
    return value or None if isinstance(value, str) else value


def _time(name: str, value: Any) -> float | None:
    """Seconds of a row, which a column may hold as a number of NumPy."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name!r} of a row must be a number of seconds, got {shown(value)}; give one, or None"
        ) from error


def _seconds(record: Record) -> list[float]:
    return [time - record["start_pts_seconds"] for time in record.get("pts_seconds", [])]
