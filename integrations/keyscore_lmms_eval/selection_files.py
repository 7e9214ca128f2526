"""Files of selections: our own JSONL, and what AKS, BOLT, TSPO and WFS-SB publish."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_plugin.types.numbers import is_real

_ID_FIELDS = ("question_id", "id", "qid", "q_uid", "uid", "question_idx")
_VIDEO_FIELDS = ("video", "video_name", "video_path", "videoID", "video_id", "video_idx")
# Fields that hold the frame indices: ours, that of WFS-SB, that of TSPO. BOLT gives seconds.
_INDEX_FIELDS = ("indices", "keyframe_indices", "frame_idx")
_SECONDS_FIELD = "frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One selection of the file.

    Attributes:
        indices: Frame indices; None if the file gives seconds.
        seconds: Times of the frames; None if the file gives indices.
        video: Stem of the video's file name; None if the file has none.
        ids: Ids of the question, as text.
        question: Text of the question; None if the file has none.
        position: Position in a file that only lists frames, one document after another.
        place: Task and position of the document, as in our log; None if the file has neither.
        error: Reason why there are no frames.
    """

    indices: tuple[int, ...] | None = None
    seconds: tuple[float, ...] | None = None
    video: str | None = None
    ids: frozenset[str] = frozenset()
    question: str | None = None
    position: int | None = None
    place: tuple[str, int] | None = None
    error: str | None = None


def read_entries(path: Path) -> list[Entry]:
    """The selections of a file, whose content decides its kind.

    - JSON lines with ``indices``: the output of ``keyscore batch``, and our own log;
    - a list of lists of frame indices, one for each document in the task's order (AKS,
      ``selected_frames.json``);
    - an object of video names, each a list of questions with ``frames`` in seconds (BOLT);
    - a list of objects with ``keyframe_indices`` (WFS-SB) or ``frame_idx`` (TSPO) and fields of
      their document.

    Raises:
        InputError: The file cannot be read or is of another kind.
    """
    content = _loaded(path)
    if isinstance(content, list) and content and all(isinstance(e, list) for e in content):
        return [Entry(indices=_whole(e, path), position=i) for i, e in enumerate(content)]
    entries = list(_entries(content, path))
    if not entries:
        raise InputError(
            f"sampler_file={path} holds no selections; give a file with one for each document"
        )
    return entries


def document_ids(doc: Mapping[str, Any]) -> frozenset[str]:
    """Values of the fields that name a question in the public tasks."""
    return frozenset(str(doc[name]) for name in _ID_FIELDS if doc.get(name) is not None)


def _loaded(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read sampler_file={path}: {error}; give a file of JSON in UTF-8"
        ) from error
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.split("\n") if line.strip()]
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise InputError(
            f"sampler_file={path} is neither JSON nor JSON lines: {error}; give the output of "
            "keyscore batch, or a published file of selections"
        ) from error


def _entries(content: Any, path: Path) -> Iterator[Entry]:
    if isinstance(content, Mapping) and not _is_entry(content):
        for video, questions in content.items():
            for values in questions if isinstance(questions, list) else [questions]:
                yield _entry({"video": video, **_object(values, path)}, path)
        return
    for values in [content] if isinstance(content, Mapping) else content:
        yield _entry(_object(values, path), path)


def _object(values: Any, path: Path) -> Mapping[str, Any]:
    if isinstance(values, Mapping) and _is_entry(values):
        return values
    fields = (*_INDEX_FIELDS, _SECONDS_FIELD)
    raise InputError(
        f"sampler_file={path} has an entry without any of {', '.join(fields)}: {str(values)[:80]}; "
        "give each entry one of them"
    )


def _is_entry(values: Mapping[str, Any]) -> bool:
    return any(name in values for name in (*_INDEX_FIELDS, _SECONDS_FIELD, "error"))


def _entry(values: Mapping[str, Any], path: Path) -> Entry:
    frames = next((values[name] for name in _INDEX_FIELDS if name in values), None)
    seconds = values.get(_SECONDS_FIELD) if frames is None else None
    video = next((values[name] for name in _VIDEO_FIELDS if values.get(name) is not None), None)
    place = (values["task"], values["doc_id"]) if {"task", "doc_id"} <= set(values) else None
    question = values.get("question")
    return Entry(
        indices=None if frames is None else _whole(frames, path),
        seconds=None if seconds is None else tuple(float(t) for t in seconds),
        video=None if video is None else PurePath(str(video)).stem,
        ids=document_ids(values),
        question=question.strip() if isinstance(question, str) else None,
        place=place,
        error=values.get("error"),
    )


def _whole(frames: Sequence[Any], path: Path) -> tuple[int, ...]:
    """Frame indices; some files write them as 30.0."""
    if any(not is_real(f) or f != int(f) for f in frames):
        raise InputError(
            f"sampler_file={path} has frames that are no indices: {str(frames)[:80]}; give whole "
            "numbers"
        )
    return tuple(int(frame) for frame in frames)
