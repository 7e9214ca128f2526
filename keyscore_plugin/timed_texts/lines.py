"""The lines of a video, from whatever they were read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keyscore_plugin.types import TimedText

_NEAR_SECONDS = 1.0  # ours: a frame shows what is said up to this long before and after it


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a video.

    Attributes:
        lines: Lines by their start; they may overlap.
        notes: Facts that a reader of the selection must know.
    """

    lines: tuple[TimedText, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Lines":
        """Lines from what `dataclasses.asdict` returned of some, also after JSON."""
        lines = (TimedText(**line) for line in values["lines"])
        return cls(tuple(lines), tuple(values["notes"]))

    def joined(self, other: "Lines") -> "Lines":
        """These lines and others of the same video."""
        lines = sorted((*self.lines, *other.lines), key=lambda line: (line.start, line.end))
        return Lines(tuple(lines), (*self.notes, *other.notes))

    def since(self, seconds: float) -> "Lines":
        """These lines on a clock that starts this many seconds later, without those before it."""
        lines = (
            replace(line, start=line.start - seconds, end=line.end - seconds)
            for line in self.lines
            if line.end >= seconds
        )
        return replace(self, lines=tuple(lines))

    def near(self, seconds: float) -> tuple[TimedText, ...]:
        """The lines that are heard at a time, or within a second of it."""
        return tuple(
            line
            for line in self.lines
            if line.start - _NEAR_SECONDS <= seconds <= line.end + _NEAR_SECONDS
        )
