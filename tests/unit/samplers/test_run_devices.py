"""Pixels go to the device once, and what is made of them stays there."""

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

from evals.speed.jobs import FreeEncoder
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.config import EncodeConfig, GridConfig, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.samplers.base import get_sampler, list_samplers
from keyscore_plugin.samplers.keyscore import KeyScoreSampler
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.source import open_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.colour_judge import ColourJudge
from tests.support.pretend_gpu import DEVICE, PretendGpu

_CPU = torch.device("cpu")
_GRID = GridConfig(sample_fps=8)


class On(KeyScoreSampler):
    """KeyScore whose tensors are on a device of the test's choice."""

    def __init__(self, config: SamplerConfig, device: torch.device, **models: Any) -> None:
        super().__init__(config, **models)
        self._tensor_device = device

    @property
    def tensor_device(self) -> torch.device:
        return self._tensor_device


def _look(device: torch.device) -> tuple[Frames, torch.Tensor]:
    grid = replace(_GRID, short_side=48)
    with open_video(sample_video("bikes")) as source:
        run = On(SamplerConfig(grid=grid), device).run_on(source, SelectionRequest(num_frames=1))
        seen, histograms = run.look_with_histograms(grid)
        return seen[torch.arange(0, len(seen), 5)], histograms


def test_pixels_cross_once_and_stay() -> None:
    here, colours = _look(torch.device("cpu"))
    n_values = len(colours) * here.pixels[0].numel()
    with PretendGpu() as gpu:
        there, histograms = _look(DEVICE)
        assert gpu.n_reads == 0
        assert there.pixels.device == histograms.device == DEVICE
        # Only the pixels, the table of colours and numbers of rows go there.
        assert n_values <= sum(gpu.uploads) < n_values + 2**18 + 1000
        assert histograms.cpu().equal(colours)
        assert there.pixels.cpu().equal(here.pixels)
        assert there.pts_seconds.equal(here.pts_seconds)


def test_host_reads_do_not_grow_with_the_length_of_a_look() -> None:
    reads = set()
    for sample_fps in (4, 16):
        with open_video(sample_video("bikes")) as source, PretendGpu() as gpu:
            grid = GridConfig(sample_fps=sample_fps)
            run = On(SamplerConfig(grid=grid), DEVICE).run_on(source, SelectionRequest(1))
            colours, histograms = run.histograms(grid)
            propose_features(histograms, colours.indices, colours.pts_seconds)
            reads.add(gpu.n_reads)
    assert len(reads) == 1, reads


@pytest.mark.gpu
def test_a_look_on_a_gpu_is_the_same_look() -> None:
    here, colours = _look(torch.device("cpu"))
    there, histograms = _look(torch.device("cuda"))
    assert histograms.cpu().equal(colours)
    assert there.pixels.cpu().equal(here.pixels)


class CoarseEncoder:
    """Embeds a frame as the mean colours of its sixths, on the device it was given."""

    name = "coarse"
    short_side = 32

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def encode_frames(self, frames: Frames) -> Embeddings:
        planes = frames.pixels.to(self.device).permute(0, 3, 1, 2).float()
        coarse = torch.nn.functional.adaptive_avg_pool2d(planes, (2, 3)).flatten(1)
        vectors = torch.nn.functional.normalize(coarse - coarse.mean(1, keepdim=True), dim=1)
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        vector = torch.nn.functional.normalize(torch.arange(18.0).cos(), dim=0)
        return TextEmbedding(vector.to(self.device), self.name, n_tokens=1, max_tokens=1)


