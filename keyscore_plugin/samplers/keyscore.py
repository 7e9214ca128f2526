"""The pipeline of the paper on one screen: STACFP proposes, KeyScore scores, the best are kept."""

from dataclasses import replace
from functools import cached_property

from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.repeats import discount_repeats
from keyscore_plugin.config import SelectConfig
from keyscore_plugin.samplers.by_importance import choose_by_importance
from keyscore_plugin.samplers.choice import Choice, scored_choice
from keyscore_plugin.samplers.importance import ImportanceScorer
from keyscore_plugin.samplers.query import Query, score_texts
from keyscore_plugin.samplers.refine import Refined, coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.samplers.uniform import even_choice
from keyscore_plugin.types import Candidates, FrameScores, one_text

_WHOLE = (
    "the question is about the video as a whole, so the frames are spread evenly; "
    "with the setting route=false the question scores them instead"
)
# Ours, of the power on scores (evals/needle/README.md): several texts share one budget.
_SEVERAL_TEXTS = 2 / 3


class KeyScoreSampler(SamplerTemplate):
    """The paper's sampler (Figure 2): proposals, caption, embeddings, KeyScore, selection.

    A call decodes a grid of thumbnails, 2 per second. STACFP clusters them by colour and time and
    proposes one candidate per cluster (sec. 3.1, Algorithm 1). The candidates, and further frames
    of the clusters that score, are embedded and scored with the text (sec. 3.2, eq. 1-4): the
    caption or the question of the call, or a caption that the captioner writes from the candidates.
    Exactly the budget is chosen, by score and by coverage of the video; `SelectConfig.policy`
    ``"top"`` is the paper's plain ranking. Memory does not grow with the video's resolution.

    A question about the video as a whole ("How does it end?") gets even frames, unless
    `SamplerConfig.route` is off.

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
    keeps_gaps = True

    def _fill(self, run: Run) -> None:
        run.fill(run.as_encoded(coarse_grid(run).grid))

    @cached_property
    def scorer(self) -> ImportanceScorer:
        """The model that scores frames for the guide ``"importance"``, loaded at the first use.

        Raises:
            ModelError: No language model is named, or it does not load.
        """
        return ImportanceScorer.load(self.config.llmvs, self.device)

    def _choose(self, run: Run) -> Choice:
        if self.config.guide == "importance":
            return choose_by_importance(run, self.scorer)
        run.require_text()
        if run.asks_about_the_whole:  # ours
            query = Query(question=one_text(run.request.questions))
            return replace(even_choice(run), query=query, notes=(_WHOLE,))
        coarse = coarse_grid(run)
        grid, histograms = run.look_with_histograms(run.as_encoded(coarse.grid))  # lines 1-3
        candidates = run.propose(grid, histograms)  # Algorithm 1, lines 4-12
        query = run.query(grid, candidates.rows)
        rows, first = run.encode(
            grid,
            histograms,
            candidates,
            query,
            n_most=coarse.encode.max_encoded,
            needed=run.rows_in_reach(grid),
        )
        returning = _returning(run, histograms)
        # Ours: the grid "refine" alone looks a second time.
        looked = refine_grid(run, grid, rows, first, query, returning=returning)
        clusters = candidates.labels[looked.rows]
        with stage("score"):  # eq. 1-4, in float64, which not every encoder's device has
            frames = looked.frames.to(run.tensor_device)
            scores, by_text = score_texts(frames, query, self.config.score)
        with stage("select"):  # sec. 3: a threshold; the budget and its coverage: ours
            config = config_for_texts(self.config.select, len(query.embeddings))
            worth = _worth(run, scores.total, looked.rows, returning)
            chosen, places = run.select_and_rank(worth, frames.pts_seconds, config)
        choice = _choice(run, query, looked, candidates, clusters, scores, by_text, chosen)
        return replace(choice, rank=places)


def _returning(run: Run, histograms: Tensor) -> Tensor | None:
    """The histograms, if returns to a look count less; None by a threshold and by ``"top"``."""
    by_coverage = run.request.num_frames is not None and run.config.select.policy == "coverage"
    return histograms if by_coverage else None


def _worth(run: Run, scores: Tensor, rows: Tensor, returning: Tensor | None) -> Tensor:
    """The scores that the selection goes by."""
    if returning is None:
        return scores
    return discount_repeats(scores, rows, returning, num_frames=run.request.at_least)


def config_for_texts(config: SelectConfig, n_texts: int) -> SelectConfig:
    """The settings of the selection; with several texts, weaker moments of each count for more."""
    if n_texts == 1:
        return config
    return replace(config, sharpness=_SEVERAL_TEXTS * config.sharpness)


def _choice(
    run: Run,
    query: Query,
    looked: Refined,
    candidates: Candidates,
    clusters: Tensor,
    scores: FrameScores,
    by_text: Tensor | None,
    chosen: Tensor,
) -> Choice:
    frames = looked.frames
    return scored_choice(
        run,
        query,
        looked,
        candidates,
        indices=frames.indices[chosen],
        pts_seconds=frames.pts_seconds[chosen],
        scores=scores.total.cpu()[chosen],
        rows=chosen,
        by_text=None if by_text is None else by_text.cpu(),
        cluster=clusters,
        semantic=scores.semantic,
        temporal=scores.temporal,
        drop=scores.drop,
        total=scores.total,
    )
