"""Decoding on a GPU: what it says where that is not to be had; how its frames are scaled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import Literal

import pytest
import torch

from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.errors import MissingDependencyError, VideoError
from keyscore_plugin.samplers.keyscore import KeyScoreSampler
from keyscore_plugin.video.decoders.torchcodec import (
    TorchCodecCudaSource,
    TorchCodecSource,
    _resize,
)
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.source import open_video
from tests.support.pretend_gpu import DEVICE, PretendGpu
from tests.support.requires import require_decoder, require_or_skip


def test_without_a_gpu_it_is_one_clear_error() -> None:
    require_or_skip("torchcodec")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(MissingDependencyError, match=r"needs a GPU.*decoder='torchcodec'") as error:
        open_video(sample_video("bikes"), "torchcodec-cuda")
    assert "\n" not in str(error.value)


def test_a_torchcodec_without_cuda_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require_or_skip("torchcodec")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(VideoError, match=r"on a GPU \(.*cuda.*decoder='pyav'") as error:
        open_video(sample_video("bikes"), "torchcodec-cuda")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(24, 40), (40, 66), (48, 80)])
def test_frames_that_lie_on_a_gpu_are_scaled_alike(size: tuple[int, int]) -> None:
    coarse = torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(0)) * 255
    planes = torch.nn.functional.interpolate(coarse, (48, 80), mode="bilinear")
    pixels = planes.permute(0, 2, 3, 1).to(torch.uint8)
    here = _resize(pixels, size)
    with PretendGpu() as gpu:
        there = _resize(pixels.to(DEVICE), size)
        assert there.device == DEVICE
        assert gpu.n_reads == 0
        assert (there.cpu().int() - here.int()).abs().max() <= 1


@pytest.mark.parametrize("message", ["CUDA out of memory.", "CUDA error: out of memory"])
def test_a_memory_that_ends_is_no_fault_of_the_video(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_or_skip("torchcodec")
    with TorchCodecSource(str(sample_video("bikes"))) as source:
        monkeypatch.setattr(type(source._open_decoder), "get_frames_at", _failing(message))
        with pytest.raises(RuntimeError, match="out of memory"):
            source.read([0])
        monkeypatch.setattr(type(source._open_decoder), "get_frames_at", _failing("no frame"))
        with pytest.raises(VideoError, match="does not decode"):
            source.read([0])


@pytest.mark.parametrize("message", ["CUDA out of memory.", "CUDA error: out of memory"])
def test_a_full_gpu_keeps_no_decoder_from_being_freed(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TorchCodecCudaSource.__new__(TorchCodecCudaSource)  # a GPU need not be there
    source.device, source._open_decoder, source._one_thread = "cuda:0", object(), Lock()
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch, "zeros", _failing(message))
    source.close()
    source.close()
    assert source._open_decoder is None


def _failing(message: str) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    return fail


@pytest.mark.gpu
def test_thumbnails_stay_on_the_gpu_and_frames_that_are_read_come_back() -> None:
    require_decoder("torchcodec-cuda")
    path = Path(sample_video("bikes"))
    with open_video(path, "torchcodec-cuda") as there, TorchCodecSource(str(path)) as here:
        small = next(there.thumbnails(range(0, 60, 10), short_side=96))
        assert small.pixels.device.type == "cuda"
        assert small.indices.device.type == small.pts_seconds.device.type == "cpu"
        read = there.read([0, 50])
        assert read.pixels.device.type == "cpu"
        assert torch.equal(read.pts_seconds, here.read([0, 50]).pts_seconds)
        assert (read.pixels.int() - here.read([0, 50]).pixels.int()).abs().float().mean() < 1.5
        assert there.notes == ()


@pytest.mark.gpu
def test_every_fresh_thread_decodes_the_same() -> None:
    require_decoder("torchcodec-cuda")
    with open_video(sample_video("bikes"), "torchcodec-cuda") as source:

        def decode() -> list[torch.Tensor]:
            return [b.pixels.cpu() for b in source.thumbnails(range(0, 60, 4), short_side=96)]

        here = torch.cat(decode())
        for _ in range(2):
            with ThreadPoolExecutor(1) as fresh:
                assert torch.cat(fresh.submit(decode).result()).equal(here)
    with ThreadPoolExecutor(1) as fresh:
        fresh.submit(source.close).result()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["fps", "refine"])
def test_a_sampler_looks_at_one_video_after_the_other(kind: Literal["fps", "refine"]) -> None:
    require_decoder("torchcodec-cuda")
    config = SamplerConfig(grid=GridConfig(kind=kind))
    sampler = KeyScoreSampler(config, encoder="conse", decoder="torchcodec-cuda")
    for name in ("bikes", "bikes", "bigbuckbunny"):
        path = sample_video(name)
        selection = sampler(path, num_frames=6, caption="a red tram")
        assert len(selection.indices) == 6
        assert selection.indices == sorted(set(selection.indices))
        with open_video(path, "pyav") as source:
            assert selection.pts_seconds == source.pts_seconds(selection.indices).tolist()
