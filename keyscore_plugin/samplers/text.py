"""What the samplers that compare the grid with a text have in common: all but the rule."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin.algorithm.numeric import require_finite
from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.samplers.encoding import encode_in_blocks, join_embeddings, side_to_encode
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.look import look, read_grid
from keyscore_plugin.samplers.query import Query, mean_cosine, notes_on_texts, resolve_query
from keyscore_plugin.samplers.refine import coarse_grid, refine_grid
from keyscore_plugin.samplers.request import DEFAULT_NUM_FRAMES, SelectionRequest, Stopwatch
from keyscore_plugin.samplers.template import Choice, TextSampler
from keyscore_plugin.types import Embeddings, GridInfo, ScoredFrame, TextEmbedding
from keyscore_plugin.video.source import VideoSource, uniform_indices


def look_and_encode(
    source: VideoSource,
    config: SamplerConfig,
    *,
    at_least: int,
    encoder: Encoder,
    clock: Stopwatch,
) -> tuple[ThumbnailStore, Embeddings]:
    """Embed every frame of a grid of at most `EncodeConfig.max_encoded`, while it is decoded."""
    with read_grid(
        source,
        grid_to_encode(config),
        at_least=at_least,
        short_side=side_to_encode(config.grid, encoder),
        clock=clock,
        device=encoder.device,
    ) as (batches, n_most):
        seen = ThumbnailStore(n_most)
        with clock.stage("encode"):
            blocks = encode_in_blocks(seen.keeping(batches), encoder, n_most=n_most)
            return seen, join_embeddings(blocks)


def grid_to_encode(config: SamplerConfig) -> GridConfig:
    """The grid, thinned evenly to what may be embedded: no more is decoded than is used."""
    n_most = min(config.grid.max_frames, config.encode.max_encoded)
    return replace(config.grid, max_frames=n_most)


@dataclass(frozen=True, slots=True, eq=False)
class QueryGrid:
    """What was seen and the text that guides the choice; nothing is scored yet.

    Attributes:
        frames: ``n`` thumbnails of the grid, thinned evenly to what may be embedded.
        guide: The texts that score, and where they came from.
        texts: The same, embedded.
        encoder: Embeds the frames.
        duration_seconds: Of the video.
    """

    frames: ThumbnailStore
    guide: Query
    texts: list[TextEmbedding]
    encoder: Encoder
    duration_seconds: float

    def choice(
        self,
        rows: Tensor,
        scores: Tensor,
        *,
        frames: ThumbnailStore | Embeddings,
        embedded: Tensor,
        looked_at: GridInfo,
        notes: tuple[str, ...] = (),
    ) -> Choice:
        """What a rule chose, as the sampler's answer.

        Args:
            rows: ``(k,)`` rows of ``frames``, rising.
            scores: ``(n,)`` score of every frame.
            frames: ``n`` frames that could be chosen.
            embedded: ``(m,)`` rows that were embedded, rising.
            looked_at: What was decoded.
            notes: What a reader must know.
        """
        columns = (frames.indices[embedded], frames.pts_seconds[embedded], scores[embedded])
        return Choice(
            indices=frames.indices[rows],
            pts_seconds=frames.pts_seconds[rows],
            scores=scores[rows],
            looked_at=looked_at,
            caption=self.guide.caption,
            question=self.guide.question,
            encoder=self.encoder.name,
            curves=tuple(
                ScoredFrame(index, pts_seconds, semantic=score, total=score)
                for index, pts_seconds, score in zip(*(c.tolist() for c in columns), strict=True)
            ),
            notes=(*notes_on_texts(self.texts), *notes),
        )


class QuerySampler(TextSampler):
    """Base of the rules over a grid: looks at the grid, resolves and embeds the text.

    A caption, where one has to be made, describes `DEFAULT_NUM_FRAMES` even frames of the grid:
    there are no proposals here.
    """

    def _look(self, source: VideoSource, request: SelectionRequest, clock: Stopwatch) -> QueryGrid:
        """Look at what may be embedded."""
        encoder = self._ready_encoder(request, clock)
        seen = look(
            source,
            grid_to_encode(self.config),
            at_least=request.at_least,
            short_side=side_to_encode(self.config.grid, encoder),
            clock=clock,
            device=encoder.device,
        )
        return self._guided(seen, source, request, clock)

    def _look_and_encode(
        self, source: VideoSource, request: SelectionRequest, clock: Stopwatch
    ) -> tuple[QueryGrid, Embeddings]:
        """`_look`, the first of two perhaps; embed each frame while the next ones are decoded."""
        encoder = self._ready_encoder(request, clock)
        config = coarse_grid(self.config, source)
        seen, frames = look_and_encode(
            source, config, at_least=request.at_least, encoder=encoder, clock=clock
        )
        return self._guided(seen, source, request, clock), frames

    def _guided(
        self, seen: ThumbnailStore, source: VideoSource, request: SelectionRequest, clock: Stopwatch
    ) -> QueryGrid:
        """What was seen, with the texts that score it."""
        with clock.stage("caption"):
            guide = resolve_query(
                request,
                self.config.guide,
                self.captioner,
                lambda: seen[uniform_indices(seen.pts_seconds, DEFAULT_NUM_FRAMES)].since(
                    source.start_pts_seconds
                ),
            )
        with clock.stage("encode"):
            texts = guide.embed(self.encoder)
        return QueryGrid(seen, guide, texts, self.encoder, source.duration_seconds)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredGrid:
    """What a rule chooses from, on the CPU: the rules are short, sequential, alike on all devices.

    Attributes:
        cosines: ``(n,)`` of frame and text, finite (eq. 2).
        vectors: ``(n, d)`` unit frame embeddings.
        query: ``(d,)`` unit embedding of the text, of several their mean.
        pts_seconds: ``(n,)`` float64, rising.
        duration_seconds: Of the video.
    """

    cosines: Tensor
    vectors: Tensor
    query: Tensor
    pts_seconds: Tensor
    duration_seconds: float

    @classmethod
    def of(cls, grid: QueryGrid, frames: Embeddings) -> "ScoredGrid":
        """Compare every frame with the text."""
        cosines = mean_cosine(frames, grid.texts).cpu()
        require_finite(cosines, "scores")
        query = torch.stack([text.vector for text in grid.texts]).mean(0)
        return cls(
            cosines,
            frames.vectors.cpu(),
            torch.nn.functional.normalize(query, dim=0).cpu(),
            frames.pts_seconds,
            grid.duration_seconds,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """What a rule chose.

    Attributes:
        rows: ``(k,)`` int64 rows, rising and unique.
        notes: What a reader must know.
    """

    rows: Tensor
    notes: tuple[str, ...] = ()


class CosineSampler(QuerySampler):
    """Base of the samplers that embed every frame they look at: only their rule differs."""

    def _choose(self, source: VideoSource, request: SelectionRequest, clock: Stopwatch) -> Choice:
        grid, first = self._look_and_encode(source, request, clock)
        looked = refine_grid(
            source,
            first,
            grid.texts,
            self.config,
            n_first=len(grid.frames),
            encoder=grid.encoder,
            clock=clock,
        )
        with clock.stage("score"):
            scored = ScoredGrid.of(grid, looked.frames)
        with clock.stage("select"):
            picked = self._pick(scored, request)
        return grid.choice(
            picked.rows,
            scored.cosines,
            frames=looked.frames,
            embedded=torch.arange(len(looked.frames)),
            looked_at=looked.looked_at,
            notes=looked.notes + picked.notes,
        )

    @abstractmethod
    def _pick(self, grid: ScoredGrid, request: SelectionRequest) -> Picked:
        """Choose rows of the grid."""
