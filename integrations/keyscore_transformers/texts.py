"""Which text chooses the frames, when a call, a captioner and the messages may each have one."""

from dataclasses import dataclass
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.base import Sampler
from keyscore_transformers.request import TextGuide, VideoRequest

_WAYS_OUT = (
    "give caption='a sentence about the video'; or let a question choose "
    "(question='...', or user text in the messages); or have a caption made: "
    "enable(processor, model=model), or captioner=..."
)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a sampler is told.

    Attributes:
        guide: The text that scores; None for a sampler that reads none.
        caption: The caption; None lets the captioner make it where the guide wants one.
        question: The question, where the guide wants it.
    """

    guide: TextGuide | None
    caption: str | None = None
    question: str | None = None


def choose_texts(request: VideoRequest, *, needs_text: bool, has_captioner: bool) -> Texts:
    """Decide which text scores the frames of a video.

    A guide that was asked for is obeyed or refused. Without one, the first of these that is there:
    the caption given, the question given, a caption made by the captioner, the user's text in the
    messages.

    Raises:
        InputError: The text wanted is not there and cannot be made.
    """
    if not needs_text:
        return Texts(None)
    question = request.question if request.question is not None else request.user_text
    has_caption = request.caption is not None or has_captioner
    guide = request.guide
    if guide is None:
        by_question = request.caption is None and request.question is not None
        guide = "caption" if has_caption and not by_question else "question"
    if (guide != "question" and not has_caption) or (guide != "caption" and question is None):
        wanted = "" if request.guide is None else f" for guide={request.guide!r}"
        raise InputError(f"no text to choose the frames by{wanted}; {_WAYS_OUT}")
    return Texts(
        guide,
        caption=None if guide == "question" else request.caption,
        question=None if guide == "caption" else question,
    )


def refuse_other_guide(sampler: Sampler, guide: TextGuide | None) -> None:
    """A sampler object scores by its own config, which must be able to follow the guide.

    Raises:
        InputError: It would not.
    """
    config: Any = getattr(sampler, "config", None)
    own = getattr(config, "guide", "given")
    if guide is None or own == guide or (own == "given" and guide != "both"):
        return
    raise InputError(
        f"guide={guide!r} is asked of a sampler object made for guide={own!r}; "
        f"make it with SamplerConfig(guide={guide!r}), or give the sampler's name instead"
    )
