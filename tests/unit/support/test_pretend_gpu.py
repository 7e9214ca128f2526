"""What the host waits for on a GPU does not grow with the work, and the GPU's path says the same.

Without a GPU: on `tests.support.pretend_gpu`, which also refuses to mix what lies there
with what does not.
"""

import pytest
import torch
from torch import Tensor

from keyscore_plugin.algorithm.kmeans import kmeans
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.algorithm.selection import select
from keyscore_plugin.algorithm.silhouette import mean_silhouettes
from keyscore_plugin.algorithm.stacfp import hsv_histograms, propose, propose_features
from keyscore_plugin.config import ProposalConfig, ScoreConfig
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding
from tests.support.pretend_gpu import DEVICE, PretendGpu, PretendTensor

_BINS = ProposalConfig().bins
_SIZES = [(60, 6), (120, 24), (1100, 40)]  # frames, and clusters tried or chosen


def _grid(n: int) -> Frames:
    """A film of shots of 9 frames, each a colour with noise."""
    generator = torch.Generator().manual_seed(n)
    colours = torch.randint(0, 200, (n // 9 + 1, 1, 1, 3), generator=generator)
    noise = torch.randint(0, 56, (n, 6, 8, 3), generator=generator)
    pixels = (colours.repeat_interleave(9, dim=0)[:n] + noise).to(torch.uint8)
    return Frames(pixels, torch.arange(n) * 3, torch.arange(n, dtype=torch.float64) / 2)


def _there(frames: Frames) -> Frames:
    return Frames(frames.pixels.to(DEVICE), frames.indices, frames.pts_seconds)


def _embedded(n: int) -> tuple[Embeddings, TextEmbedding]:
    vectors = torch.randn(n + 1, 24, generator=torch.Generator().manual_seed(n))
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    frames = Embeddings(vectors[:n], torch.arange(n), torch.arange(n) / 2, "m")
    return frames, TextEmbedding(vectors[n], "m", n_tokens=1, max_tokens=1)


def _to_there(frames: Embeddings) -> Embeddings:
    return Embeddings(frames.vectors.to(DEVICE), frames.indices, frames.pts_seconds, frames.model)


def test_the_pretended_device_sees_what_a_gpu_would_wait_for() -> None:
    with PretendGpu() as gpu:
        there = torch.arange(6.0).to(DEVICE)
        assert there.device == DEVICE
        halved = there / torch.tensor(2.0, device=DEVICE)
        assert gpu.n_reads == 0
        assert bool((halved > 2).any())
        assert len(there[there > 2]) == 3
        assert halved.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
        assert halved.cpu().equal(torch.arange(6.0) / 2)
        assert gpu.n_reads == 4
        with pytest.raises(RuntimeError, match="one device"):
            there + torch.ones(6)
        with pytest.raises(RuntimeError, match="indexed"):
            torch.ones(6)[there.long()]


def test_colours_are_counted_without_waiting() -> None:
    grid = _grid(120)
    with PretendGpu() as gpu:
        there = hsv_histograms(grid.pixels.to(DEVICE), bins=_BINS)
        assert gpu.n_reads == 0
        assert isinstance(there, PretendTensor)
        assert there.cpu().equal(hsv_histograms(grid.pixels, bins=_BINS))


@pytest.mark.parametrize(("n", "k"), _SIZES)
def test_clusters_for_every_k_are_found_without_waiting(n: int, k: int) -> None:
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(k))
    with PretendGpu() as gpu:
        there = kmeans(points.to(DEVICE), ks=range(2, k + 1), n_init=3, seed=0)
        assert gpu.n_reads == 0
        here = kmeans(points, ks=range(2, k + 1), n_init=3, seed=0)
        for solution in here:
            inertia = here[solution].inertia
            torch.testing.assert_close(there[solution].inertia.cpu(), inertia, rtol=1e-3, atol=0)


def test_host_reads_do_not_grow_with_frames_or_clusters() -> None:
    reads: dict[str, set[int]] = {"silhouettes": set(), "propose": set(), "score": set()}
    for n, k in _SIZES:
        histograms = hsv_histograms(_grid(n).pixels, bins=_BINS)
        labelings = [torch.arange(n) % some for some in range(2, k + 1)]
        frames, text = _embedded(n)
        with PretendGpu() as gpu:
            mean_silhouettes(histograms.to(DEVICE), [labels.to(DEVICE) for labels in labelings])
            reads["silhouettes"].add(gpu.n_reads)
        with PretendGpu() as gpu:
            indices, times = torch.arange(n), torch.arange(n) / 2
            propose_features(histograms.to(DEVICE), indices, times, ProposalConfig(k_max=k))
            reads["propose"].add(gpu.n_reads)
        with PretendGpu() as gpu:
            score(_to_there(frames), text)
            reads["score"].add(gpu.n_reads)
    assert all(len(counts) == 1 for counts in reads.values()), reads
    assert all(counts <= set(range(12)) for counts in reads.values()), reads


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_host_reads_of_a_choice_do_not_grow(threshold: float | None) -> None:
    reads = set()
    for n, k in _SIZES:
        scores = torch.rand(n, generator=torch.Generator().manual_seed(n))
        times = torch.arange(n) / 2
        budget = k if threshold is None else None
        here = select(scores, times, num_frames=budget, threshold=threshold)
        with PretendGpu() as gpu:
            rows = select(scores.to(DEVICE), times, num_frames=budget, threshold=threshold)
            reads.add(gpu.n_reads)
            assert rows.tolist() == here.tolist()
    assert len(reads) == 1, reads


@pytest.mark.parametrize("n", [120, 360])
def test_proposals_are_those_of_the_cpu(n: int) -> None:
    here = propose(_grid(n))
    with PretendGpu():
        there = propose(_there(_grid(n)))
    assert there.rows.tolist() == here.rows.tolist()
    assert there.labels.tolist() == here.labels.tolist()
    assert there.k_silhouettes == pytest.approx(here.k_silhouettes, abs=1e-3)


@pytest.mark.parametrize("config", [ScoreConfig(pooling="mean"), ScoreConfig(pooling="text")])
def test_scores_are_those_of_the_cpu(config: ScoreConfig) -> None:
    frames, text = _embedded(200)
    here = score(frames, text, config)
    with PretendGpu():
        there: Tensor = score(_to_there(frames), text, config).total
        assert isinstance(there, PretendTensor)
        torch.testing.assert_close(there.cpu(), here.total)
