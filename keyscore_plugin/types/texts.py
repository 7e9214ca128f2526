"""The texts of a call: what a caller may give, a caption, each of several texts that score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_real

Origin = Literal["given", "generated", "said", "written"]
Join = Literal["all", "any", "then", "at_once"]
TextRole = Literal["caption", "question"]
# What a caption or a question may be: one text, or several about one video.
TextInput = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class SubtitlesFrom:
    """The subtitle file of a longer video, for a video that was cut out of it.

    Attributes:
        path: Path of the file.
        start_seconds: Time of the longer video at which the cut one starts.

    Raises:
        InputError: The path is no path, or the start is not a finite number.
    """

    path: str | Path
    start_seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, Path)):
            raise InputError(
                f"the path of subtitles must be a path, got {shown(self.path)}; give that of the "
                "longer video's file"
            )
        if not (is_real(self.start_seconds) and math.isfinite(self.start_seconds)):
            raise InputError(
                f"start_seconds must be a finite number, got {shown(self.start_seconds)}; give "
                "the time of the longer video at which this one starts"
            )


# The path of a subtitle file, or a part of one; True for the subtitles next to the video or in it;
# False for no subtitles; None for those next to it if a text is about speech.
SubtitleInput = str | Path | SubtitlesFrom | bool | None


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about the video.

    Attributes:
        text: Text of the sentence.
        origin: Origin of the text: ``"given"`` by the caller or ``"generated"`` by a captioner.
        model: Name of the captioner; None when the text was given.

    Raises:
        InputError: The text is empty.
    """

    text: str
    origin: Origin
    model: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("the caption is empty; give a sentence, or none to have one made")


@dataclass(frozen=True, slots=True)
class QueryText:
    """One of several texts that scored the frames.

    Attributes:
        text: The text.
        role: Whether it was given as a ``"caption"`` or as a ``"question"``.
        origin: Origin of the score: the picture compared with a text that was ``"given"`` by the
            caller or ``"generated"`` by a captioner, or what is ``"said"`` in the video, or
            ``"written"`` in the picture, compared with it.
    """

    text: str
    role: TextRole
    origin: Origin = "given"


def texts_of(given: TextInput | None, role: str) -> tuple[str, ...]:
    """The texts that a caller gives as a caption or as a question; none for None.

    Args:
        given: A text, or a list or tuple of texts.
        role: Name of the argument, for errors.

    Raises:
        InputError: A text is empty or is no text, or the list is empty.

    Example:
        >>> texts_of("a dog runs", "question"), texts_of(["a dog", "a cat"], "question")
        (('a dog runs',), ('a dog', 'a cat'))
    """
    if given is None:
        return ()
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"the {role} must be a text or a list of texts, got {shown(given)}")
    if not texts:
        raise InputError(f"the {role} is an empty list; give one text or more, or leave it out")
    if not all(text.strip() for text in texts):
        raise InputError(f"the {role} is empty; give a sentence, or leave it out")
    return tuple(texts)


def check_join(join: str) -> Join:
    """The join of this name.

    Raises:
        InputError: It is no `Join`.
    """
    for known in get_args(Join):
        if join == known:
            found: Join = known
            return found
    raise InputError(f"join {shown(join)} is not {'|'.join(get_args(Join))}; give one of these")


def check_subtitles(given: object) -> None:
    """Check what a caller gives as subtitles.

    Raises:
        InputError: It is no `SubtitleInput`.
    """
    if not (given is None or isinstance(given, (str, Path, SubtitlesFrom, bool))):
        raise InputError(
            f"subtitles must be a path, True or False, got {shown(given)}; give one of these"
        )


def one_text(texts: Sequence[str]) -> str | None:
    """Several texts as one, a line each; None if there are none."""
    return "\n".join(texts) or None
