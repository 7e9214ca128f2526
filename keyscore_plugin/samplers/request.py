"""What every sampler's call shares: the request and the clock."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from torch import Tensor

from keyscore_plugin.config import Guide
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import STAGES
from keyscore_plugin.types.numbers import is_real, is_whole, plain

T = TypeVar("T")

DEFAULT_NUM_FRAMES = 8  # N_UFP of sec. 4.1.4, the usual budget of a Video-LLM


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What one call asks for, checked.

    Attributes:
        num_frames: The budget, or None with a threshold.
        threshold: Least total score of a chosen frame, or None with a budget.
        caption: A sentence about the video.
        question: What the model will be asked.
    """

    num_frames: int | None
    threshold: float | None
    caption: str | None
    question: str | None

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.threshold is not None:
            raise InputError("num_frames and threshold exclude each other; give one of them")
        if self.num_frames is not None and not (is_whole(self.num_frames) and self.num_frames >= 1):
            raise InputError(
                f"num_frames must be a whole number >= 1, got {shown(self.num_frames)}"
            )
        if self.threshold is not None and not (
            is_real(self.threshold) and math.isfinite(self.threshold)
        ):
            raise InputError(f"threshold must be a finite number, got {shown(self.threshold)}")
        for name in ("num_frames", "threshold"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        for name, text in (("caption", self.caption), ("question", self.question)):
            if text is not None and not isinstance(text, str):
                raise InputError(f"the {name} must be a text, got {shown(text)}")
            if text is not None and not text.strip():
                raise InputError(f"the {name} is empty; give a sentence, or leave it out")

    @property
    def at_least(self) -> int:
        """Frames that must be looked at to serve the budget."""
        return self.num_frames or 1

    def notes(self, scores: Tensor | None) -> tuple[str, ...]:
        """What a reader must know of a threshold: that it was above every score.

        Args:
            scores: ``(k,)`` of the chosen frames, or None where nothing ranked them.
        """
        if self.threshold is None or scores is None or bool((scores >= self.threshold).any()):
            return ()
        return (
            f"no frame reaches the threshold {self.threshold:g}: the highest score is "
            f"{float(scores.max()):.6g}, and that frame alone was chosen; lower the threshold",
        )

    def texts(self, guide: Guide) -> tuple[bool, bool]:
        """Which texts score the frames under ``guide``: (a caption, the question).

        Raises:
            InputError: The guide wants a question and there is none.
        """
        if guide == "given":
            return self.caption is not None or self.question is None, (
                self.caption is None and self.question is not None
            )
        if guide in ("question", "both") and self.question is None:
            raise InputError(f"guide={shown(guide)} scores with the question, and none was given")
        return guide in ("caption", "both"), guide in ("question", "both")


class Stopwatch:
    """Seconds spent in each of `STAGES`, and in total.

    A stage inside another one counts for itself alone, so that the stages never sum to more than
    the total.
    """

    def __init__(self) -> None:
        self._start = self._since = time.perf_counter()
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._stages: list[str] = []  # from the outermost to the one that counts now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block for the stage ``name``."""
        self._credit()
        self._stages.append(name)
        try:
            yield
        finally:
            self._credit()
            self._stages.pop()

    def _credit(self) -> None:
        """Count the time since the last change for the stage that it was spent in."""
        now = time.perf_counter()
        if self._stages:
            self._seconds[self._stages[-1]] += now - self._since
        self._since = now

    def waiting(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """Pass items on; the time until each one comes counts for the stage ``name``."""
        while True:
            with self.stage(name):
                item = list(islice(items, 1))
            if not item:
                return
            yield item[0]

    def seconds(self) -> dict[str, float]:
        """The figures so far."""
        return {**self._seconds, "total": time.perf_counter() - self._start}
