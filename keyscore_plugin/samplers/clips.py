"""Key clips without a Video-LLM: scenes, those that a text is about, and any k frames of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.segments import score_segments
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.relevance import RelevanceScorer, load_scorer
from keyscore_plugin.errors import ModelError, shown
from keyscore_plugin.samplers.choice import Choice, scored_choice
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.query import Query, cosines_with
from keyscore_plugin.samplers.refine import Refined, coarse_grid, refine_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types import Candidates, Clips, Frames
from keyscore_plugin.types.spacing import uniform_indices

_CAPTIONED_FRAMES = 4  # ours: of a scene, which is one shot of at most 10 s
_CAPTION_BATCH = 8  # ours: stretches of a generation; 32 frames, as many as of a caption of a video
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

    def _fill(self, run: Run) -> None:
        run.fill(run.as_encoded(coarse_grid(run).grid))

    def _choose(self, run: Run) -> Choice:
        run.require_text()
        self._require_captioner(run)
        coarse = coarse_grid(run)
        grid, histograms = run.look_with_histograms(run.as_encoded(coarse.grid))
        candidates = run.propose(grid, histograms)
        scenes = run.scenes(grid, histograms, kind=coarse.grid.kind, clusters=candidates.labels)
        query = run.query(grid, candidates.rows)
        rows, first = run.encode(
            grid, histograms, candidates, query, n_most=coarse.encode.max_encoded
        )
        looked = refine_grid(run, grid, rows, first, query)
        clusters = candidates.labels[looked.rows]
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
        captioner = None if marks is None else run.get_captioner()
        choice = replace(choice, captioner=None if captioner is None else captioner.name)
        if len(clips) == 0:
            return replace(choice, clips=scenes, fallback=_ALIKE)
        return replace(choice, clips=clips)

    @cached_property
    def scorer(self) -> RelevanceScorer | None:
        """The language model that marks captions, loaded at the first use; None without a scorer.

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
                "there is no captioner; name one ('labels' needs no download)"
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
        with stage("caption"):
            captioned = captioned_stretches(scenes, captioner, run, grid)
        with stage("score"):
            return captioned, scorer.score(query.text, captioned.reasons)


def captioned_stretches(
    stretches: Clips,
    captioner: Captioner,
    run: Run,
    grid: ThumbnailStore,
    *,
    n_frames: int = _CAPTIONED_FRAMES,
) -> Clips:
    """Describe stretches of a video; the captions are their reasons.

    Args:
        stretches: Scenes, or other stretches of the video.
        captioner: Captioner. One that has a ``caption_batch`` describes several stretches at once.
        run: The call.
        grid: Frames that were looked at.
        n_frames: Frames of a stretch that the captioner sees.

    Raises:
        ModelError: The captioner wrote nothing about a stretch.
    """
    start_pts = run.source.start_pts_seconds
    rows = list(_rows_of(stretches, grid.pts_seconds - start_pts, n_frames=n_frames))
    captions: list[str] = []
    for start in range(0, len(rows), _CAPTION_BATCH):
        shown = [grid[some].since(start_pts) for some in rows[start : start + _CAPTION_BATCH]]
        captions += _captions(captioner, shown)
    return replace(stretches, reasons=tuple(captions))


def _captions(captioner: Captioner, videos: Sequence[Frames]) -> list[str]:
    describe_all = getattr(captioner, "caption_batch", None)
    if describe_all is not None:
        return [caption.text for caption in describe_all(videos)]
    return [captioner.caption(frames).text for frames in videos]


def _rows_of(stretches: Clips, times: Tensor, *, n_frames: int) -> Iterator[Tensor]:
    """For each stretch at most ``n_frames`` even rows among ``(n,)`` rising times, at least one."""
    for start, end in zip(stretches.starts, stretches.ends, strict=True):
        bounds = torch.tensor([start, end], dtype=torch.float64)
        first, stop = torch.searchsorted(times, bounds).tolist()
        first = min(first, len(times) - 1)
        yield first + uniform_indices(times[first : max(stop, first + 1)], n_frames)


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
