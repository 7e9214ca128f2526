"""Clips as text: how a Video-LLM writes the clips that a question needs, and how that is read.

The syntax is ours: K-frames publishes neither its prompt nor the form of its answers. A clip is an
object of a JSON list, with times in seconds from the first frame of the video::

    [{"start": 12.5, "end": 20.0, "priority": 1, "reason": "The dog jumps."}]
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keyscore_plugin.errors import InputError, one_line, shown
from keyscore_plugin.types import ClipAnswer, Clips, PredictedClip
from keyscore_plugin.types.clip_answer import PRIORITIES, Problem

# Ours: a model that rounds the duration it was given up to whole seconds is not wrong by more.
_LATE_SECONDS = 1.0
_MOST_REASON = 300  # ours: characters; a longer reason is a model that repeats itself
_MOST_SHOWN = 80  # ours: characters of an entry that is left out
_LIST = re.compile(r"\[\s*(?=[{\]])")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,4}):([0-5]?\d(?:\.\d+)?)", re.ASCII)
_SECONDS = re.compile(r"(-?\d{1,12}(?:\.\d+)?)\s*(?:s|sec|secs|second|seconds)?", re.ASCII)
_OTHER_UNIT = re.compile(r"(?=.*\d).*([^\W\d_]|%)", re.DOTALL)
_THOUGHT_END = "</think>"  # of models that reason before they answer
_JSON = json.JSONDecoder()


def parse_clips(text: str, duration_seconds: float) -> ClipAnswer:
    """Read the clips in the answer of a model.

    The last whole list of objects in the text counts, so that prose around it, a code fence or an
    earlier draft do no harm; if no list is whole, the last one with an entry, up to its last whole
    entry. What stands before ``</think>`` and keys other than those of the syntax are ignored.

    A time is a number of seconds, or a text such as ``"75"``, ``"75.5 s"``, ``"1:15"`` or
    ``"0:01:15.5"``. A clip without a priority has priority 1; ``"1"`` and ``"P1"`` are 1 as well.
    An entry with the times and the priority of an earlier one counts once.

    An end that lies up to one second after the end of the video is moved there, as models round.
    Every other entry that is not a clip of the video is refused, for one of these reasons:

    - ``"no time"``: the start or the end is missing.
    - ``"wrong type"``: a value is of another type, or a text that is no time.
    - ``"wrong unit"``: a time is a text with a number and a word that does not mean seconds, such
      as minutes, frames or per cent.
    - ``"reversed"``, ``"no length"``: the end is before the start, or equal to it.
    - ``"out of range"``: the clip starts before the video or after it, or ends more than a second
      after it.
    - ``"wrong priority"``: the priority is neither 1 nor 2.

    Args:
        text: Answer of the model, whatever it is.
        duration_seconds: Duration of the video.

    Returns:
        The clips. If there are none, `ClipAnswer.problem` says why: the reason of the first refused
        entry, or ``"empty"`` (no text), ``"no list"`` (prose alone), ``"no entry"`` (no whole
        entry in the list) or ``"no clip"`` (the list is empty, so the model says that nothing in
        the video matters).

    Raises:
        InputError: ``duration_seconds`` is not a positive number. No text raises an error.

    Example:
        >>> parse_clips('Sure: [{"start": "0:02", "end": 4.5, "priority": 2}]', 60).clips
        (PredictedClip(start_seconds=2.0, end_seconds=4.5, priority=2, reason=''),)
        >>> parse_clips("The dog jumps.", 60).problem
        'no list'
    """
    if not 0 < duration_seconds < math.inf:
        raise InputError(
            f"the duration must be a number of seconds above 0, got {shown(duration_seconds)}; "
            "give that of the video"
        )
    answer = text.rpartition(_THOUGHT_END)[2]
    if not answer.strip():
        return ClipAnswer(problem="empty")
    lists = list(_lists(answer))
    if not lists:
        return ClipAnswer(problem="no list")
    entries, is_whole = max(enumerate(lists), key=_preference)[1]
    if not entries:
        return ClipAnswer(problem="no clip" if is_whole else "no entry", is_cut_off=not is_whole)
    clips: dict[tuple[float, float, int], PredictedClip] = {}
    refused: list[tuple[Problem, str]] = []
    for entry in entries:
        clip = _clip(entry.value, duration_seconds)
        if isinstance(clip, PredictedClip):
            clips.setdefault((clip.start_seconds, clip.end_seconds, clip.priority), clip)
        else:
            refused.append((clip, one_line(entry.text, most=_MOST_SHOWN)))
    return ClipAnswer(
        clips=tuple(clips.values()),
        problem=None if clips else refused[0][0],
        refused=tuple(refused),
        is_cut_off=not is_whole,
    )


def format_clips(clips: Clips) -> str:
    """Write clips as `parse_clips` reads them; this is what a model is trained to answer.

    Times are written in tenths of a second, starts rounded down and ends up. Weights are not
    written: they follow from the priorities.

    Args:
        clips: Clips of priority 1 and 2, of any origin.

    Returns:
        A JSON list on one line, in time order.

    Raises:
        InputError: A clip has another priority.

    Example:
        >>> clips = Clips.from_intervals([2.04], [4.5], end_seconds=9.0, origin="scored")
        >>> format_clips(clips)
        '[{"start": 2.0, "end": 4.5, "priority": 1, "reason": ""}]'
    """
    if not set(clips.priorities) <= set(PRIORITIES):
        raise InputError(
            f"a Video-LLM is asked for clips of priority 1 and 2, got {shown(clips.priorities)}; "
            "leave out the other clips, or give them priority 2"
        )
    columns = zip(clips.starts, clips.ends, clips.priorities, clips.reasons, strict=True)
    rows = [
        {
            "start": _in_tenths(start, math.floor),
            "end": _in_tenths(end, math.ceil),
            "priority": priority,
            "reason": reason,
        }
        for start, end, priority, reason in columns
    ]
    return json.dumps(rows, ensure_ascii=False)


def _in_tenths(seconds: float, whole: Callable[[float], int]) -> float:
    # 0.7 * 10 is 7.000000000000001, which a ceiling would make 8.
    return whole(round(seconds * 10, 6)) / 10


@dataclass(frozen=True, slots=True)
class _Entry:
    """One whole entry of a list: what it says, and its text."""

    value: Any
    text: str


def _lists(text: str) -> Iterator[tuple[list[_Entry], bool]]:
    """The entries of each list of objects in the text, and whether the list has an end."""
    at = 0
    while (begin := _LIST.search(text, at)) is not None:
        entries, at, is_whole = _entries(text, begin.end())
        yield entries, is_whole


def _preference(place: tuple[int, tuple[list[_Entry], bool]]) -> tuple[bool, bool, int]:
    """A list with entries before an empty one, then a whole one, then the last."""
    row, (entries, is_whole) = place
    return bool(entries), is_whole, row


def _entries(text: str, at: int) -> tuple[list[_Entry], int, bool]:
    """The whole entries of the list that begins here, where reading ended, and if at its end."""
    entries: list[_Entry] = []
    while at < len(text) and text[at] != "]":
        try:
            value, end = _JSON.raw_decode(text, at)
        except ValueError:  # not JSON, or an integer of too many digits
            return entries, at + 1, False
        except RecursionError:  # so deep that each list inside would be as slow to refuse
            return entries, len(text), False
        entries.append(_Entry(value, text[at:end]))
        at = _after_blanks(text, end)
        if text[at : at + 1] == ",":
            at = _after_blanks(text, at + 1)
        elif text[at : at + 1] != "]":
            return entries, at, False
    return entries, at + 1, at < len(text)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _clip(entry: Any, duration_seconds: float) -> PredictedClip | Problem:
    """The clip that an entry of the list describes, or the reason why it is refused."""
    if not isinstance(entry, dict):
        return "wrong type"
    if entry.get("start") is None or entry.get("end") is None:
        return "no time"
    start, end = _seconds(entry["start"]), _seconds(entry["end"])
    if isinstance(start, str):
        return start
    if isinstance(end, str):
        return end
    if end <= start:
        return "reversed" if end < start else "no length"
    if not 0 <= start < duration_seconds or end > duration_seconds + _LATE_SECONDS:
        return "out of range"
    priority = _priority(entry.get("priority", 1))
    if priority is None:
        return "wrong priority"
    reason = entry.get("reason") or ""
    if not isinstance(reason, str):
        return "wrong type"
    return PredictedClip(
        start, min(end, duration_seconds), priority, one_line(reason, most=_MOST_REASON)
    )


def _seconds(value: Any) -> float | Problem:
    """A time as seconds, or the reason why it is refused."""
    if isinstance(value, str):
        return _seconds_of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "wrong type"
    # An integer may be too large for a float, and Python's JSON knows NaN and Infinity.
    if not abs(value) < 1e12:
        return "wrong type" if math.isnan(value) else "out of range"
    return float(value) + 0.0  # -0.0 becomes 0.0


def _seconds_of_text(text: str) -> float | Problem:
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups(default="0")
        return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
    if plain := _SECONDS.fullmatch(text.lower()):
        return float(plain[1]) + 0.0
    return "wrong unit" if _OTHER_UNIT.match(text) else "wrong type"


def _priority(value: Any) -> int | None:
    """A priority, or None for another value."""
    if isinstance(value, str):
        value = {"1": 1, "2": 2}.get(value.strip().upper().removeprefix("P"))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and value in PRIORITIES else None
