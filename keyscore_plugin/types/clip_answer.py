"""The answer of a Video-LLM that was asked which clips of a video matter."""

import math
from dataclasses import dataclass
from typing import Literal

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.clips import Clips

Problem = Literal[
    "empty",
    "no list",
    "no entry",
    "no clip",
    "no time",
    "wrong type",
    "wrong unit",
    "reversed",
    "no length",
    "out of range",
    "wrong priority",
]
PRIORITIES = (1, 2)  # P1 and P2 of K-frames
# Ours: the paper weighs clips by their priority (appendix D.2) and does not give the weights.
WEIGHTS = {1: 1.0, 2: 0.5}


@dataclass(frozen=True, slots=True)
class PredictedClip:
    """One clip as a model wrote it. Clips of one answer may come in any order and overlap.

    Attributes:
        start_seconds: Start in seconds from the first frame of the video.
        end_seconds: End, after the start.
        priority: Priority, 1 or 2; 1 is the more important.
        reason: Sentence that says why, on one line; ``""`` if the model gave none.

    Raises:
        InputError: A value is out of range.
    """

    start_seconds: float
    end_seconds: float
    priority: int = 1
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds < math.inf:
            raise InputError(
                f"a PredictedClip starts at 0 s or later and ends after its start, got "
                f"{self.start_seconds} s to {self.end_seconds} s; correct its times"
            )
        if self.priority not in PRIORITIES:
            raise InputError(f"PredictedClip.priority must be 1 or 2, got {shown(self.priority)}")


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """The clips that `keyscore_plugin.parse_clips` read in the answer of a model.

    Attributes:
        clips: Clips that could be read, in the order of the answer.
        problem: Reason why there are no clips, one of `Problem`; None if there are some.
        refused: Reason and text of each entry of the list that was left out; the middle of a long
            text is missing.
        is_cut_off: Whether the list has no end: the entries after the last whole one are lost.
    """

    clips: tuple[PredictedClip, ...] = ()
    problem: Problem | None = None
    refused: tuple[tuple[Problem, str], ...] = ()
    is_cut_off: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was left out of an answer that has clips."""
        if self.problem is not None:
            return ()
        left_out = [
            f"the model named a clip that cannot be used ({reason}): {text}"
            for reason, text in dict.fromkeys(self.refused)  # a model that loops repeats them
        ]
        cut = "the answer of the model was cut off; the clips before that are used"
        return (*left_out, *([cut] if self.is_cut_off else []))

    def to_clips(
        self, *, duration_seconds: float, start_seconds: float = 0.0, model: str | None
    ) -> Clips:
        """The clips in time order, without overlaps: a moment goes to the better priority.

        Args:
            duration_seconds: Duration of the video, or of the part of it that the model saw.
            start_seconds: Start of that part, which is 0 s in the answer.
            model: Name of the model that answered.

        Returns:
            The clips, in seconds from the first frame of the whole video.
        """
        return Clips.from_intervals(
            [start_seconds + clip.start_seconds for clip in self.clips],
            [start_seconds + clip.end_seconds for clip in self.clips],
            start_seconds=start_seconds,
            end_seconds=start_seconds + duration_seconds,
            weights=[WEIGHTS[clip.priority] for clip in self.clips],
            priorities=[clip.priority for clip in self.clips],
            reasons=[clip.reason for clip in self.clips],
            origin="predicted",
            model=model,
        )
