"""Questions about what is said or written, found by their words."""

import re

_SPEECH = re.compile(
    r"""\b(
    say | says | said | saying | told | tell(s|ing)? | talk(s|ed|ing)? | mention(s|ed)?
    | speak(s|ing|er)? | spoken? | speech | explain(s|ed)? | announce[sdr]? | narrator | narration
    | dialog(ue)? | conversation | discuss(es|ed)? | comment(s|ed)? | quote[sd]? | remark(s|ed)?
    | claim(s|ed)? | argue[sd]? | subtitles?
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_WRITING = re.compile(
    r"""\b(
    signs? | signpost | written | writing | writes | label(s|l?ed)?
    | title[sd]? | headlines? | banners? | posters? | inscription | inscribed | reads
    | spell(s|ed) | billboards? | placards? | slides?
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)


def asks_about_speech(text: str) -> bool:
    """Whether a text has a word about speaking, so that the picture alone does not answer it.

    Example:
        >>> asks_about_speech("Who says that the shop is closed?"), asks_about_speech("a red car")
        (True, False)
    """
    return _SPEECH.search(text) is not None


def asks_about_writing(text: str) -> bool:
    """Whether a text has a word about writing that the picture shows.

    Example:
        >>> asks_about_writing("What does the sign say?"), asks_about_writing("a red car")
        (True, False)
    """
    return _WRITING.search(text) is not None
