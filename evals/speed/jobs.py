"""The jobs that are measured on a whole video; each takes a path and a decoder.

`decode` is the floor: it reads the thumbnails of the 2 fps grid and nothing else. `stacfp`,
`keyscore`, `clips` and `llmvs` are whole calls of the samplers; the last three have models that
cost nothing, so that their cost is everything except the models. All jobs run on the CPU;
`evals.speed.gpu` measures a GPU.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from keyscore_plugin import (
    GridConfig,
    LlmvsConfig,
    Sampler,
    SamplerConfig,
    get_sampler,
    open_video,
)
from keyscore_plugin.hosts import require
from keyscore_plugin.types import (
    Caption,
    Embeddings,
    FrameCaptions,
    Frames,
    Importance,
    Selection,
    TextEmbedding,
)
from keyscore_plugin.video.grid import grid_indices

Report = Mapping[str, float]
Job = Callable[[str, str], Report]

_KEYFRAMES = SamplerConfig(grid=GridConfig(kind="keyframes"))
_REFINE = SamplerConfig(grid=GridConfig(kind="refine"))
# Of the size that `decode` makes.
_THUMBNAILS = SamplerConfig(llmvs=LlmvsConfig(short_side=GridConfig().short_side))
_SIDE = 8  # pixels of the picture that the free encoder keeps


class FreeEncoder:
    """An encoder whose embedding is the coarse picture of a frame, which costs almost nothing."""

    name = "free"
    device = torch.device("cpu")
    short_side = 1  # so that the thumbnails keep their size

    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed each frame as a few of its pixels, minus their mean."""
        height, width = frames.pixels.shape[1:3]
        coarse = frames.pixels[:, :: max(1, height // _SIDE), :: max(1, width // _SIDE)]
        vectors = coarse[:, :_SIDE, :_SIDE].flatten(1).float()
        vectors = functional.normalize(vectors - vectors.mean(1, keepdim=True) + 1e-3, dim=1)
        return Embeddings(vectors.to(self.device), frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        """Embed every text as the same vector."""
        vector = functional.normalize(torch.arange(3.0 * _SIDE * _SIDE).cos(), dim=0)
        return TextEmbedding(vector, self.name, n_tokens=1, max_tokens=1)


class FreeCaptioner:
    """A captioner that gives every frame the same sentence."""

    name = "free"

    def caption(self, frames: Frames) -> Caption:
        """Write the sentence."""
        return Caption("A frame.", origin="generated", model=self.name)

    def caption_each(self, frames: Frames) -> list[str]:
        """Write the sentence for each frame."""
        return ["A frame."] * len(frames)


class FreeScorer:
    """A language model that marks the frames by their number."""

    def score(self, captions: FrameCaptions) -> Importance:
        """Mark every frame."""
        marks = captions.indices.double().cos() / 2 + 0.5
        return Importance(marks, captions.indices, captions.pts_seconds, "free")

    def notes(self, captions: FrameCaptions, importance: Importance) -> tuple[str, ...]:
        """Say nothing."""
        return ()


def nothing(video: str, decoder: str) -> Report:
    """Do nothing: the process has only imported the modules."""
    return {}


def decode(video: str, decoder: str) -> Report:
    """Decode the grid and drop it: the floor."""
    config = GridConfig()
    with open_video(video, decoder=decoder) as source:
        grid = grid_indices(source, config, at_least=1)
        n = sum(len(batch) for batch in source.thumbnails(grid, short_side=config.short_side))
    return {"frames": n}


def stacfp(video: str, decoder: str) -> Report:
    """Call `stacfp`, which needs no text and no encoder."""
    return _report(_sampler("stacfp", decoder)(video))


def keyscore(video: str, decoder: str) -> Report:
    """Call `keyscore` with a caption and an encoder that costs nothing."""
    return _report(_sampler("keyscore", decoder)(video, num_frames=8, caption="anything"))


def clips(video: str, decoder: str) -> Report:
    """Call `clips` with a caption and an encoder that costs nothing."""
    return _report(_sampler("clips", decoder)(video, num_frames=8, caption="anything"))


def llmvs(video: str, decoder: str) -> Report:
    """Call `llmvs` with a captioner and a language model that cost nothing."""
    sampler: Any = get_sampler(
        "llmvs", config=_THUMBNAILS, captioner=FreeCaptioner(), decoder=decoder, device="cpu"
    )
    sampler.scorer = FreeScorer()
    return _report(sampler(video, num_frames=8))


def keyframes(video: str, decoder: str) -> Report:
    """Call `stacfp` on the codec's keyframes."""
    return _report(_sampler("stacfp", decoder, _KEYFRAMES)(video))


def refine(video: str, decoder: str) -> Report:
    """Call `keyscore` on the codec's keyframes, then on frames around those that score."""
    return _report(_sampler("keyscore", decoder, _REFINE)(video, num_frames=8, caption="anything"))


def decord_1fps(video: str, decoder: str) -> Report:
    """Decode one frame per second at thumbnail size with decord, as most code does."""
    decord = require("decord", extra="decord")
    with open_video(video) as source:
        scale = min(1.0, GridConfig().short_side / min(source.width, source.height))
        size = round(source.width * scale), round(source.height * scale)
    reader = decord.VideoReader(video, width=size[0], height=size[1])
    wanted = list(range(0, len(reader), max(1, round(reader.get_avg_fps()))))
    return {"frames": len(reader.get_batch(wanted).asnumpy())}


JOBS: Mapping[str, Job] = {
    job.__name__: job
    for job in (nothing, decode, stacfp, keyscore, clips, llmvs, keyframes, refine, decord_1fps)
}


def _sampler(name: str, decoder: str, config: SamplerConfig | None = None) -> Sampler:
    return get_sampler(
        name, config=config, encoder=FreeEncoder(), decoder=decoder, device=FreeEncoder.device.type
    )


def _report(selection: Selection) -> Report:
    return {"frames": selection.n_grid, **selection.seconds}
