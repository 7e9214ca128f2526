"""The subtitles of LongVideoBench and Video-MME-v2, which are JSON.

LongVideoBench (arXiv 2407.15754) has a list of cues in two forms. Video-MME-v2 has a word a line,
``{"text": "Hello", "start_time": 0.5, "end_time": 0.8}``, which are joined to lines here.
"""

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_real

Cue = tuple[float, float, str]  # start and end in seconds, and the words

JSON_SUFFIXES = (".jsonl", ".json")
_FORMS = (
    '{"start": "00:00:01.000", "end": "00:00:03.500", "line": "..."}, '
    '{"timestamp": [1.0, 3.5], "text": "..."} or '
    '{"text": "...", "start_time": 1.0, "end_time": 1.2}'
)
# A line of words ends before a pause of this many seconds, as in Video-MME-v2's own evaluation.
_PAUSE_SECONDS = 0.5
_LINE_SECONDS = 6.0  # ours: a line of words without a pause lasts about so long
# Ours: a cue without an end, which ends a file of LongVideoBench, lasts so long, or until the next.
_OPEN_SECONDS = 5.0


def read_json_cues(text: str, *, name: str) -> list[Cue]:
    """Read the subtitles of LongVideoBench or Video-MME-v2.

    Args:
        text: A list of cues as JSON, or a cue a line.
        name: Name of the file, for errors.

    Returns:
        The cues; single words joined to lines.

    Raises:
        InputError: The text is not JSON, or a cue has another form.

    Example:
        >>> read_json_cues('[{"start": "00:00:01.000", "end": "00:00:03.500", "line": "Go!"}]',
        ...                name="a.json")
        [(1.0, 3.5, 'Go!')]
    """
    try:
        is_list = text.lstrip().startswith("[")
        parts = [text] if is_list else filter(str.strip, text.split("\n"))
        values = [*map(json.loads, parts)]
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the subtitles {name} are neither a JSON list nor lines of JSON ({error}); give a "
            f"list of {_FORMS}"
        ) from error
    values = values[0] if is_list else values
    cues = [_cue(value, f"cue {n} of the subtitles {name}") for n, value in enumerate(values, 1)]
    closed = [*_closed(cues)]
    are_words = bool(values) and all("start_time" in value for value in values)
    return [*_lines(closed)] if are_words else closed


def _cue(value: Any, where: str) -> tuple[float, float | None, str]:
    """A cue of any of the forms; its end is None if the file leaves it open."""
    match value:
        case {"timestamp": [start, end], "text": str(words)}:
            return _seconds(start, where), None if end is None else _seconds(end, where), words
        case {"start_time": start, "end_time": end, "text": str(words)}:
            return _seconds(start, where), _seconds(end, where), words
        case {"start": start, "end": end, "line": str(words)}:
            return _seconds(start, where), _seconds(end, where), words
    raise InputError(f"{where} is {shown(value)}; write it as {_FORMS}")


def _seconds(value: Any, where: str) -> float:
    """A time in seconds, from a number or from hours, minutes and seconds."""
    try:
        if isinstance(value, str):
            hours, minutes, seconds = value.split(":")
            value = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except (ValueError, OverflowError):
        pass  # refused below
    if not (is_real(value) and math.isfinite(value)):
        raise InputError(
            f'{where} has the time {shown(value)}; write seconds, or "hours:minutes:seconds"'
        )
    return float(value)


def _closed(cues: Sequence[tuple[float, float | None, str]]) -> Iterator[Cue]:
    """The cues with an end each."""
    for (start, end, words), (following, _, _) in pairwise([*cues, (math.inf, None, "")]):
        if end is None:
            end = start + _OPEN_SECONDS
            end = following if start < following < end else end
        yield start, end, words


def _lines(words: Sequence[Cue]) -> Iterator[Cue]:
    """Words joined to lines, which end with a sentence, before a pause, or after some seconds."""
    line: list[Cue] = []
    for start, end, word in words:
        if line and (
            start - line[-1][1] > _PAUSE_SECONDS
            or line[-1][2].rstrip().endswith((".", "!", "?"))
            or end - line[0][0] > _LINE_SECONDS
        ):
            yield _joined(line)
            line = []
        line.append((start, end, word))
    if line:
        yield _joined(line)


def _joined(line: Sequence[Cue]) -> Cue:
    return line[0][0], line[-1][1], " ".join(word for _, _, word in line)
