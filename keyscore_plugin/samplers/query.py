"""What one call asks for, and the texts that score the frames: given, or made by a captioner."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.config import Guide, ScoreConfig
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import Caption, Embeddings, FrameScores, Reading, TextEmbedding
from keyscore_plugin.types.numbers import is_real, is_whole, plain

DEFAULT_NUM_FRAMES = 8  # N_UFP of sec. 4.1.4, the usual budget of a Video-LLM


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What one call asks for, checked.

    Attributes:
        num_frames: The budget, or None with a threshold.
        threshold: The least total score of a chosen frame, or None with a budget.
        caption: A sentence about the video.
        question: The question that the model will be asked.

    Raises:
        InputError: A value is out of range, or the budget and the threshold are both given.
    """

    num_frames: int | None = None
    threshold: float | None = None
    caption: str | None = None
    question: str | None = None

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.threshold is not None:
            raise InputError("num_frames and threshold exclude each other; give one of them")
        if self.num_frames is not None and not (is_whole(self.num_frames) and self.num_frames >= 1):
            raise InputError(
                f"num_frames must be a whole number >= 1, got {shown(self.num_frames)}"
            )
        if self.threshold is not None and not (
            is_real(self.threshold) and math.isfinite(self.threshold)
        ):
            raise InputError(f"threshold must be a finite number, got {shown(self.threshold)}")
        for name in ("num_frames", "threshold"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        for name, text in (("caption", self.caption), ("question", self.question)):
            if text is not None and not isinstance(text, str):
                raise InputError(f"the {name} must be a text, got {shown(text)}")
            if text is not None and not text.strip():
                raise InputError(f"the {name} is empty; give a sentence, or leave it out")

    @property
    def at_least(self) -> int:
        """The number of frames that the grid must hold to serve the budget."""
        return self.num_frames or 1

    def notes(self, scores: Tensor | None) -> tuple[str, ...]:
        """A note if the threshold was above every score.

        Args:
            scores: ``(k,)`` scores of the chosen frames, or None if the sampler ranks none.
        """
        if self.threshold is None or scores is None or bool((scores >= self.threshold).any()):
            return ()
        return (
            f"no frame reaches the threshold {self.threshold:g}: the highest score is "
            f"{float(scores.max()):.6g}, and that frame alone was chosen; lower the threshold",
        )

    def texts(self, guide: Guide) -> tuple[bool, bool]:
        """Whether a caption scores the frames under ``guide``, and whether the question does.

        Raises:
            InputError: The guide needs a question, and the call gives none; or it scores without
                a text.
        """
        if guide == "importance":
            raise InputError(
                "guide='importance' scores without a text, which only the sampler keyscore does; "
                "use that sampler or llmvs, or another guide"
            )
        if guide == "given":
            return self.caption is not None or self.question is None, (
                self.caption is None and self.question is not None
            )
        if guide in ("question", "both") and self.question is None:
            raise InputError(
                f"guide={shown(guide)} scores with the question, and none was given; give a "
                "question, or another guide"
            )
        return guide in ("caption", "both"), guide in ("question", "both")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The texts that score, with their origin.

    Attributes:
        caption: The caption that scores, or None.
        question: The question that scores, or None.
        embeddings: The same texts, embedded; none if no text scores.
    """

    caption: Caption | None = None
    question: str | None = None
    embeddings: tuple[TextEmbedding, ...] = ()

    @property
    def text(self) -> str:
        """The texts that score, one after the other."""
        caption = "" if self.caption is None else self.caption.text
        return f"{caption} {self.question or ''}".strip()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on each text that the encoder cut, or that has words it cannot read."""
        cuts = [
            f"the encoder {text.model} read the first {text.max_tokens} of {text.n_tokens} tokens "
            f"of the text; the rest was cut"
            for text in self.embeddings
            if text.n_tokens_cut
        ]
        read = ((text.model, text.reading) for text in self.embeddings if text.reading is not None)
        return (*cuts, *(_unread(model, reading) for model, reading in read if reading.unread))


def score_texts(
    frames: Embeddings, texts: Sequence[TextEmbedding], config: ScoreConfig
) -> FrameScores:
    """KeyScore of each frame, averaged over the texts that score (ours; the paper has one)."""
    scores = [score(frames, text, config) for text in texts]
    return FrameScores(
        **{
            name: torch.stack([getattr(one, name) for one in scores]).mean(0)
            for name in FrameScores.__dataclass_fields__
        }
    )


def mean_cosine(frames: Embeddings, texts: Sequence[TextEmbedding]) -> Tensor:
    """``(n,)`` cosine of each frame with the texts, averaged over them (eq. 2)."""
    with exact_arithmetic(frames.vectors.device):
        return torch.stack([frames.vectors @ text.vector for text in texts]).mean(0)


def _unread(model: str, reading: Reading) -> str:
    n_words, words = reading.n_words, reading.unread
    if len(words) == n_words:
        return (
            f"the encoder {model} can read no word of the text ({shown(' '.join(words))}), so "
            "its scores say nothing; give the text in English, or an encoder of its language"
        )
    return (
        f"the encoder {model} cannot read {len(words)} of {n_words} words of the text, such "
        f"as {shown(words[0])}; give them in English, or an encoder that reads them"
    )
