"""The answer of a sampler: plain values, to JSON and back."""

import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from operator import index
from typing import TYPE_CHECKING, Any

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.clips import Clips
from keyscore_plugin.types.numbers import is_whole, plain
from keyscore_plugin.types.scored_frames import GridInfo, ScoredFrame
from keyscore_plugin.types.showing import repr_selection
from keyscore_plugin.types.texts import Caption, Join, QueryText
from keyscore_plugin.types.timed_texts import SubtitleFile

if TYPE_CHECKING:
    from PIL.Image import Image

    from keyscore_plugin.types.frames import Frames

STAGES = ("decode", "propose", "caption", "encode", "score", "select")
# The version in the JSON, see docs/selection.schema.json. A key that is added keeps it; it rises
# when a key goes or means something else, so that an older version refuses what it would misread.
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Selection:
    """The frames that a sampler chose, with all that is needed to check or repeat the choice.

    Attributes:
        video: Name of the video, as the caller gave it.
        sampler: Name of the sampler.
        config: Settings of the sampler, as plain JSON values.
        num_frames: Budget of frames; None where a threshold was given instead.
        threshold: Least score of a chosen frame; None where a budget was given.
        indices: Indices of the chosen frames, 0-based in display order, unique and rising.
        pts_seconds: Presentation times of the chosen frames in seconds, from the container.
        scores: Scores by which the sampler ranked the chosen frames; None when it ranks nothing.
        rank: Place of each chosen frame, 0 for the first: the first k of them are a selection too,
            see `prefix`. None when the sampler orders none.
        caption: Caption that scored the frames, or None; several captions are one, a line each.
        question: Question that scored the frames, or None; several questions likewise.
        texts: The texts that scored the frames, if there were several; empty for one.
        join: Join of these texts; None for one text.
        chosen_for: For each chosen frame the place in `texts` of the text that it scores most with;
            None where one text scored, or none.
        subtitles: Subtitles that were read; None if no subtitles were, or in a selection of an
            older version.
        encoder: Name of the encoder, or None.
        captioner: Name of the model that wrote captions, or was asked for clips; None without
            such a model, or in a selection of an older version.
        decoder: Name of the decoder.
        stream: Number of the stream that was read, among the video streams of the file; None in a
            selection of an older version.
        start_pts_seconds: Pts of the video's first frame. Players and hosts count from there.
        start_seconds: Start of the part that was chosen from, in seconds from the first frame;
            None for the video's beginning.
        end_seconds: End of that part; None for the video's end.
        duration_seconds: Duration of the video in seconds.
        average_fps: Mean frame rate of the video.
        n_frames: Number of frames in the video.
        n_frames_counted: True when the frames were counted, False when estimated.
        n_grid: Number of frames that were looked at.
        looked_at: Grid of these frames; None if the sampler looks at no frames, or in a selection
            of an older version.
        candidates: Representatives of STACFP with their scores, in time order.
        curves: All scored frames, for plots; not written to JSON unless asked for.
        clips: The clips that the frames were taken from; None where the sampler makes none.
        fallback: Reason why another rule than the sampler's own chose the frames, in one line; None
            if its own rule did.
        frame_captions: Sentence on each chosen frame that the sampler judged it by, ``""`` where
            the captioner wrote nothing; empty if the sampler reads no captions of frames.
        seconds: Seconds spent in each of `STAGES`, and ``"total"``.
        notes: Notes that a reader must know: a text that was cut, a stream that ended early ...

    Raises:
        InputError: Fields differ in length, indices are not unique and rising, or a number is not
            finite.
    """

    video: str
    sampler: str
    config: Mapping[str, Any]
    num_frames: int | None
    threshold: float | None = None
    indices: list[int]
    pts_seconds: list[float]
    scores: list[float] | None
    rank: list[int] | None = None
    caption: Caption | None = None
    question: str | None = None
    texts: tuple[QueryText, ...] = ()
    join: Join | None = None
    chosen_for: list[int] | None = None
    subtitles: SubtitleFile | None = None
    encoder: str | None = None
    captioner: str | None = None
    decoder: str
    stream: int | None = None
    start_pts_seconds: float = 0.0
    start_seconds: float | None = None
    end_seconds: float | None = None
    duration_seconds: float
    average_fps: float
    n_frames: int
    n_frames_counted: bool
    n_grid: int
    looked_at: GridInfo | None = None
    candidates: tuple[ScoredFrame, ...] = ()
    curves: tuple[ScoredFrame, ...] = ()
    clips: Clips | None = None
    fallback: str | None = None
    frame_captions: tuple[str, ...] = ()
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._take_plain_numbers()
        if len(self.indices) != len(self.pts_seconds):
            raise InputError(
                f"Selection needs a time for every index, "
                f"got {len(self.indices)} indices and {len(self.pts_seconds)} times"
            )
        if self.scores is not None and len(self.scores) != len(self.indices):
            raise InputError(
                f"Selection needs a score for every index or none, "
                f"got {len(self.indices)} indices and {len(self.scores)} scores"
            )
        if self.rank is not None and sorted(self.rank) != list(range(len(self.indices))):
            raise InputError(
                f"Selection.rank must hold each of the places 0 to {len(self.indices) - 1} once, "
                f"got {self.rank}; give one to each index, or None"
            )
        if self.chosen_for is not None and not (
            len(self.chosen_for) == len(self.indices)
            and all(0 <= place < len(self.texts) for place in self.chosen_for)
        ):
            raise InputError(
                f"Selection.chosen_for must hold a place in its {len(self.texts)} texts for each "
                f"of {len(self.indices)} indices, got {self.chosen_for}; give one each, or None"
            )
        if self.frame_captions and len(self.frame_captions) != len(self.indices):
            raise InputError(
                f"Selection needs a caption for every index or none, got {len(self.indices)} "
                f"indices and {len(self.frame_captions)} frame_captions"
            )
        if any(later <= earlier for earlier, later in pairwise(self.indices)):
            raise InputError(f"Selection.indices must be unique and rising, got {self.indices}")
        if not all(math.isfinite(t) for t in self.pts_seconds):
            raise InputError(f"Selection.pts_seconds must be finite, got {self.pts_seconds}")
        if not all(math.isfinite(s) for s in self.scores or ()):
            raise InputError(f"Selection.scores must be finite, got {self.scores}")

    def _take_plain_numbers(self) -> None:
        """Convert numbers and arrays to Python's own numbers and lists of them."""
        for name in ("num_frames", "threshold", "duration_seconds", "average_fps", "n_frames"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        columns: dict[str, Callable[[Any], float]] = {"indices": index, "pts_seconds": float}
        or_none: dict[str, Callable[[Any], float]] = {
            "scores": float,
            "rank": index,
            "chosen_for": index,
        }
        for name, number in (columns | or_none).items():
            values = getattr(self, name)
            if values is None and name in or_none:
                continue
            try:
                object.__setattr__(self, name, [number(value) for value in values])
            except (TypeError, ValueError) as error:
                kind = "whole numbers" if number is index else "numbers"
                raise InputError(f"Selection.{name} must be {kind}, got {shown(values)}") from error

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return repr_selection(self)

    def prefix(self, k: int) -> "Selection":
        """The selection of the first k frames by `rank`, without choosing again.

        Args:
            k: Number of frames, at least 1.

        Returns:
            This selection with min(k, n) of its n frames. Every prefix holds all shorter ones.
            Bounds on the gaps between frames hold for the whole selection alone.

        Raises:
            InputError: ``k`` is not a whole number of at least 1, or the sampler orders no frames.
        """
        if not is_whole(k) or plain(k) < 1:
            raise InputError(f"prefix needs a whole number >= 1, got {shown(k)}; give one")
        if self.rank is None:
            raise InputError(
                f"the frames of this selection by {self.sampler} have no order, so there is no "
                f"prefix of {k}; choose again with num_frames={k}"
            )
        kept = [row for row, place in enumerate(self.rank) if place < k]

        def of(column: list[Any] | tuple[str, ...] | None) -> Any:
            return type(column)(column[row] for row in kept) if column else column

        columns = ("indices", "pts_seconds", "scores", "rank", "chosen_for", "frame_captions")
        picked = {name: of(getattr(self, name)) for name in columns}
        return replace(self, num_frames=int(plain(k)), threshold=None, **picked)

    def frames(self, *, size: tuple[int, int] | None = None) -> "Frames":
        """Read the chosen frames, with their times, from the video that `video` names.

        Args:
            size: ``(height, width)`` to scale to; None keeps the video's own.

        Returns:
            ``(k, h, w, 3)`` uint8 RGB pixels, with their indices and times.

        Raises:
            VideoError: The video is gone, cannot be read any more, has other frames than it had
                when these were chosen, or was given in memory.
        """
        frames: Frames = _module_above("keyscore_plugin.video.source").chosen_frames(
            self, size=size
        )
        return frames

    def show(self) -> "Image":
        """Draw why these frames were chosen, with the frames; needs the extra ``report``.

        Returns:
            The picture of ``keyscore select --report``. A notebook displays it; elsewhere its own
            ``show()`` opens it in a window and ``save("why.png")`` writes it.

        Raises:
            VideoError: `frames` cannot read the chosen frames.
            MissingDependencyError: matplotlib is not installed.
        """
        picture: Image = _module_above("keyscore_plugin.report").report_picture(self)
        return picture

    def to_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """The selection as plain JSON values, described by docs/selection.schema.json.

        Args:
            curves: True adds every scored frame, one row each; long for a long video.

        Returns:
            The fields of the selection, and the number of this ``"format"``.
        """
        values = {"format": FORMAT, **asdict(self)}
        if not curves:
            del values["curves"]
        return values

    def to_json(self, *, curves: bool = False) -> str:
        """The selection as one line of JSON, with the fields of `to_dict`."""
        return json.dumps(self.to_dict(curves=curves), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Selection":
        """The inverse of `to_dict`; version 0.3 and older wrote no ``"format"``.

        Raises:
            InputError: A newer version wrote the values in a format that this one does not know, or
                a field is missing, unknown, or of another type.
        """
        values = dict(values)
        version = values.pop("format", FORMAT)
        if not is_whole(version) or not 1 <= version <= FORMAT:
            raise InputError(
                f"a Selection of format {shown(version)} cannot be read: this version knows the "
                f"formats up to {FORMAT}; update keyscore-plugin"
            )
        try:
            for rows in ("candidates", "curves"):
                values[rows] = tuple(
                    ScoredFrame(**{**row, "by_text": tuple(row.get("by_text", ()))})
                    for row in values.get(rows, ())
                )
            values["texts"] = tuple(QueryText(**text) for text in values.get("texts", ()))
            if values.get("caption") is not None:
                values["caption"] = Caption(**values["caption"])
            if values.get("subtitles") is not None:
                values["subtitles"] = SubtitleFile(**values["subtitles"])
            if values.get("clips") is not None:
                values["clips"] = Clips(**values["clips"])
            if values.get("looked_at") is not None:
                values["looked_at"] = GridInfo(**values["looked_at"])
            for lines in ("notes", "frame_captions"):
                values[lines] = tuple(values.get(lines, ()))
            return cls(**values)
        except TypeError as error:
            raise InputError(
                f"not a Selection: {error}; give the values that to_dict returned"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> "Selection":
        """The inverse of `to_json`.

        Raises:
            InputError: The text is not JSON, or not a selection.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(
                f"not a Selection: not JSON ({error}); give the text that to_json wrote"
            ) from error
        if not isinstance(values, dict):
            raise InputError(
                f"not a Selection: expected an object, got {type(values).__name__}; give the text "
                "that to_json wrote"
            )
        return cls.from_dict(values)


def _module_above(module: str) -> Any:
    """A module of a higher floor, imported when it is needed."""
    return importlib.import_module(module)
