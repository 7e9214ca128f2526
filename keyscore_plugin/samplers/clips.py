"""Key clips without a Video-LLM: scenes, those that a text is about, and any k frames of them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.segments import score_segments
from keyscore_plugin.captioners.relevance import RelevanceScorer, load_scorer
from keyscore_plugin.errors import ModelError, shown
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.query import Query, cosines_with
from keyscore_plugin.samplers.refine import Refined, coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import Choice, SamplerTemplate, scored_choice
from keyscore_plugin.types import Candidates, Clips
from keyscore_plugin.types.spacing import uniform_indices

_CAPTIONED_FRAMES = 4  # ours: of a scene, which is one shot of at most 10 s
_ALIKE = (
    "no scene of the video scores above the others with the text, so the frames are spread evenly"
)


class ClipsSampler(SamplerTemplate):
    """K-frames (arXiv 2510.13891) with an encoder in place of the trained Video-LLM.

    A call decodes and embeds the frames that ``keyscore`` does, so it takes as long. The video is
    cut into scenes where its colours change. Scenes that score with the text well above the median
    of the video are its clips, the best ones of priority 1. The budget is shared out over the clips
    and spread evenly inside of each, so that an action is shown as a whole. `ClipsConfig.mode`
    decides how many frames go to the rest of the video.

    With `ClipsConfig.scorer` a language model marks a caption of each scene, too (K-frames labels
    its training data so); the captions are the reasons of the clips.

    The frames come from the whole video, not from the grid alone. `Selection.scores` holds the
    cosine of the scored frame nearest to each. If all scenes score alike, the frames are those of
    ``uniform``, and `Selection.fallback` says so.
    """

    name = "clips"
    needs_text = True

    def _choose(self, run: Run) -> Choice:
        run.require_text()
        self._require_captioner(run)
        coarse = coarse_grid(run)
        grid, histograms = run.look_with_histograms(run.as_encoded(coarse.grid))
        candidates = run.propose(grid, histograms)
        scenes = run.scenes(grid, histograms, kind=coarse.grid.kind, clusters=candidates.labels)
        query = run.query(grid, candidates.rows)
        rows, first = run.encode(grid, candidates, query, n_most=coarse.encode.max_encoded)
        looked = refine_grid(run, first, query, n_coarse=len(grid))
        clusters = candidates.labels[rows[looked.rows]]
        scenes, marks = self._marked(run, scenes, grid, query)
        with stage("score"):  # ours: K-frames trains a Video-LLM to name the clips (sec. 3)
            cosines, by_text = cosines_with(looked.frames, query)
            clips = score_segments(
                scenes,
                cosines,
                looked.frames.pts_seconds - run.source.start_pts_seconds,
                model=run.encoder.name,
                marks=marks,
                marks_share=self.config.clips.scorer_share,
            )
        chosen = run.take(clips)  # any k frames, appendix D.2
        choice = _choice(run, query, looked, candidates, clusters, cosines, by_text, chosen)
        if len(clips) == 0:
            return replace(choice, clips=scenes, fallback=_ALIKE)
        return replace(choice, clips=clips)

    @cached_property
    def scorer(self) -> RelevanceScorer | None:
        """The language model that marks captions, loaded at the first use; None if there is none.

        Raises:
            ModelError: Neither this machine nor the hub has the model, or it does not load.
        """
        name = self.config.clips.scorer
        return None if name is None else load_scorer(name, self.device)

    def _require_captioner(self, run: Run) -> None:
        """Refuse a scorer of captions without a captioner, before anything is decoded."""
        if self.config.clips.scorer is not None and run.get_captioner() is None:
            raise ModelError(
                f"clips.scorer {shown(self.config.clips.scorer)} marks captions of the scenes, and "
                "there is no captioner; name one (captioner='labels' needs no download)"
            )

    def _marked(
        self, run: Run, scenes: Clips, grid: ThumbnailStore, query: Query
    ) -> tuple[Clips, Tensor | None]:
        """The scenes with a caption as their reason, and ``(m,)`` marks of the captions.

        Without a scorer the scenes stay as they are, and there are no marks.
        """
        scorer, captioner = self.scorer, run.get_captioner()
        if scorer is None or captioner is None:
            return scenes, None
        start_pts = run.source.start_pts_seconds
        with stage("caption"):
            captions = [
                captioner.caption(grid[rows].since(start_pts)).text
                for rows in rows_of(scenes, grid.pts_seconds - start_pts)
            ]
        with stage("score"):
            return replace(scenes, reasons=tuple(captions)), scorer.score(query.text, captions)


def rows_of(scenes: Clips, times: Tensor, *, n_frames: int | None = None) -> Iterator[Tensor]:
    """For each scene some of its rows among the ``(n,)`` times, evenly; at least one.

    Args:
        scenes: Scenes, or other stretches of the video.
        times: ``(n,)`` times of the frames, rising.
        n_frames: Most rows of a scene; None gives as many as a captioner sees of a scene.
    """
    for start, end in zip(scenes.starts, scenes.ends, strict=True):
        bounds = torch.tensor([start, end], dtype=torch.float64)
        first, stop = torch.searchsorted(times, bounds).tolist()
        first = min(first, len(times) - 1)
        yield first + uniform_indices(
            times[first : max(stop, first + 1)], n_frames or _CAPTIONED_FRAMES
        )


def _choice(
    run: Run,
    query: Query,
    looked: Refined,
    candidates: Candidates,
    clusters: Tensor,
    cosines: Tensor,
    by_text: Tensor | None,
    chosen: Tensor,
) -> Choice:
    pts_seconds = run.source.pts_seconds(chosen)
    rows = _nearest(looked.frames.pts_seconds, pts_seconds)
    return scored_choice(
        run,
        query,
        looked,
        candidates,
        indices=chosen,
        pts_seconds=pts_seconds,
        scores=cosines[rows],
        rows=rows,
        by_text=by_text,
        cluster=clusters,
        semantic=cosines,
        total=cosines,
    )


def _nearest(times: Tensor, moments: Tensor) -> Tensor:
    """``(k,)`` rows of the ``(n,)`` rising times that are nearest to ``(k,)`` moments."""
    after = torch.searchsorted(times, moments).clamp(max=len(times) - 1)
    before = (after - 1).clamp(min=0)
    return torch.where(times[after] - moments < moments - times[before], after, before)
