"""K-frames: a Video-LLM names the clips that a question needs, and any k frames are taken of them.

The paper (arXiv 2510.13891) publishes neither its prompt, its data nor its weights. Its steps are
here: uniform frames with their times, clips with a priority and a reason, frames from the clips.
The prompt, the syntax of the answer, the borders and the fallback are ours.
"""

from dataclasses import replace

import torch

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.snapping import snap
from keyscore_plugin.captioners.clip_text import parse_clips
from keyscore_plugin.captioners.judge import ClipQuestion, Judge, require_judge
from keyscore_plugin.config import Guide
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.clips import ClipsSampler
from keyscore_plugin.samplers.grid import join_frames
from keyscore_plugin.samplers.query import Query, SelectionRequest
from keyscore_plugin.samplers.refine import coarse_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import Caption, ClipAnswer, Clips, Frames, GridInfo, one_text
from keyscore_plugin.types.spacing import uniform_indices


class KFramesSampler(ClipsSampler):
    """K-frames: clips that a Video-LLM names for the question, and any k frames of them.

    The captioner is the Video-LLM. It sees `JudgeConfig.num_frames` even frames, each after its
    time, and answers with clips, priorities and reasons; the reasons are for people and go no
    further than `Selection.clips`. Borders that are closer to a cut than the model can see move
    there. An answer without a usable clip is no error: the sampler ``clips`` chooses, and
    `Selection.fallback` says why.

    Example::

        sampler = get_sampler("kframes", captioner="Qwen/Qwen2.5-VL-3B-Instruct")
        selection = sampler("video.mp4", num_frames=8, question="Why does the dog jump?")
        selection.clips.reasons, selection.fallback
    """

    name = "kframes"
    asks_judge = True

    def _choose(self, run: Run) -> Choice:
        query = _query(run.request, self.config.guide)
        with stage("caption"):  # the stage of what a Video-LLM writes
            judge = require_judge(run.get_captioner(), asker=self.name)
        frames = self._frames_to_judge(run)
        text, answer = self._ask(run, judge, query, frames)
        if answer.problem is not None:
            return self._chosen_by_clips(
                run,
                f"{judge.name} named no clip that can be used ({answer.problem}), it answered "
                f"{shown(text)}",
                judge=judge.name,
            )
        predicted = answer.to_clips(
            start_seconds=run.start_seconds,
            duration_seconds=run.source.duration_seconds,
            model=judge.name,
        )
        scenes, n_grid = self._scenes(run)
        with stage("select"):  # ours: the judge sees nothing between two of its frames
            spacing = run.source.duration_seconds / len(frames)
            clips = snap(predicted, scenes, within_seconds=spacing)
        indices = run.take(clips)  # any k frames, appendix D.2
        return Choice(
            indices=indices,
            pts_seconds=run.source.pts_seconds(indices),
            looked_at=GridInfo(self.config.grid.kind, n_first=n_grid + len(frames)),
            query=query,
            captioner=judge.name,
            clips=clips,
            notes=answer.notes,
        )

    def _chosen_by_clips(self, run: Run, reason: str, *, judge: str) -> Choice:
        """What the sampler ``clips`` chooses, with the reason why it does."""
        choice = super()._choose(run)
        reasons = [f"{reason}; the sampler clips chose instead", choice.fallback]
        return replace(choice, captioner=judge, fallback="; ".join(filter(None, reasons)))

    def _frames_to_judge(self, run: Run) -> Frames:
        """Even frames of the video, or of the part of it that is chosen from."""
        judge, source = self.config.judge, run.source
        indices = uniform_indices(
            source.pts_seconds(), judge.num_frames, duration_seconds=source.duration_seconds
        )
        with run.decode(
            indices, short_side=judge.short_side, device=torch.device("cpu")
        ) as batches:
            return join_frames(list(batches))

    def _ask(self, run: Run, judge: Judge, query: Query, frames: Frames) -> tuple[str, ClipAnswer]:
        """What the judge answers, with times from the start of the part, and how it is read."""
        source = run.source
        texts = (query.caption.text if query.caption else None, query.question)
        question = ClipQuestion(
            frames.since(float(source.pts_seconds([0]))),
            "\n".join(text for text in texts if text is not None),
            source.duration_seconds,
        )
        with stage("caption"):
            text = judge.judge(question, max_new_tokens=self.config.judge.max_new_tokens)
        return text, parse_clips(text, source.duration_seconds)

    def _scenes(self, run: Run) -> tuple[Clips, int]:
        """The scenes of the video, however long they are, and the number of frames looked at."""
        longest = max(self.config.clips.max_seconds, run.source.duration_seconds)
        undivided = replace(self.config, clips=replace(self.config.clips, max_seconds=longest))
        # The same clips for every budget, which must not make the grid denser.
        run = replace(run, config=undivided, request=replace(run.request, num_frames=None))
        grid = coarse_grid(run).grid
        looked_at, histograms = run.histograms(grid)
        return run.scenes(looked_at, histograms, kind=grid.kind), len(looked_at)


def _query(request: SelectionRequest, guide: Guide) -> Query:
    """The texts that the judge is asked with: they are given, never written by a captioner.

    Raises:
        InputError: The text that the guide wants is missing.
    """
    wants_caption, wants_question = request.texts(guide)
    if wants_caption and not request.captions:
        missing = "text" if guide == "given" else "caption"
        raise InputError(
            f"kframes asks a Video-LLM which clips a text needs, and no {missing} was given; give "
            "a question, or a caption that describes the frames you want"
        )
    return Query(
        caption=Caption("\n".join(request.captions), "given") if wants_caption else None,
        question=one_text(request.questions) if wants_question else None,
    )
