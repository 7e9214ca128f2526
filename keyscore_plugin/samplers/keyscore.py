"""The pipeline of the paper on one screen: STACFP proposes, KeyScore scores, the best are kept."""

from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.samplers.encoding import encode_candidates_first
from keyscore_plugin.samplers.query import score_texts
from keyscore_plugin.samplers.refine import coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import Choice, SamplerTemplate
from keyscore_plugin.types import Embeddings, FrameScores, ScoredFrame


class KeyScoreSampler(SamplerTemplate):
    """The paper's sampler (Figure 2): proposals, caption, embeddings, KeyScore, selection.

    STACFP (sec. 3.1, Algorithm 1) clusters the color histograms of a grid of frames and proposes
    candidates. The encoder embeds these, and frames of the clusters that score, up to
    `EncodeConfig.max_encoded`. KeyScore (sec. 3.2, eq. 1-4) ranks them by the text: semantic
    similarity, temporal relevance and drop impact. `select` keeps the budget of frames.
    The text is the caption or the question of the call; without one the captioner writes a caption.
    """

    name = "keyscore"
    needs_text = True
    ranks = True

    def _choose(self, run: Run) -> Choice:
        config, request, source = self.config, run.request, run.source
        run.require_text()
        coarse = coarse_grid(run)
        grid, histograms = run.look_with_histograms(run.as_encoded(coarse.grid))  # Alg. 1, l. 1-3
        with stage("propose"):  # Algorithm 1, lines 4-12
            candidates = propose_features(
                histograms, grid.indices, grid.pts_seconds, config.proposal
            )
        query = run.query(grid, candidates.rows)
        with stage("encode"):
            n_encoded = max(coarse.encode.max_encoded, request.at_least)
            rows, embedded = encode_candidates_first(
                grid, candidates, query.embeddings, run.encoder, n_encoded=n_encoded
            )
        refined = refine_grid(run, embedded, query, n_coarse=len(grid))  # ours: grid "refine" alone
        frames, clusters = refined.frames, candidates.labels[rows[refined.rows]]
        with stage("score"):  # eq. 1-4, in float64, which not every encoder's device has
            scores = score_texts(frames.to(run.tensor_device), query.embeddings, config.score)
        with stage("select"):  # sec. 3: a threshold; the budget and its coverage: ours
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
            looked_at=refined.looked_at,
            query=query,
            encoder=run.encoder.name,
            candidates=tuple(frame for frame in curves if frame.index in is_candidate),
            curves=curves,
            notes=refined.notes,
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
