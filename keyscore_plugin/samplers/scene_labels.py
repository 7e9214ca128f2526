"""Labels of the scenes of a video by models, as K-frames makes its training data (PeakClips)."""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from keyscore_plugin.algorithm.chapters import chapters
from keyscore_plugin.algorithm.segments import (
    frames_of_scenes,
    priorities_of,
    scene_relevance,
    scene_scores,
)
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.relevance import RelevanceScorer
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.clips import ClipsSampler, captioned_stretches
from keyscore_plugin.samplers.query import Query, SelectionRequest, mean_cosine
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import one_memory_error
from keyscore_plugin.types import (
    Clips,
    Embeddings,
    QueryLabels,
    TextEmbedding,
    VideoLabels,
    texts_of,
)
from keyscore_plugin.video.source import VideoInput, open_video

# Ours: frames that the captioner sees; a scene gets as many as in the sampler ``clips``.
_CHAPTER_FRAMES, _VIDEO_FRAMES = 8, 16


class SceneLabeller:
    """Labels videos with scenes, captions of three levels, and what queries need of them.

    The scenes are those of the sampler ``clips``, and so is their relevance to a query: the marks
    of a language model that reads their captions, mixed with the similarity of their frames.
    K-frames asks Gemini 2.5 Pro for the captions and marks of its data set PeakClips. It gives
    neither the threshold of its scenes, nor the rule of its chapters, nor the formula of its
    relevance; all three are ours.

    Args:
        captioner: A `Captioner`, or a name as `keyscore_plugin.load_captioner` takes it.
        scorer: Folder or hub model id of a causal language model.
        encoder: An `Encoder`, or a name as `keyscore_plugin.load_encoder` takes it.
        scorer_share: Share of the marks in the relevance; the rest is the encoder's.
        seed: Seed of STACFP's k-means, which helps to find the borders of scenes.
        decoder: Name of the decoder, as `keyscore_plugin.open_video` takes it.
        device: Name of the device of all models.

    Raises:
        InputError: The share or the seed is out of range, or the device does not exist.
    """

    def __init__(
        self,
        *,
        captioner: str | Captioner,
        scorer: str,
        encoder: str | Encoder = "auto",
        scorer_share: float = 0.5,
        seed: int = 0,
        decoder: str = "auto",
        device: str = "auto",
    ) -> None:
        config = SamplerConfig.of(
            {
                "clips": {"scorer": scorer, "scorer_share": scorer_share},
                "proposal": {"seed": seed},
            }
        )
        self._sampler = ClipsSampler(
            config, encoder=encoder, captioner=captioner, decoder=decoder, device=device
        )

    @property
    def settings(self) -> dict[str, object]:
        """The settings that decide the labels, as plain JSON values."""
        return self._sampler.config.to_dict()

    def load(self) -> dict[str, str]:
        """Load the models; otherwise the first call does.

        Returns:
            The name of each model: ``captioner``, ``scorer`` and ``encoder``.

        Raises:
            ModelError: A model cannot be loaded, or the captioner reads no videos.
            MissingDependencyError: A package that a model needs is not installed.
        """
        captioner, scorer = self._models()
        names = {"captioner": captioner.name, "scorer": scorer.name}
        return {**names, "encoder": self._sampler.encoder.name}

    def __call__(self, video: VideoInput, queries: Sequence[str]) -> VideoLabels:
        """Label one video.

        Args:
            video: Video, as `keyscore_plugin.open_video` takes it.
            queries: Queries, at least one.

        Raises:
            VideoError: The video cannot be read.
            InputError: There are no queries, or one is empty.
            ModelError: The captioner wrote nothing about a scene.
            MemoryEndedError: The memory of the device is too small for this video.
        """
        if not queries:
            raise InputError("there is no query to label the scenes for; give at least one")
        asked = [texts_of(query, "question") for query in queries]  # checks each
        with ExitStack() as stack:
            source = open_video(video, decoder=self._sampler.decoder)
            if source is not video:
                stack.enter_context(source)
            stack.enter_context(one_memory_error("SceneLabeller", source.path))
            return self._label(
                self._sampler.run_on(source, SelectionRequest(questions=asked[0])), queries
            )

    def _label(self, run: Run, queries: Sequence[str]) -> VideoLabels:
        texts = [run.encoder.encode_text(query) for query in queries]
        asked = Query(embeddings=tuple(texts))
        grid, histograms = run.look_with_histograms(run.as_encoded(run.config.grid))
        candidates = run.propose(grid, histograms)
        scenes = run.scenes(grid, histograms, kind=run.config.grid.kind, clusters=candidates.labels)
        n_most = run.config.encode.max_encoded
        _, frames = run.encode(grid, histograms, candidates, asked, n_most=n_most)
        start, end = scenes.starts[0], scenes.ends[-1]
        joined = _joined(scenes, chapters(_scene_vectors(scenes, frames, run)))
        captioner, _ = self._models()
        scenes = captioned_stretches(scenes, captioner, run, grid)
        joined = captioned_stretches(joined, captioner, run, grid, n_frames=_CHAPTER_FRAMES)
        whole = _stretches([start], [end])
        whole = captioned_stretches(whole, captioner, run, grid, n_frames=_VIDEO_FRAMES)
        return VideoLabels(
            duration_seconds=run.source.duration_seconds,
            caption=whole.reasons[0],
            chapters=joined,
            scenes=scenes,
            queries=tuple(
                self._labels(query, text, scenes, frames, run)
                for query, text in zip(queries, texts, strict=True)
            ),
            notes=run.source.notes + asked.notes,
        )

    def _labels(
        self, query: str, text: TextEmbedding, scenes: Clips, frames: Embeddings, run: Run
    ) -> QueryLabels:
        _, scorer = self._models()
        cosines = mean_cosine(frames, [text]).cpu()
        seen = scene_scores(scenes, cosines, frames.pts_seconds - run.source.start_pts_seconds)
        marks = scorer.score(query, scenes.reasons)
        share = run.config.clips.scorer_share
        relevance = scene_relevance(seen, marks=marks, marks_share=share)
        return QueryLabels(
            query=query,
            marks=tuple(marks.tolist()),
            similarities=tuple(seen.tolist()),
            relevance=tuple((1 + 4 * relevance.clamp(0, 1)).tolist()),
            priorities=priorities_of(relevance),
        )

    def _models(self) -> tuple[Captioner, RelevanceScorer]:
        captioner, scorer = self._sampler.captioner, self._sampler.scorer
        assert captioner is not None  # both are arguments
        assert scorer is not None
        return captioner, scorer


def _scene_vectors(scenes: Clips, frames: Embeddings, run: Run) -> Tensor:
    """``(m, d)`` mean embedding of each scene; of the nearest frame if none of it was embedded."""
    times = frames.pts_seconds - run.source.start_pts_seconds
    last = len(frames) - 1
    rows = [
        (min(first, last), max(stop, min(first, last) + 1))
        for first, stop in frames_of_scenes(scenes, times)
    ]
    return torch.stack([frames.vectors[first:stop].mean(0) for first, stop in rows])


def _joined(scenes: Clips, numbers: Sequence[int]) -> Clips:
    """The chapters, from the rising number of each scene's chapter."""
    firsts = [numbers.index(number) for number in range(numbers[-1] + 1)]
    starts = [scenes.starts[first] for first in firsts]
    return _stretches(starts, [*starts[1:], scenes.ends[-1]])


def _stretches(starts: Sequence[float], ends: Sequence[float]) -> Clips:
    return Clips.from_intervals(
        starts, ends, start_seconds=starts[0], end_seconds=ends[-1], origin="segments"
    )
