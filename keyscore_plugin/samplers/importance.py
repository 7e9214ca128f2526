"""Importance of frames: captions of a grid, a language model that reads them, a head (LLMVS)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.importance_head import ImportanceHead
from keyscore_plugin.captioners.frame_captions import FrameDescriber
from keyscore_plugin.captioners.windows import WindowReader, load_window_reader
from keyscore_plugin.config import GridConfig, LlmvsConfig
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.samplers.grid import rebatch
from keyscore_plugin.samplers.head_files import HeadCard, load_head
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import FrameCaptions, Importance

BLOCK_FRAMES = 16  # ours: captions that are lost at most if a run is killed


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceScorer:
    """Scores frames by their captions alone.

    Attributes:
        reader: Reader of the captions.
        config: The settings.
        head: Trained head; None takes the marks of the language model itself.
        card: Card of the head; None without a head.
    """

    reader: WindowReader
    config: LlmvsConfig
    head: ImportanceHead | None = None
    card: HeadCard | None = None

    @classmethod
    def load(cls, config: LlmvsConfig, device: torch.device) -> "ImportanceScorer":
        """Load the language model, and the head if there is one.

        Raises:
            ModelError: No language model is named, one of the two does not load, or the head was
                trained on other embeddings.
        """
        if config.model is None:
            # Not an InputError: in a run of many videos that would be a fact about each of them.
            raise ModelError(
                "the importance of frames needs a language model that reads their captions, and "
                "none is named; set llmvs.model (--language-model) to the folder or hub model id "
                "of one that chats"
            )
        # A head that cannot be read is an error before the language model takes its time to load.
        head, card = (None, None) if config.head is None else load_head(config.head, device=device)
        reader = load_window_reader(config.model, device, window=config.window)
        if card is not None:
            _require_fit(config, card, reader)
        return cls(reader, config, head, card)

    @property
    def name(self) -> str:
        """Name of the language model, and of the head."""
        head = "" if self.config.head is None else f" + {self.config.head}"
        return f"{self.reader.name}{head}"

    def score(self, captions: FrameCaptions) -> Importance:
        """Score every frame of a video by its captions.

        Raises:
            InputError: No frame has a caption.
            ModelError: A window is longer than the context of the language model.
        """
        if not any(captions.texts):
            raise InputError(
                f"{captions.model} wrote no caption for any of {len(captions)} frames; give "
                "another captioner, or a sampler that reads none"
            )
        if self.head is None:
            scores = self.reader.expect(captions.texts)
        else:
            scores = head_scores(self.head, self.embed(captions.texts), captions.pts_seconds)
        return Importance(scores, captions.indices, captions.pts_seconds, self.name)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """``(n, width)`` embeddings of ``n`` captions, read as the settings say.

        Raises:
            ModelError: A window is longer than the context of the language model.
        """
        if self.config.reading == "pass":
            return self.reader.embed_in_one_pass(texts)
        return self.reader.embed(texts, answer=self.config.answer)

    def notes(self, captions: FrameCaptions, importance: Importance) -> tuple[str, ...]:
        """Facts about the importance that a reader of a selection must know."""
        blank = [row for row, text in enumerate(captions.texts) if not text]
        notes = [f"importance by {self.name}, which read captions by {captions.model}"]
        if self.head is None:
            notes.append(
                "no trained head: the scores are the language model's own marks; set llmvs.head "
                "to a head of python -m evals.summaries.fit"
            )
        elif self.card is not None and self.card.captioner != captions.model:
            notes.append(
                f"the head was trained on captions by {self.card.captioner}, and these are by "
                f"{captions.model}; its scores may mean little"
            )
        if blank:
            notes.append(
                f"{captions.model} wrote no caption for {len(blank)} of {len(captions)} frames, "
                f"such as frame {int(captions.indices[blank[0]])}; they were read as unknown"
            )
        if len(captions) < self.config.window:
            notes.append(
                f"{len(captions)} frames were captioned, fewer than the {self.config.window} of a "
                "window; each was judged among all of them"
            )
        if len(captions) > 1 and float(importance.scores.max() - importance.scores.min()) == 0:
            notes.append("all frames have the same importance, so they are spread evenly in time")
        return tuple(notes)


def head_scores(head: ImportanceHead, embeddings: Tensor, pts_seconds: Tensor) -> Tensor:
    """``(n,)`` float64 scores of a head, on the CPU, with times from the first frame."""
    device = next(head.parameters()).device
    seconds = (pts_seconds - pts_seconds[:1]).to(device, torch.float32)
    with torch.inference_mode(), exact_arithmetic(device):
        scores: Tensor = head.eval()(embeddings.to(device), seconds)
    return scores.double().cpu()


def describer_of(run: Run) -> FrameDescriber:
    """Return the function that describes the frames of a call.

    Raises:
        ModelError: There is no captioner.
    """
    captioner = run.get_captioner()
    if captioner is None:
        raise ModelError(
            "the importance of frames is read from their captions, and no captioner was given; "
            "name one ('labels' needs no download)"
        )
    return FrameDescriber(captioner, run.captioner_name)


def caption_grid(run: Run, grid: GridConfig) -> FrameCaptions:
    """Describe every frame of a grid while the next ones are decoded.

    Captions of a captioner that was given by name are kept in the user's cache, by the content of
    the frame.

    Raises:
        ModelError: There is no captioner.
        CacheError: The cache cannot be used.
    """
    with stage("caption"):
        describe = describer_of(run)
    grid = replace(grid, short_side=max(grid.short_side, run.config.llmvs.short_side))
    texts: list[str] = []
    parts: list[tuple[Tensor, Tensor]] = []
    with run.read_grid(grid, device=torch.device("cpu")) as (batches, n_most):
        for block in rebatch(batches, BLOCK_FRAMES):
            with stage("caption"):
                texts += describe(block)
            parts.append((block.indices, block.pts_seconds))
            progress.advance("caption", len(texts), n_most)
    indices, pts_seconds = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return FrameCaptions(tuple(texts), indices, pts_seconds, describe.model)


def _require_fit(config: LlmvsConfig, card: HeadCard, reader: WindowReader) -> None:
    """Refuse a head that was trained on embeddings of another kind."""
    if card.shape.d_in != reader.width:
        raise ModelError(
            f"the head {shown(config.head)} was trained on embeddings of length {card.shape.d_in} "
            f"by {card.model}, and those of {reader.name} have length {reader.width}; give that "
            "language model, or train a head for this one"
        )
    for name, value in card.embedding.items():
        own = getattr(config, name)
        if own != value:
            raise ModelError(
                f"the head {shown(config.head)} was trained with llmvs.{name}={value}, and "
                f"llmvs.{name} is {own}; set it to {value}, or give another head"
            )
