"""A whole call on a GPU chooses what it chooses on the CPU, whatever the program allows there."""

from collections.abc import Iterator
from typing import Literal

import pytest
import torch

from keyscore_plugin import KeyScoreSampler, SamplerConfig
from keyscore_plugin.config import GridConfig
from keyscore_plugin.video.samples import SAMPLES, sample_video


@pytest.fixture(params=["highest", "high"])
def precision_of_products(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of float32 in the program around: whole, or TF32 as some hosts set it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["fps", "refine"])
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_call_on_a_gpu_chooses_the_same(
    name: str, kind: Literal["fps", "refine"], precision_of_products: str
) -> None:
    config = SamplerConfig(grid=GridConfig(kind=kind))
    here, there = (
        KeyScoreSampler(config, encoder="conse", device=device)(
            sample_video(name), num_frames=8, caption="a tram in a street"
        )
        for device in ("cpu", "cuda")
    )
    assert there.indices == here.indices
    assert here.scores is not None
    assert there.scores == pytest.approx(here.scores, abs=1e-4)
    assert torch.get_float32_matmul_precision() == precision_of_products
