"""The pipeline of the paper on one screen: STACFP proposes, KeyScore scores, the best are kept."""

from torch import Tensor

from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.samplers.encoding import encode_candidates_first, side_to_encode
from keyscore_plugin.samplers.look import look_at_colours
from keyscore_plugin.samplers.query import notes_on_texts, resolve_query, score_by_all
from keyscore_plugin.samplers.refine import coarse_grid, refine_grid
from keyscore_plugin.samplers.request import SelectionRequest, Stopwatch
from keyscore_plugin.samplers.template import Choice, TextSampler
from keyscore_plugin.types import Embeddings, FrameScores, ScoredFrame
from keyscore_plugin.video.source import VideoSource


class KeyScoreSampler(TextSampler):
    """Figure 2 of the paper: frame proposals, caption, embeddings, KeyScore, selection."""

    name = "keyscore"
    ranks = True

    def _choose(self, source: VideoSource, request: SelectionRequest, clock: Stopwatch) -> Choice:
        config = self.config
        encoder = self._ready_encoder(request, clock)
        first = coarse_grid(config, source)
        grid, histograms = look_at_colours(  # Algorithm 1, lines 1-3
            source,
            first.grid,
            at_least=request.at_least,
            short_side=side_to_encode(config.grid, encoder),
            bins=config.proposal.bins,
            clock=clock,
            device=self.tensor_device,
        )
        with clock.stage("propose"):  # Algorithm 1, lines 4-12
            candidates = propose_features(
                histograms, grid.indices, grid.pts_seconds, config.proposal
            )
        with clock.stage("caption"):
            guide = resolve_query(
                request,
                config.guide,
                self.captioner,
                lambda: grid[candidates.rows].since(source.start_pts_seconds),
            )
        with clock.stage("encode"):
            texts = guide.embed(encoder)
            n_encoded = max(first.encode.max_encoded, request.at_least)
            rows, embedded = encode_candidates_first(
                grid, candidates, texts, encoder, n_encoded=n_encoded
            )
        looked = refine_grid(  # ours: a second look, for the grid "refine" alone
            source, embedded, texts, config, n_first=len(grid), encoder=encoder, clock=clock
        )
        frames, clusters = looked.frames, candidates.labels[rows[looked.rows]]
        with clock.stage("score"):  # eq. 1-4, in float64, which not every encoder's device has
            scores = score_by_all(frames.to(self.tensor_device), texts, config.score)
        with clock.stage("select"):  # sec. 3: a threshold; the budget and its coverage: ours
            chosen = select(
                scores,
                frames.pts_seconds,
                num_frames=request.num_frames,
                threshold=request.threshold,
                duration_seconds=source.duration_seconds,
                clusters=clusters,
                config=config.select,
            ).cpu()
        curves = scored_frames(frames, scores, clusters)
        is_candidate = set(candidates.indices.tolist())
        return Choice(
            indices=frames.indices[chosen],
            pts_seconds=frames.pts_seconds[chosen],
            scores=scores.total.cpu()[chosen],
            looked_at=looked.looked_at,
            caption=guide.caption,
            question=guide.question,
            encoder=encoder.name,
            candidates=tuple(frame for frame in curves if frame.index in is_candidate),
            curves=curves,
            notes=notes_on_texts(texts) + looked.notes,
        )


def scored_frames(
    frames: Embeddings, scores: FrameScores, clusters: Tensor
) -> tuple[ScoredFrame, ...]:
    """The scored frames as rows of a `Selection`.

    Args:
        frames: ``(n, d)`` embeddings with indices and times.
        scores: ``(n,)`` scores.
        clusters: ``(n,)`` STACFP cluster of each frame.
    """
    columns = (
        frames.indices,
        frames.pts_seconds,
        clusters,
        scores.semantic,
        scores.temporal,
        scores.drop,
        scores.total,
    )
    return tuple(ScoredFrame(*row) for row in zip(*(c.tolist() for c in columns), strict=True))
