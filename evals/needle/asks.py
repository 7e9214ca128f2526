"""What a query asks for: one clip, several, every appearance of one, or the whole video."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from evals.needle.lines import lines_of
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

Ask = Literal["one", "two", "three", "every", "global", "said", "written"]
ASKS: tuple[Ask, ...] = get_args(Ask)
APPEARANCES = 4  # of each clip in a video of the ask "every"
_N_CLIPS: dict[Ask, int] = {"two": 2, "three": 3}
_GLOBAL = (
    "What is this video about?",
    "How does the video end?",
    "Summarise what happens from the beginning to the end.",
    "How many scenes are there in the video?",
)


def ask_for(video: NeedleVideo, ask: Ask, *, seed: int = 0) -> NeedleVideo:
    """The same video with the queries of an ask.

    Args:
        video: A video with one needle a clip.
        ask: ``"one"`` keeps the needles. ``"two"`` and ``"three"`` ask for so many clips at once,
            in 16 random groups a video. ``"every"`` asks for all clips of a sentence. ``"global"``
            asks for the whole video. ``"said"`` and ``"written"`` ask for the lines of `LINES`.
        seed: Seed of the groups, and number of the video.
    """
    needles = video.needles
    if ask in _N_CLIPS:
        needles = _groups(needles, _N_CLIPS[ask], np.random.default_rng(seed))
    elif ask == "every":
        captions = dict.fromkeys(needle.caption for needle in needles)
        needles = tuple(
            Needle(caption, tuple(one.spans[0] for one in needles if one.caption == caption))
            for caption in captions
        )
    elif ask == "global":
        end = max(end for needle in needles for _, end in needle.spans)
        needles = tuple(Needle(text, ((0.0, end),)) for text in _GLOBAL)
    elif ask == "said" or ask == "written":
        lines = lines_of(ask, len(needles), order=seed)
        needles = tuple(
            Needle(line.question, needle.spans) for line, needle in zip(lines, needles, strict=True)
        )
    return replace(video, needles=needles)


def _groups(
    needles: Sequence[Needle], n_clips: int, rng: np.random.Generator
) -> tuple[Needle, ...]:
    """As many groups of different clips as there are clips."""
    groups = [
        [needles[row] for row in rng.choice(len(needles), n_clips, replace=False)] for _ in needles
    ]
    return tuple(
        Needle(
            group[0].caption,
            tuple(one.spans[0] for one in group),
            more=tuple(one.caption for one in group[1:]),
        )
        for group in groups
    )
