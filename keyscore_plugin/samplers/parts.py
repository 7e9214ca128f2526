"""The parts that a text names, found by its words alone: options, quoted names, and conjunctions.

Ours; HiMu (arXiv 2603.18558) asks a language model for them.
"""

import re
from collections.abc import Sequence

from keyscore_plugin.config import Split

# "A. a dog", "(B) a cat" or "c) a car" at the start of a line, or in one line after a blank.
_OPTION = re.compile(r"(?:^|\s)\(?([A-Ha-h])[.):]\s+")
_INITIAL = re.compile(r"[A-H]\.\s+[^\W\d_a-z]")  # "A. Smith": a letter that a name may begin with
_QUOTED = re.compile('["\u201c\u00ab]([^"\u201c\u201d\u00ab\u00bb]{2,80})["\u201d\u00bb]')
# For a text of single blanks: a search for runs of them takes minutes in a text of blanks alone.
_CONJUNCTION = re.compile(r"[,;]? (?:and then|and|then|before|after|while|or) ", re.IGNORECASE)
_FEWEST_WORDS = 2  # ours: of a part; "red and blue" is no list of two things


def parts_of(text: str, split: Split) -> tuple[str, ...]:
    """The parts of a text; the text itself if it names one thing.

    Args:
        text: A caption or a question, with its options if it is a multiple-choice question.
        split: ``"options"`` finds the options of a multiple-choice question, which come after what
            is asked; ``"parts"`` also finds quoted names, or else what conjunctions ("and", "or",
            "then", "before", "after", "while") join; ``"model"`` and ``"none"`` find none.

    Returns:
        The parts, in the order of the text.

    Example:
        >>> parts_of("What is shown? A. a dog B. a red car", "options")
        ('What is shown?', 'a dog', 'a red car')
        >>> parts_of("a dog runs and a red car stops", "parts")
        ('a dog runs', 'a red car stops')
        >>> parts_of("red and blue", "parts")
        ('red and blue',)
    """
    parts = [] if split in ("none", "model") else _options(text)
    if split == "parts":
        parts = parts or _QUOTED.findall(text) or _clauses(text)
    return tuple(parts) if len(parts) > 1 else (text,)


def _options(text: str) -> list[str]:
    """What is asked and its options, if these are lettered in order from A."""
    found = list(_OPTION.finditer(text))
    letters = "".join(match.group(1).upper() for match in found)
    if len(found) < 2 or letters != "ABCDEFGH"[: len(letters)] or _are_initials(text, found):
        return []
    starts = [0, *(match.end() for match in found)]
    ends = [*(match.start() for match in found), len(text)]
    parts = (text[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return [part for part in parts if part]


def _are_initials(text: str, found: Sequence[re.Match[str]]) -> bool:
    """Whether letters begin names, as in "Do A. Smith and B. Jones walk in?".

    A list of options has each one on a line, or begins after what is asked: after "?" or ":".
    """
    before = [text[: match.start(1)].rstrip(" \t(") for match in found]
    if all(part == "" or part.endswith("\n") for part in before):
        return False
    may_be = [_INITIAL.match(text, match.start(1)) is not None for match in found]
    first = may_be[0] and not before[0].endswith(("?", ":", "\n"))
    return first or any(
        name and part.lower().endswith(" and") for name, part in zip(may_be, before, strict=True)
    )


def _clauses(text: str) -> list[str]:
    """What conjunctions join, if each part has words enough to name a thing."""
    parts = [part.strip(" ,;.?!") for part in _CONJUNCTION.split(" ".join(text.split()))]
    return parts if min(len(part.split()) for part in parts) >= _FEWEST_WORDS else []
