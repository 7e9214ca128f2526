"""Questions about what is said, found by their words."""

import re

_SPEECH = frozenset(
    [
        "say",
        "says",
        "said",
        "saying",
        "tell",
        "tells",
        "told",
        "telling",
        "talk",
        "talks",
        "talked",
        "talking",
        "mention",
        "mentions",
        "mentioned",
        "speak",
        "speaks",
        "spoke",
        "spoken",
        "speaking",
        "speaker",
        "speech",
        "explain",
        "explains",
        "explained",
        "announce",
        "announces",
        "announced",
        "announcer",
        "narrator",
        "narration",
        "dialogue",
        "dialog",
        "conversation",
        "discuss",
        "discusses",
        "discussed",
        "comment",
        "comments",
        "commented",
        "quote",
        "quotes",
        "quoted",
        "remark",
        "remarks",
        "remarked",
        "claim",
        "claims",
        "claimed",
        "argue",
        "argues",
        "argued",
        "subtitle",
        "subtitles",
    ]
)


def asks_about_speech(text: str) -> bool:
    """Whether a text has a word about speaking, so that the picture alone does not answer it.

    Example:
        >>> asks_about_speech("Who says that the shop is closed?"), asks_about_speech("a red car")
        (True, False)
    """
    return not _SPEECH.isdisjoint(re.findall(r"[a-z]+", text.lower()))
