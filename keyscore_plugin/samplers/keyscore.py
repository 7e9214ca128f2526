"""The pipeline of the paper on one screen: STACFP proposes, KeyScore scores, the best are kept."""

from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.samplers.encoding import encode_candidates_first
from keyscore_plugin.samplers.query import score_texts
from keyscore_plugin.samplers.refine import coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import Choice, SamplerTemplate, frame_rows
from keyscore_plugin.types import Embeddings, FrameScores, ScoredFrame


class KeyScoreSampler(SamplerTemplate):
    """The paper's sampler (Figure 2): proposals, caption, embeddings, KeyScore, selection.

    A call decodes a grid of thumbnails, 2 per second. STACFP clusters them by colour and time and
    proposes one candidate per cluster (sec. 3.1, Algorithm 1). The candidates, and further frames
    of the clusters that score, are embedded and scored with the text (sec. 3.2, eq. 1-4): the
    caption or the question of the call, or a caption that the captioner writes from the candidates.
    Exactly the budget is chosen, by score and by coverage of the video; `SelectConfig.policy`
    ``"top"`` is the paper's plain ranking. Memory does not grow with the video's resolution.

    The `Selection` of a call holds the candidates, the scores of every embedded frame and the time
    of each stage. The same video, text, settings and device give the same frames, bit for bit.

    Example::

        sampler = KeyScoreSampler(encoder="conse")
        selection = sampler("video.mp4", num_frames=8, caption="a dog is petted")
        selection.indices, selection.pts_seconds, selection.scores  # in time order
    """

    name = "keyscore"
    needs_text = True
    ranks = True

    def _choose(self, run: Run) -> Choice:
        config, request, source = self.config, run.request, run.source
        run.require_text()
        coarse = coarse_grid(run)
        grid, histograms = run.look_with_histograms(  # Algorithm 1, lines 1-3
            run.as_encoded(coarse.grid)
        )
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
        curves = _scored_rows(frames, scores, clusters)
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


def _scored_rows(
    frames: Embeddings, scores: FrameScores, clusters: Tensor
) -> tuple[ScoredFrame, ...]:
    return frame_rows(
        frames.indices,
        frames.pts_seconds,
        cluster=clusters,
        semantic=scores.semantic,
        temporal=scores.temporal,
        drop=scores.drop,
        total=scores.total,
    )
