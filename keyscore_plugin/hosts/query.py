"""Which text scores the frames: the one given, one that a captioner makes, or the user's question.

Every host has a row in `QUERY_RULES`, and `decide_texts` is the only place that applies it:

================  ==========  =================================================
host              guide       with the guide ``"given"``, the first that exists
================  ==========  =================================================
``keyscore``      given       caption, question, generated caption
``transformers``  given       caption, question, generated caption, user's text
``qwen-vl-utils`` given       caption, question, generated caption
``lmms-eval``     question    question, generated caption
``serving``       given       caption, question
================  ==========  =================================================

A guide that a call, or the settings of its samplers, names is followed or refused; its text is
never replaced by another. ``keyscore`` is the package's own call and its command line, where
`keyscore_plugin.samplers` applies the same row.
"""

from dataclasses import dataclass
from typing import Any, Literal

from keyscore_plugin.config import Guide
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.types import TextInput

TextGuide = Literal["caption", "question", "both", "importance"]
Source = Literal["caption", "question", "generated", "user text"]


@dataclass(frozen=True, slots=True)
class QueryRule:
    """The rule by which one host decides which text scores.

    Attributes:
        guide: The guide if neither the call nor the settings of its samplers name one.
        order: Sources of the text with the guide ``"given"``; the first that exists is taken. With
            ``"user text"`` in it, the user's text in the messages also serves as the question for
            every other guide.
        passes_all: Whether the sampler gets each text that was given, also one that does not
            score; else it gets only those that do.
    """

    guide: Guide
    order: tuple[Source, ...]
    passes_all: bool = False


QUERY_RULES: dict[str, QueryRule] = {
    "keyscore": QueryRule("given", ("caption", "question", "generated"), passes_all=True),
    "transformers": QueryRule("given", ("caption", "question", "generated", "user text")),
    "qwen-vl-utils": QueryRule("given", ("caption", "question", "generated"), passes_all=True),
    "lmms-eval": QueryRule("question", ("question", "generated")),
    "serving": QueryRule("given", ("caption", "question"), passes_all=True),
}


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that a sampler gets.

    Attributes:
        guide: The text that scores, or ``"importance"``; None for a sampler that needs none.
        caption: The caption, or several; None lets the captioner write it where the guide wants
            one.
        question: The question, or several.
    """

    guide: TextGuide | None
    caption: TextInput | None = None
    question: TextInput | None = None

    @property
    def want_generated(self) -> bool:
        """Whether a captioner has to write the caption."""
        return self.guide in ("caption", "both") and self.caption is None


def decide_texts(
    rule: QueryRule,
    *,
    guide: Guide | None = None,
    caption: TextInput | None = None,
    question: TextInput | None = None,
    user_text: str | None = None,
    needs_text: bool,
    has_captioner: bool,
    remedy: str,
) -> Texts:
    """Decide which text scores the frames of a video.

    Args:
        rule: The host's row of `QUERY_RULES`.
        guide: Guide that the call or its settings name; None takes the rule's.
        caption: A sentence about the video, or several, as given.
        question: A question to score with, or several, as given.
        user_text: Question of the user about the video in the messages.
        needs_text: Whether the sampler needs a text.
        has_captioner: Whether a caption can be generated.
        remedy: Advice to the host's user on a missing text, one clause for the error.

    Raises:
        InputError: The text wanted is missing and cannot be generated.
    """
    if not needs_text:
        return Texts(None, caption, question) if rule.passes_all else Texts(None)
    named = rule.guide if guide is None else guide
    if named == "importance":  # no text scores
        return Texts(named, caption, question) if rule.passes_all else Texts(named)
    exists: dict[Source, bool] = {
        "caption": caption is not None,
        "question": question is not None,
        "generated": has_captioner,
        "user text": user_text is not None,
    }
    if named == "given":
        source = next((source for source in rule.order if exists[source]), "caption")
        scores: TextGuide = "question" if source in ("question", "user text") else "caption"
    else:
        scores = named
    asked = user_text if question is None and "user text" in rule.order else question
    # A captioner counts where the guide asks for a caption by name, or the host's order names it.
    writes = has_captioner and (named != "given" or "generated" in rule.order)
    lacks_caption = scores != "question" and caption is None and not writes
    if lacks_caption or (scores != "caption" and asked is None):
        wanted = "" if named == "given" else f" for guide={named!r}"
        raise InputError(f"no text to choose the frames by{wanted}; {remedy}")
    if rule.passes_all:
        return Texts(scores, caption, asked)
    return Texts(
        scores,
        caption=None if scores == "question" else caption,
        question=None if scores == "caption" else asked,
    )


def own_guide(sampler: Sampler) -> Guide:
    """The guide that a sampler object was made for; ``"given"`` if it has no config."""
    config: Any = getattr(sampler, "config", None)
    guide: Guide = getattr(config, "guide", "given")
    return guide


def refuse_other_guide(sampler: Sampler, guide: TextGuide | None) -> None:
    """Refuse a guide that a sampler object, which scores by its own config, would not follow.

    Raises:
        InputError: The sampler was made for another guide.
    """
    own = own_guide(sampler)
    if guide is None or own == guide or (own == "given" and guide not in ("both", "importance")):
        return
    raise InputError(
        f"guide={guide!r} is asked of a sampler object made for guide={own!r}; "
        f"make it with SamplerConfig(guide={guide!r}), or give the sampler's name instead"
    )
