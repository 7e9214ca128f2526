"""The samplers that compare the grid with a text: everything but the rule that chooses."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.numeric import require_finite
from keyscore_plugin.samplers.choice import Choice, frame_rows
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.query import Query, SelectionRequest, cosines_with
from keyscore_plugin.samplers.refine import coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types import Embeddings, GridInfo


@dataclass(frozen=True, slots=True, eq=False)
class QueryGrid:
    """The grid compared with the query: what a rule chooses from.

    Everything is on the CPU: the rules are short and sequential, and alike on all devices.

    Attributes:
        cosines: ``(n,)`` cosine of each frame with the text, finite (eq. 2); several are joined.
        by_text: ``(n_texts, n)`` scores by each text, 0 to 1; None for one text.
        vectors: ``(n, d)`` unit frame embeddings.
        query: ``(d,)`` unit embedding of the text; the mean of several texts.
        pts_seconds: ``(n,)`` float64 times, rising.
        duration_seconds: Duration of the video.
    """

    cosines: Tensor
    by_text: Tensor | None
    vectors: Tensor
    query: Tensor
    pts_seconds: Tensor
    duration_seconds: float

    @classmethod
    def of(cls, frames: Embeddings, query: Query, *, duration_seconds: float) -> "QueryGrid":
        """Compare every frame with the texts."""
        cosines, by_text = cosines_with(frames, query)
        require_finite(cosines, "scores")
        mean_text = torch.stack([text.vector for text in query.embeddings]).mean(0)
        return cls(
            cosines,
            by_text,
            frames.vectors.cpu(),
            torch.nn.functional.normalize(mean_text, dim=0).cpu(),
            frames.pts_seconds,
            duration_seconds,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """The frames that a rule chose.

    Attributes:
        rows: ``(k,)`` int64 rows of the grid, rising and unique.
        notes: Facts that a reader of the selection must know.
    """

    rows: Tensor
    notes: tuple[str, ...] = ()


class TextSampler(SamplerTemplate):
    """Base of the samplers that embed every frame of the grid: only their rule, `_pick`, differs.

    A caption, if one has to be written, describes even frames of the grid: there are no proposals
    here.
    """

    needs_text = True

    def _fill(self, run: Run) -> None:
        grid, _ = run.look_and_encode(coarse_grid(run))
        with stage("encode"):
            run.lines(grid).fill()

    def _choose(self, run: Run) -> Choice:
        run.require_text()
        grid, coarse = run.look_and_encode(coarse_grid(run))
        query = run.query(grid)
        refined = refine_grid(run, coarse, query, n_coarse=len(grid))
        frames = refined.frames
        with stage("score"):
            scored = QueryGrid.of(frames, query, duration_seconds=run.source.duration_seconds)
        with stage("select"):
            picked = self._pick(scored, run.request)
        return cosine_choice(
            run,
            query,
            picked,
            scores=scored.cosines,
            by_text=scored.by_text,
            frames=frames,
            embedded=torch.arange(len(frames)),
            looked_at=refined.looked_at,
            notes=refined.notes,
        )

    @abstractmethod
    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        """Choose rows of the grid."""


def cosine_choice(
    run: Run,
    query: Query,
    picked: Picked,
    *,
    scores: Tensor,
    by_text: Tensor | None = None,
    frames: ThumbnailStore | Embeddings,
    embedded: Tensor,
    looked_at: GridInfo,
    notes: tuple[str, ...] = (),
) -> Choice:
    """The answer of a sampler whose scores are cosines.

    Args:
        run: The call.
        query: The texts that scored.
        picked: The chosen rows.
        scores: ``(n,)`` score of every frame.
        by_text: ``(n_texts, n)`` scores by each text; None if there is one, or they were averaged.
        frames: The ``n`` frames that could be chosen.
        embedded: ``(m,)`` rows that were embedded, rising.
        looked_at: The frames that were decoded.
        notes: Notes on the grid, before those of the rule.
    """
    shown = scores[embedded]
    by_each = {} if by_text is None else {"by_text": by_text[:, embedded].T}
    return Choice(
        indices=frames.indices[picked.rows],
        pts_seconds=frames.pts_seconds[picked.rows],
        scores=scores[picked.rows],
        looked_at=looked_at,
        query=query,
        chosen_for=None if by_text is None else by_text[:, picked.rows].argmax(0),
        encoder=run.encoder.name,
        curves=frame_rows(
            frames.indices[embedded],
            frames.pts_seconds[embedded],
            semantic=shown,
            total=shown,
            **by_each,
        ),
        notes=notes + picked.notes,
    )
