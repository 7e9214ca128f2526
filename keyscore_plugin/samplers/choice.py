"""What the rule of a sampler chose, before the circumstances of its call are added."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from keyscore_plugin.samplers.query import Query
from keyscore_plugin.samplers.refine import Refined
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import Candidates, Clips, GridInfo, ScoredFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What `SamplerTemplate._choose` found; the `Selection` adds the circumstances of the call.

    Attributes:
        indices: ``(k,)`` int64 frame indices, rising.
        pts_seconds: ``(k,)`` float64 times.
        scores: ``(k,)`` scores that the frames were ranked by, or None.
        rank: ``(k,)`` int64 place of each frame, 0 first; None if the sampler orders none.
        looked_at: The frames that were decoded to choose from; None if there were none.
        query: The texts that scored.
        chosen_for: ``(k,)`` int64 place of the text that each chosen frame scores most with; None
            if there are not several texts.
        encoder: Name of the encoder, or None if none was used.
        captioner: Name of the model that was asked for clips or for captions of scenes; None if
            there was none. The model that wrote the caption of the query is known from the query.
        candidates: STACFP's representatives, in time order.
        curves: Every scored frame, in time order.
        clips: The clips that the frames were taken from; None if there were none.
        fallback: Reason why another rule than the sampler's own chose the frames; None if its own
            did.
        frame_captions: Sentence on each chosen frame, if the sampler reads captions of frames.
        notes: Facts that a reader of the selection must know.
    """

    indices: Tensor
    pts_seconds: Tensor
    scores: Tensor | None = None
    rank: Tensor | None = None
    looked_at: GridInfo | None = None
    query: Query = field(default_factory=Query)
    chosen_for: Tensor | None = None
    encoder: str | None = None
    captioner: str | None = None
    candidates: tuple[ScoredFrame, ...] = ()
    curves: tuple[ScoredFrame, ...] = ()
    clips: Clips | None = None
    fallback: str | None = None
    frame_captions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def frame_rows(indices: Tensor, pts_seconds: Tensor, **columns: Tensor) -> tuple[ScoredFrame, ...]:
    """Frames as rows of a `Selection`; every argument has ``n`` rows.

    Args:
        indices: Frame indices.
        pts_seconds: Times of the frames.
        columns: Further fields of `ScoredFrame`: the cluster, and the scores.
    """
    columns = {"index": indices, "pts_seconds": pts_seconds, **columns}
    rows = zip(*map(_cells, columns.values()), strict=True)
    return tuple(ScoredFrame(**dict(zip(columns, row, strict=True))) for row in rows)


def _cells(column: Tensor) -> list[Any]:
    """The rows of a column as numbers, or as tuples of numbers."""
    return column.tolist() if column.ndim == 1 else [tuple(row) for row in column.tolist()]


def scored_choice(
    run: Run,
    query: Query,
    looked: Refined,
    candidates: Candidates,
    *,
    indices: Tensor,
    pts_seconds: Tensor,
    scores: Tensor,
    rows: Tensor,
    by_text: Tensor | None,
    **columns: Tensor,
) -> Choice:
    """The choice of a sampler that scores the embedded frames of STACFP's clusters.

    Args:
        run: The call.
        query: The texts that scored.
        looked: The ``n`` embedded frames.
        candidates: STACFP's candidates, all of which are embedded.
        indices: ``(k,)`` chosen frame indices, rising.
        pts_seconds: ``(k,)`` times of the chosen frames.
        scores: ``(k,)`` scores of the chosen frames.
        rows: ``(k,)`` embedded frame that each chosen frame is, or that is nearest to it.
        by_text: ``(n_texts, n)`` scores of the embedded frames by each text; None for one text.
        columns: ``(n,)`` columns of `frame_rows` for the embedded frames.
    """
    columns |= {} if by_text is None else {"by_text": by_text.T}
    curves = frame_rows(looked.frames.indices, looked.frames.pts_seconds, **columns)
    is_candidate = set(candidates.indices.tolist())
    return Choice(
        indices=indices,
        pts_seconds=pts_seconds,
        scores=scores,
        looked_at=looked.looked_at,
        query=query,
        chosen_for=None if by_text is None else by_text[:, rows].argmax(0),
        encoder=run.encoder.name,
        candidates=tuple(frame for frame in curves if frame.index in is_candidate),
        curves=curves,
        notes=looked.notes,
    )