@pytest.mark.parametrize("max_encoded", [8, 1000])
def test_a_whole_call_mixes_no_devices_and_chooses_the_same(max_encoded: int) -> None:
    config = SamplerConfig(
        grid=GridConfig(sample_fps=8, short_side=32), encode=EncodeConfig(max_encoded=max_encoded)
    )
    video = sample_video("bikes")
    encoder = CoarseEncoder(torch.device("cpu"))
    here = KeyScoreSampler(config, encoder=encoder)(video, num_frames=6, caption="a tram")
    with PretendGpu():
        sampler = On(config, DEVICE, encoder=CoarseEncoder(DEVICE))
        there = sampler(video, num_frames=6, caption="a tram")
    assert there.indices == here.indices
    assert here.scores is not None
    assert there.scores == pytest.approx(here.scores, abs=1e-4)


@pytest.mark.parametrize("encoder", [FreeEncoder(), ColourEncoder()])
def test_an_encoder_on_the_cpu_answers_there_wherever_the_pixels_lie(encoder: Encoder) -> None:
    config = SamplerConfig(grid=_GRID, encode=EncodeConfig(max_encoded=8))
    video = sample_video("bikes")
    here = KeyScoreSampler(config, encoder=encoder)(video, num_frames=4, caption="red")
    with PretendGpu():
        there = On(config, DEVICE, encoder=encoder)(video, num_frames=4, caption="red")
    assert there.indices == here.indices


_WITH_TEXT = [name for name in list_samplers() if get_sampler(name).needs_text]


@pytest.mark.slow
@pytest.mark.parametrize("name", _WITH_TEXT)
def test_an_encoder_without_float64_serves_every_sampler(name: str) -> None:
    config = SamplerConfig(grid=_GRID, encode=EncodeConfig(max_encoded=24))
    video = sample_video("bikes")
    caption = "a tram"
    made = (
        get_sampler(name, config=config, encoder=CoarseEncoder(on), captioner=ColourJudge())
        for on in (_CPU, DEVICE)
    )
    here = next(made)(video, num_frames=6, caption=caption)
    with PretendGpu(has_float64=False):
        there = next(made)(video, num_frames=6, caption=caption)
    assert there.indices == here.indices


class NearEncoder(CoarseEncoder):
    """Counts the frames that have to come to it from elsewhere."""

    n_from_elsewhere = 0

    def encode_frames(self, frames: Frames) -> Embeddings:
        self.n_from_elsewhere += len(frames) * (frames.pixels.device != self.device)
        return super().encode_frames(frames)


_EVERY_LOOK: list[tuple[str, Literal["fps", "refine"]]] = [
    *((name, "fps") for name in _WITH_TEXT),
    *((name, "refine") for name in _WITH_TEXT if name != "focus"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), _EVERY_LOOK)
def test_pixels_come_to_the_encoder_from_no_other_device(
    name: str, kind: Literal["fps", "refine"]
) -> None:
    config = SamplerConfig(grid=GridConfig(kind=kind, sample_fps=8))
    with PretendGpu() as gpu:
        encoder = NearEncoder(DEVICE)
        sampler = get_sampler(name, config=config, encoder=encoder, captioner=ColourJudge())
        assert isinstance(sampler, SamplerTemplate)
        sampler.device = DEVICE
        sampler(sample_video("bikes"), num_frames=6, caption="a tram")
        assert encoder.n_from_elsewhere == 0
        assert gpu.uploads


@pytest.mark.slow
@pytest.mark.parametrize("max_encoded", [24, 1000])
@pytest.mark.parametrize("name", ["stacfp", "keyscore", "topk"])
def test_no_product_that_decides_frames_has_fewer_bits(name: str, max_encoded: int) -> None:
    config = SamplerConfig(grid=_GRID, encode=EncodeConfig(max_encoded=max_encoded))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # as some hosts do
    try:
        with PretendGpu() as gpu:
            sampler = get_sampler(name, config=config, encoder=CoarseEncoder(DEVICE))
            assert isinstance(sampler, SamplerTemplate)
            sampler.device = DEVICE
            sampler(sample_video("bikes"), num_frames=6, caption="a tram")
    finally:
        torch.set_float32_matmul_precision(before)
    assert gpu.inexact
    assert gpu.inexact.total() == 0
