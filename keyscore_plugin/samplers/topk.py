"""Text cosine alone: the k grid frames nearest to the text; what most released selectors do."""

from dataclasses import replace

from keyscore_plugin.samplers.call import DEFAULT_NUM_FRAMES, Request, StageClock
from keyscore_plugin.samplers.guide import guide_texts, mean_cosine, notes_on_cuts
from keyscore_plugin.samplers.look import look
from keyscore_plugin.samplers.template import Choice, SamplerTemplate
from keyscore_plugin.selection import select
from keyscore_plugin.types import ScoredFrame
from keyscore_plugin.video import VideoSource, uniform_indices


class TopKSampler(SamplerTemplate):
    """Eq. 2 as the only score and plain ranking as the only rule.

    A threshold is held against the cosine itself. A caption, where one has to be made, describes
    `DEFAULT_NUM_FRAMES` even frames of the grid: there are no proposals here.
    """

    name = "topk"
    needs_text = True
    ranks = True

    def _choose(self, source: VideoSource, request: Request, clock: StageClock) -> Choice:
        config = self.config
        with clock.stage("encode"):
            encoder = self.encoder
        grid = look(
            source,
            config.grid,
            at_least=request.at_least,
            short_side=max(config.grid.short_side, encoder.short_side),
            clock=clock,
        )
        n_grid = len(grid)
        n_encoded = max(config.encode.max_encoded, request.at_least)
        grid = grid[uniform_indices(grid.pts_seconds, n_encoded)]
        with clock.stage("caption"):
            guide = guide_texts(
                request,
                config.guide,
                self.captioner,
                lambda: grid[uniform_indices(grid.pts_seconds, DEFAULT_NUM_FRAMES)],
            )
        with clock.stage("encode"):
            texts = guide.embed(encoder)
            frames = encoder.encode_frames(grid)
        with clock.stage("score"):
            semantic = mean_cosine(frames, texts)
        with clock.stage("select"):
            chosen = select(
                semantic,
                frames.pts_seconds,
                num_frames=request.num_frames,
                threshold=request.threshold,
                config=replace(config.select, policy="top"),
            ).cpu()
        columns = (frames.indices, frames.pts_seconds, semantic)
        return Choice(
            indices=frames.indices[chosen],
            pts_seconds=frames.pts_seconds[chosen],
            scores=semantic.cpu()[chosen],
            n_grid=n_grid,
            caption=guide.caption,
            question=guide.question,
            encoder=encoder.name,
            curves=tuple(
                ScoredFrame(index, pts_seconds, semantic=cosine, total=cosine)
                for index, pts_seconds, cosine in zip(*(c.tolist() for c in columns), strict=True)
            ),
            notes=notes_on_cuts(texts),
        )
