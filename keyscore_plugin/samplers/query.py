"""What one call asks for, and the texts that score the frames: given, or made by a captioner."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.algorithm.texts import join_scores, stretch_each, text_weights
from keyscore_plugin.config import Guide, ScoreConfig
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.samplers.channels import Channels
from keyscore_plugin.timed_texts.line_scores import asks_about
from keyscore_plugin.types import (
    Caption,
    Embeddings,
    FrameScores,
    Join,
    QueryText,
    Reading,
    SubtitleInput,
    TextEmbedding,
    check_join,
    check_subtitles,
)
from keyscore_plugin.types.numbers import is_real, is_whole, plain

# Ours: what the picture's score of a question about what is said, or written, counts next to a line
# that counts fully.
_SEEN_OF_ASKED = 0.5
_HEARD = 0.5  # ours: a line is heard where its score is more than this share of the best line's
DEFAULT_NUM_FRAMES = 8  # N_UFP of sec. 4.1.4, the usual budget of a Video-LLM


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What one call asks for, checked.

    Attributes:
        num_frames: The budget, or None with a threshold.
        threshold: The least total score of a chosen frame, or None with a budget.
        captions: Sentences about the video; most calls give one or none.
        questions: Questions that the model will be asked.
        join: Join of several texts of one kind.
        subtitles: Subtitles that score, too, as `keyscore_plugin.Sampler` takes them.

    Raises:
        InputError: A value is out of range, or the budget and the threshold are both given.
    """

    num_frames: int | None = None
    threshold: float | None = None
    captions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    join: Join = "all"
    subtitles: SubtitleInput = None

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
        check_join(self.join)
        check_subtitles(self.subtitles)

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

    @property
    def notes_on_texts(self) -> tuple[str, ...]:
        """Notes on a list of texts that has one twice, or more texts than the budget has frames."""
        notes = []
        for role, texts in (("caption", self.captions), ("question", self.questions)):
            again = next((text for i, text in enumerate(texts) if text in texts[:i]), None)
            if again is not None and self.join != "then":
                notes.append(f"the {role} {shown(again)} is given twice; it counts once")
            if self.num_frames is not None and len(texts) > self.num_frames:
                notes.append(
                    f"{len(texts)} {role}s are more than the budget of {self.num_frames} frames; "
                    "not each of them can get one"
                )
        return tuple(notes)

    def require_texts_to_join(self, guide: Guide) -> None:
        """Check that there are several texts, if the join is about several.

        Raises:
            InputError: The texts that score are one caption, one question, or one of each.
        """
        wanted = zip(self.texts(guide), (self.captions, self.questions), strict=True)
        n_most = max(len(texts) for is_wanted, texts in wanted if is_wanted)
        if self.join in ("then", "at_once") and n_most < 2:
            raise InputError(
                f"join={self.join!r} needs two texts or more, and one scores; give several "
                "captions or several questions, or leave join out"
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
            by_question = bool(self.questions) and not self.captions
            return not by_question, by_question
        if guide in ("question", "both") and not self.questions:
            raise InputError(
                f"guide={shown(guide)} scores with the question, and none was given; give a "
                "question, or another guide"
            )
        return guide in ("caption", "both"), guide in ("question", "both")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The texts that score, with their origin.

    Attributes:
        caption: The caption that scores, or None; several captions are one, a line each.
        question: The question that scores, or None; several questions likewise.
        embeddings: The texts that score, embedded, captions first; none if no text scores.
        texts: The same texts in words, and then once more for what is said, and for what is
            written, if several rows of scores are joined; none for one.
        join: Join of several texts of one kind.
        channels: Lines that are said and written in the video, compared with the texts.
        notes_on_parts: Facts on how a text was split.
    """

    caption: Caption | None = None
    question: str | None = None
    embeddings: tuple[TextEmbedding, ...] = ()
    texts: tuple[QueryText, ...] = ()
    join: Join = "all"
    channels: Channels = field(default_factory=Channels)
    notes_on_parts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The texts that score, one after the other."""
        caption = "" if self.caption is None else self.caption.text
        return f"{caption} {self.question or ''}".strip()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on each text that was split or cut, or that has words the encoder cannot read."""
        cuts = [
            f"the encoder {text.model} read the first {text.max_tokens} of {text.n_tokens} tokens "
            f"of the text; the rest was cut"
            for text in self.embeddings
            if text.n_tokens_cut
        ]
        read = ((text.model, text.reading) for text in self.embeddings if text.reading is not None)
        unread = (_unread(model, reading) for model, reading in read if reading.unread)
        return (*self.notes_on_parts, *cuts, *unread, *self.channels.notes)

    @property
    def seen_texts(self) -> tuple[QueryText, ...]:
        """The texts that the picture is compared with."""
        return self.texts[: len(self.embeddings)]

    def heard(self, pts_seconds: Tensor) -> Tensor:
        """``(n,)`` bool, whether a line that answers a text is there at each of ``(n,)`` times."""
        heard = torch.zeros(len(pts_seconds), dtype=torch.bool)
        for lines in self.channels.scores:
            best = (lines.weights[:, None] * lines.at(pts_seconds)).max(dim=0).values
            heard |= best > _HEARD * lines.cosines.max()
        return heard

    def with_said(self, seen: Tensor, pts_seconds: Tensor) -> Tensor:
        """``(n_rows, n)`` scores in 0..1 by the picture, then by what is said and what is written.

        Args:
            seen: ``(n_texts, n)`` scores in 0..1 by the picture.
            pts_seconds: ``(n,)`` times of the frames.
        """
        rows = [seen]
        for lines in self.channels.scores:
            asked = torch.tensor([asks_about(lines.channel, one.text) for one in self.seen_texts])
            left = torch.where(asked, 1 - (1 - _SEEN_OF_ASKED) * lines.weights, 1.0)
            rows[0] = torch.minimum(rows[0], left[:, None].to(seen) * seen)
            rows.append((lines.weights[:, None] * stretch_each(lines.at(pts_seconds))).to(seen))
        return torch.cat(rows)

    def weigh(self, cosines: Tensor) -> Tensor:
        """``(n_texts,)`` how much each text counts: all fully, unless their worth is unknown.

        Args:
            cosines: ``(n_texts, n)`` cosines of texts and frames.
        """
        if self.join == "any" or len({text.role for text in self.seen_texts}) > 1:
            return text_weights(cosines)
        return torch.ones_like(cosines[:, 0])

    def joined(self, scores: Tensor) -> Tensor:
        """``(n,)`` best of captions, questions, what is said and written, of `with_said`'s."""
        n_captions = sum(text.role == "caption" for text in self.seen_texts)
        n_seen = len(self.embeddings)
        sides = (scores[:n_captions], scores[n_captions:n_seen])
        joined = [join_scores(side, self.join) for side in sides if len(side)]
        return torch.stack([*joined, *scores[n_seen:]]).max(dim=0).values


def score_texts(
    frames: Embeddings, query: Query, config: ScoreConfig
) -> tuple[FrameScores, Tensor | None]:
    """KeyScore of each frame; several texts are scored each and joined (ours; the paper has one).

    Returns:
        The scores, and the ``(n_texts, n)`` scores in 0..1 by each text, None if there is one. With
        several texts, each normalised component is joined as the total is, and the raw ones are
        averaged.
    """
    each = [score(frames, text, config) for text in query.embeddings]
    if len(each) == 1 and not query.channels.scores:
        return each[0], None
    rows = {
        name: torch.stack([getattr(one, name) for one in each])
        for name in FrameScores.__dataclass_fields__
    }
    weights = query.weigh(rows["semantic_raw"])[:, None]
    by_text = {
        name: query.with_said(weights * stretch_each(values), frames.pts_seconds)
        for name, values in rows.items()
        if not name.endswith("_raw")
    }
    raw = {name: values.mean(0) for name, values in rows.items() if name not in by_text}
    joined = {name: query.joined(values) for name, values in by_text.items()}
    return FrameScores(**joined, **raw), by_text["total"]


def cosines_with(frames: Embeddings, query: Query) -> tuple[Tensor, Tensor | None]:
    """Compare each frame with the texts (eq. 2); several cosines are joined.

    Returns:
        ``(n,)`` cosines, and the ``(n_texts, n)`` scores in 0..1 by each text, None if there is
        one; both on the CPU. Joined scores are on the scale of cosines: from the mean of the texts'
        lowest cosines to the mean of their highest.
    """
    with exact_arithmetic(frames.vectors.device):
        cosines = torch.stack([frames.vectors @ text.vector for text in query.embeddings]).cpu()
    if len(cosines) == 1 and not query.channels.scores:
        return cosines[0], None
    seen = query.weigh(cosines)[:, None] * stretch_each(cosines)
    by_text = query.with_said(seen, frames.pts_seconds)
    low, high = cosines.min(dim=1).values.mean(), cosines.max(dim=1).values.mean()
    return low + (high - low) * query.joined(by_text), by_text


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
