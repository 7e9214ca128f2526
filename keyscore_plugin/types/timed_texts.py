"""What is said or written in a video, with its time."""

import math
from dataclasses import dataclass
from typing import Literal

from keyscore_plugin.errors import InputError, shown

LineOrigin = Literal["subtitles", "heard", "written"]


@dataclass(frozen=True, slots=True)
class SubtitleFile:
    """The subtitles that were read for a selection.

    Attributes:
        name: Name of the file, without its folder; None for a stream inside of the video.
        digest: SHA-256 of the file's content, in hexadecimal digits; None for a stream.
    """

    name: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class TimedText:
    """A line of text on the clock of a video.

    Attributes:
        start: Start in seconds from the video's first frame.
        end: End in seconds from the video's first frame, not before the start.
        text: Words of the line.
        origin: Origin of the words: ``"subtitles"``, ``"heard"`` in the sound, or ``"written"`` in
            the picture.

    Raises:
        InputError: The text is empty, or the times are not finite or are reversed.
    """

    start: float
    end: float
    text: str
    origin: LineOrigin = "subtitles"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("a TimedText has no text; give its words, or leave it out")
        if not (math.isfinite(self.start) and self.start <= self.end < math.inf):
            raise InputError(
                f"the TimedText {shown(self.text)} lasts from {self.start} to {self.end} s; give "
                "finite times, the end not before the start"
            )

    def __str__(self) -> str:
        """The line after its time, as a model reads it.

        Example:
            >>> print(TimedText(12.0, 13.5, "Mind the gap."))
            [12.0-13.5 s] Mind the gap.
        """
        return f"[{self.start:.1f}-{self.end:.1f} s] {self.text}"
