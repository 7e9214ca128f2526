"""``sampler=precomputed``: selections made elsewhere, found for each document."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePath

import torch

from keyscore_lmms_eval.arguments import PRECOMPUTED, SamplerArguments
from keyscore_lmms_eval.selection_files import Entry, read_entries
from keyscore_plugin import VideoInput, VideoSource, open_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import TrimmedVideo, selection_of_frames
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The facts that identify a document, and those on its video that only the document holds.

    Attributes:
        task: Name of the task.
        doc_id: Position of the document in its split.
        ids: Values of its id fields, as text.
        video: Path of the video.
        question: Question about the video.
        subtitles_start: Start of the video in the longer one that its subtitles are of, in seconds;
            None if they are those of the video itself.
    """

    task: str
    doc_id: int
    ids: frozenset[str]
    video: str
    question: str | None
    subtitles_start: float | None = None


class Precomputed:
    """The selections of one file.

    Args:
        path: File as `read_entries` takes it.

    Raises:
        InputError: The file cannot be read or has a form that is unknown.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._in_order: list[Entry] = []
        self._by_video: dict[str | None, list[Entry]] = defaultdict(list)
        for entry in read_entries(path):
            if entry.position is None:
                self._by_video[entry.video].append(entry)
            else:
                self._in_order.append(entry)

    def find(self, wanted: Wanted) -> Entry:
        """The entry of a document.

        Raises:
            InputError: The document has none, or several that differ.
        """
        if self._in_order:
            if wanted.doc_id < len(self._in_order):
                return self._in_order[wanted.doc_id]
            raise self._missing(wanted, f"it is a list of {len(self._in_order)}")
        stem = PurePath(wanted.video).stem
        pool = self._by_video.get(stem, []) + self._by_video.get(None, [])
        fitting: list[Entry] = []
        for agrees in (_same_place, _same_question, _same_id, _is_for_any_question):
            matching = [entry for entry in fitting or pool if agrees(entry, wanted)]
            fitting = list(dict.fromkeys(matching)) or fitting
            if len(fitting) == 1:
                return fitting[0]
        why = f"{len(fitting)} differ" if fitting else "none fits"
        raise self._missing(wanted, f"of {len(pool)} entries for this video {why}")

    def _missing(self, wanted: Wanted, why: str) -> InputError:
        return InputError(
            f"sampler_file={self.path} has no entry for document {wanted.doc_id} of {wanted.task} "
            f"(video {wanted.video}, ids {sorted(wanted.ids)}): {why}; select frames for it, or "
            "leave it out of the run"
        )


class PrecomputedSampler:
    """A sampler that returns the frames of an entry.

    Args:
        entry: Entry of the document.
        arguments: Arguments of the run; if they name a number of frames, it is a limit.
    """

    name = PRECOMPUTED
    needs_text = False

    def __init__(self, entry: Entry, arguments: SamplerArguments) -> None:
        self._entry = entry
        self._arguments = arguments

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        """The frames of the entry, by the frame indices of this video or part.

        Raises:
            InputError: The entry has no frames, frames of another video, or more than the limit.
        """
        source = open_video(video)
        first = source.first if isinstance(source, TrimmedVideo) else 0
        given = selection_of(self._entry, source, first=first)
        limit = self._arguments.num_frames
        if limit is not None and num_frames is not None and len(given) > num_frames:
            raise InputError(
                f"the precomputed selection of {source.path} has {len(given)} frames, and "
                f"num_frames={limit} allows {num_frames} with pair={self._arguments.shown}; raise "
                "it, or leave it out"
            )
        return given


def selection_of(entry: Entry, source: VideoSource, *, first: int = 0) -> Selection:
    """The entry's frames as a selection of an open video, or of a part of one.

    Indices are sorted, and repeated ones count once; seconds become the nearest frames. Both count
    from the first frame of the whole video, also if the document asks about a part of it.

    Args:
        entry: Entry of the file.
        source: Video or part of a video.
        first: Frame of the video at which the part begins.

    Raises:
        InputError: The entry has no frames, or frames that are not in this video.
    """
    if entry.error is not None:
        raise InputError(
            f"the precomputed selection is an error: {entry.error}; select the frames of this "
            "video again"
        )
    times = source.pts_seconds()
    notes: tuple[str, ...] = ()
    if entry.seconds is not None:
        wanted = torch.tensor(entry.seconds, dtype=torch.float64) + source.start_pts_seconds
        given = (times[None, :] - wanted[:, None]).abs().argmin(1).tolist()
    else:
        given = [index - first for index in entry.indices or ()]
    indices = sorted(set(given))
    if not indices:
        raise InputError(
            f"the precomputed selection of {source.path} has no frames; give at least one"
        )
    if indices[0] < 0 or indices[-1] >= source.n_frames:
        raise InputError(
            f"the precomputed selection names frames {first + indices[0]} to "
            f"{first + indices[-1]}, but {source.path} has {source.n_frames}"
            f"{f' from {first} on' if first else ''}; was it made for another file?"
        )
    if indices != given:
        notes = (f"{len(given)} precomputed frames, sorted, are {len(indices)} different ones",)
    return selection_of_frames(source, indices, name=PRECOMPUTED, notes=notes)


def _same_place(entry: Entry, wanted: Wanted) -> bool:
    return entry.place == (wanted.task, wanted.doc_id)


def _same_id(entry: Entry, wanted: Wanted) -> bool:
    return bool(entry.ids & wanted.ids)


def _same_question(entry: Entry, wanted: Wanted) -> bool:
    # A file may hold only the question, while the task asks it with its options.
    return entry.question is not None and entry.question in (wanted.question or "")


def _is_for_any_question(entry: Entry, wanted: Wanted) -> bool:
    """Whether an entry is for every question about a video."""
    return entry.video is not None and entry.question is None and entry.place is None
