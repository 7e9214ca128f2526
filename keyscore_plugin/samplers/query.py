"""The texts that score the frames: given, or made by the captioner."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import Guide, ScoreConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.samplers.request import SelectionRequest
from keyscore_plugin.types import Caption, Embeddings, Frames, FrameScores, TextEmbedding


@dataclass(frozen=True, slots=True)
class Query:
    """The texts that score, and where they came from.

    Attributes:
        caption: The caption that scores, or None.
        question: The question that scores, or None.
    """

    caption: Caption | None
    question: str | None

    def embed(self, encoder: Encoder) -> list[TextEmbedding]:
        """Embed each text that scores."""
        texts = [self.caption.text if self.caption else None, self.question]
        return [encoder.encode_text(text) for text in texts if text is not None]


def require_query(request: SelectionRequest, guide: Guide, captioner: Captioner | None) -> None:
    """Refuse a call that can have no text to score with, before anything is decoded.

    Raises:
        InputError: A text is wanted, none was given, and there is no captioner.
    """
    wants_caption, _ = request.texts(guide)
    if wants_caption and request.caption is None and captioner is None:
        raise InputError(
            "no text to score the frames with; give a caption, give a question, "
            "or name a captioner (captioner='labels' needs no download)"
        )


def resolve_query(
    request: SelectionRequest,
    guide: Guide,
    captioner: Captioner | None,
    candidates: Callable[[], Frames],
) -> Query:
    """Decide which texts score, and have a caption made where one is wanted and none was given.

    A question is never replaced by a caption, nor by its answer.

    Args:
        request: What the caller gave.
        guide: See `SamplerConfig`.
        captioner: Makes the caption; None if the caller has none.
        candidates: Gives the frames to describe; called only if a caption has to be made.

    Raises:
        InputError: A text is wanted, none was given, and there is no captioner.
    """
    require_query(request, guide, captioner)
    wants_caption, wants_question = request.texts(guide)
    caption = None
    if wants_caption and request.caption is not None:
        caption = Caption(request.caption, origin="given")
    elif wants_caption and captioner is not None:
        caption = captioner.caption(candidates())
    return Query(caption, request.question if wants_question else None)


def score_by_all(
    frames: Embeddings, texts: list[TextEmbedding], config: ScoreConfig
) -> FrameScores:
    """KeyScore of each frame, averaged over the texts that score (ours; the paper has one)."""
    scores = [score(frames, text, config) for text in texts]
    return FrameScores(
        **{
            name: torch.stack([getattr(one, name) for one in scores]).mean(0)
            for name in FrameScores.__dataclass_fields__
        }
    )


def mean_cosine(frames: Embeddings, texts: list[TextEmbedding]) -> Tensor:
    """``(n,)`` cosine of each frame with the texts, averaged over them (eq. 2)."""
    with exact_arithmetic(frames.vectors.device):
        return torch.stack([frames.vectors @ text.vector for text in texts]).mean(0)


def notes_on_texts(texts: list[TextEmbedding]) -> tuple[str, ...]:
    """Notes on each text that the encoder cut, or that has words it cannot read."""
    cuts = [
        f"the encoder {text.model} read the first {text.max_tokens} of {text.n_tokens} tokens "
        f"of the text; the rest was cut"
        for text in texts
        if text.n_tokens_cut
    ]
    return (*cuts, *(_unread(text) for text in texts if text.reading and text.reading.unread))


def _unread(text: TextEmbedding) -> str:
    assert text.reading is not None
    n_words, words = text.reading.n_words, text.reading.unread
    if len(words) == n_words:
        return (
            f"the encoder {text.model} can read no word of the text ({shown(' '.join(words))}), so "
            "its scores say nothing; give the text in English, or an encoder of its language"
        )
    return (
        f"the encoder {text.model} cannot read {len(words)} of {n_words} words of the text, such "
        f"as {shown(words[0])}; give them in English, or an encoder that reads them"
    )
