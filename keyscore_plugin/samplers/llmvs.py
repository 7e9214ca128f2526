"""LLMVS: the frames that matter when nobody asks anything, through captions and a language model.

Published as "Video Summarization with Large Language Models" (CVPR 2025, arXiv 2504.11199), which
scores frames for a summary. Choosing k frames by these scores is ours, and so is the form without a
trained head: no head is published.
"""

from functools import cached_property

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.captioners.frame_captions import FrameDescriber
from keyscore_plugin.captioners.registry import load_frame_captioner
from keyscore_plugin.errors import ModelError
from keyscore_plugin.samplers.choice import Choice, frame_rows
from keyscore_plugin.samplers.importance import ImportanceScorer, caption_grid
from keyscore_plugin.samplers.refine import coarse_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types import GridInfo


class LlmvsSampler(SamplerTemplate):
    """Frames by their importance in the video; no text is needed, and none is read.

    The captioner describes every frame of the grid in one sentence. A language model,
    `LlmvsConfig.model`, reads each caption among its neighbours. A trained head,
    `LlmvsConfig.head`, turns its hidden states into scores in the context of the whole video;
    without a head the scores are the expected digits that the language model gives, and a note in
    the selection says so. The budget is chosen by score and by coverage, as in ``keyscore``.

    `Selection.curves` holds the importance of every frame of the grid, and
    `Selection.frame_captions` the captions of the chosen ones.

    Example::

        config = {"llmvs": {"model": "Qwen/Qwen3-4B-Instruct-2507"}}
        sampler = get_sampler("llmvs", captioner="llava-hf/llava-1.5-7b-hf", config=config)
        sampler("video.mp4", num_frames=8).frame_captions
    """

    name = "llmvs"
    ranks = True
    reads_captions = True
    keeps_gaps = True
    captioner_loader = staticmethod(load_frame_captioner)  # also of one that reads pictures alone

    @cached_property
    def scorer(self) -> ImportanceScorer:
        """The language model and the head, loaded at the first use.

        Raises:
            ModelError: No language model is named, or one of the two does not load.
        """
        return ImportanceScorer.load(self.config.llmvs, self.device)

    @cached_property
    def describer(self) -> FrameDescriber:
        """Return the function that describes frames outside of a call, as evaluations need it.

        Raises:
            ModelError: There is no captioner.
        """
        if self.captioner is None:
            raise ModelError(
                "llmvs describes frames with a captioner, and none was given; name one"
            )
        return FrameDescriber(self.captioner, self._captioner_name)

    def _choose(self, run: Run) -> Choice:
        with stage("score"):
            scorer = self.scorer  # loaded before anything is decoded
        grid = coarse_grid(run).grid
        captions = caption_grid(run, grid)
        with stage("score"):
            importance = scorer.score(captions)
        with stage("select"):
            chosen = select(
                importance,
                importance.pts_seconds,
                num_frames=run.request.num_frames,
                threshold=run.request.threshold,
                duration_seconds=run.source.duration_seconds,
                span=run.span,
                config=self.config.select,
            )
        times, scores = importance.pts_seconds, importance.scores
        return Choice(
            indices=importance.indices[chosen],
            pts_seconds=times[chosen],
            scores=scores[chosen],
            looked_at=GridInfo(grid.kind, len(importance)),
            curves=frame_rows(importance.indices, times, total=scores),
            captioner=captions.model,
            frame_captions=tuple(captions.texts[row] for row in chosen.tolist()),
            notes=scorer.notes(captions, importance),
        )
