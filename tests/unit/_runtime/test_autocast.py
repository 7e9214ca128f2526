"""A host that computes with fewer bits under autocast gets the frames of one that does not."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.encoders.conse.encoder import ConseEncoder
from keyscore_plugin.samplers.base import get_sampler, list_samplers
from keyscore_plugin.samplers.keyscore import KeyScoreSampler
from keyscore_plugin.types import Frames
from keyscore_plugin.video.samples import sample_video
from tests.support.clips import join
from tests.support.colour_encoder import ColourEncoder
from tests.support.colour_judge import ColourJudge
from tests.support.importance import config_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots of real footage, small and short: some samplers decode every frame of it."""
    clips = [sample_video("carphone"), sample_video("bikes")]
    return join(clips, tmp_path_factory.mktemp("clip") / "a.mp4", size=(160, 90), seconds=6)


def autocast() -> AbstractContextManager[None]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps", "meta"])
def test_inside_there_is_no_autocast_and_afterwards_there_is(device: str) -> None:
    # A GPU that is not there has its autocast too; "meta" stands for a device that has none.
    available = torch.amp.is_autocast_available(device)
    if available:
        before = torch.is_autocast_enabled(device)
        torch.set_autocast_enabled(device, True)
    try:
        with exact_arithmetic(torch.device(device)):
            assert not available or not torch.is_autocast_enabled(device)
        assert not available or torch.is_autocast_enabled(device)
    finally:
        if available:
            torch.set_autocast_enabled(device, before)


def test_candidates_do_not_depend_on_autocast() -> None:
    generator = torch.Generator().manual_seed(0)
    histograms = torch.rand(60, 96, generator=generator)
    histograms = histograms / histograms.sum(1, keepdim=True)
    given = histograms, torch.arange(60), torch.arange(60) / 2.0
    expected = propose_features(*given)
    with autocast():
        actual = propose_features(*given)
    assert torch.equal(actual.indices, expected.indices)
    assert torch.equal(actual.labels, expected.labels)
    assert actual.k_silhouettes == expected.k_silhouettes


@pytest.mark.slow
def test_vectors_and_scores_do_not_depend_on_autocast() -> None:
    pixels = torch.randint(256, (6, 40, 60, 3), generator=torch.Generator().manual_seed(0))
    frames = Frames(pixels.to(torch.uint8), torch.arange(6), torch.arange(6) / 2)
    encoder = ConseEncoder(CPU)
    vectors, text = encoder.encode_frames(frames), encoder.encode_text("a red tram")
    expected = score(vectors, text)
    with autocast():
        embeddings, embedded = encoder.encode_frames(frames), encoder.encode_text("a red tram")
        actual = score(embeddings, embedded)
    assert torch.equal(embeddings.vectors, vectors.vectors)
    assert torch.equal(embedded.vector, text.vector)
    assert torch.equal(actual.total, expected.total)


@pytest.mark.slow
def test_a_whole_call_does_not_depend_on_autocast(video: Path) -> None:
    sampler = KeyScoreSampler(encoder="conse", device="cpu")
    expected = sampler(video, num_frames=4, caption="a red tram")
    with autocast():
        actual = sampler(video, num_frames=4, caption="a red tram")
    assert actual.indices == expected.indices
    assert actual.scores == expected.scores


@pytest.mark.parametrize("name", list_samplers())
def test_no_sampler_depends_on_autocast(name: str, video: Path) -> None:
    config = config_of(name, SamplerConfig(grid=GridConfig(sample_fps=4)))
    sampler = get_sampler(
        name, config=config, encoder=ColourEncoder(), captioner=ColourJudge(), device="cpu"
    )
    caption = "red" if sampler.needs_text else None
    expected = sampler(video, num_frames=6, caption=caption)
    with autocast():
        actual = sampler(video, num_frames=6, caption=caption)
    assert actual.indices == expected.indices
    assert actual.scores == expected.scores
