"""STACFP: what a proposal is, and that k follows the video."""

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from keyscore_plugin.algorithm.stacfp import (
    default_k_max,
    hsv_histograms,
    propose,
    propose_features,
)
from keyscore_plugin.config import ProposalConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Candidates, Frames
from keyscore_plugin.video.samples import sample_video

_BINS = ProposalConfig().bins


def _histograms(*scenes: tuple[int, int], n_bins: int = 128, noise: float = 0.02) -> Tensor:
    """Frames of synthetic scenes: ``(scene, n_frames)`` one after the other."""
    frames = []
    for place, (scene, n_frames) in enumerate(scenes):
        rng = np.random.default_rng(scene)
        base = 10 * np.sqrt(rng.dirichlet(np.full(n_bins, 0.1)))
        jitter = np.random.default_rng(1000 + place).normal(0, noise, (n_frames, n_bins))
        frames.append(np.square(base + jitter))
    stacked = np.concatenate(frames)
    return torch.from_numpy(stacked / stacked.sum(1, keepdims=True)).float()


def _propose(histograms: Tensor, config: ProposalConfig | None = None) -> Candidates:
    n = len(histograms)
    return propose_features(histograms, 10 * torch.arange(n), torch.arange(n) / 2.0, config)


def _clip(name: str, *, every: int, first_pts_seconds: float = 0.0) -> Frames:
    """Every so-many-th frame of a real clip at 128 pixels of height."""
    pixels, indices, pts = [], [], []
    with av.open(str(sample_video(name))) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                width = 128 * frame.width // frame.height
                small = frame.reformat(width=width, height=128, format="rgb24")
                pixels.append(torch.from_numpy(small.to_ndarray()))
                indices.append(index)
                pts.append(first_pts_seconds + float(frame.time))
    return Frames(
        torch.stack(pixels), torch.tensor(indices), torch.tensor(pts, dtype=torch.float64)
    )


def test_k_adapts_on_real_clips() -> None:
    clips = {name: _clip(name, every=5) for name in ("bikes", "bigbuckbunny", "carphone")}
    n_candidates = {name: len(propose(frames)) for name, frames in clips.items()}
    assert n_candidates["bikes"] in range(4, 8)  # a tram street, then cyclists
    assert n_candidates["bigbuckbunny"] == 2  # one shot
    assert n_candidates["carphone"] == 2  # one shot
    joined = torch.cat([hsv_histograms(frames.pixels, bins=_BINS) for frames in clips.values()])
    assert len(_propose(joined)) in range(6, 12)


def test_a_unit_norm_histogram_would_end_at_two_clusters() -> None:
    # The trap that the scale of the feature avoids: time swamps colours of unit norm.
    frames = _clip("bikes", every=5)
    swamped = ProposalConfig(gamma_time=10 * 100**0.5)  # the same ratio of time to colour
    silhouettes = propose(frames, swamped).k_silhouettes
    assert max(silhouettes, key=lambda k: silhouettes[k]) == 2


def test_every_scene_gets_one_candidate_in_time_order() -> None:
    candidates = _propose(_histograms(*[(scene, 12) for scene in range(9)]))
    assert candidates.rows.tolist() == sorted(candidates.rows.tolist())
    assert (candidates.rows // 12).tolist() == list(range(9))
    assert candidates.labels.tolist() == [scene for scene in range(9) for _ in range(12)]
    assert candidates.cluster.tolist() == list(range(9))
    assert candidates.indices.tolist() == (10 * candidates.rows).tolist()
    assert candidates.pts_seconds.tolist() == (candidates.rows / 2).tolist()


def test_the_best_silhouette_wins_and_every_k_is_reported() -> None:
    candidates = _propose(_histograms((0, 10), (1, 20), (2, 10)), ProposalConfig(k_max=9))
    assert list(candidates.k_silhouettes) == list(range(2, 10))
    assert max(candidates.k_silhouettes.values()) == candidates.k_silhouettes[len(candidates)]


def test_two_alternating_scenes_are_found_again() -> None:
    scenes = [(part % 2, 15) for part in range(6)]
    candidates = _propose(_histograms(*scenes))
    scene_of_row = torch.tensor([scene for scene, n_frames in scenes for _ in range(n_frames)])
    for cluster in range(len(candidates)):
        assert len(torch.unique(scene_of_row[candidates.labels == cluster])) == 1
    assert 2 <= len(candidates) <= 6


@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_identical_frames_give_the_middle_one(n: int) -> None:
    pixels = torch.full((n, 4, 6, 3), 90, dtype=torch.uint8)
    frames = Frames(pixels, torch.arange(n), torch.arange(n, dtype=torch.float64))
    candidates = propose(frames)
    assert candidates.rows.tolist() == [(n - 1) // 2]
    assert candidates.labels.tolist() == [0] * n
    assert candidates.k_silhouettes == {}


@pytest.mark.parametrize(("pixels_per_mille", "n_candidates"), [(0.1, 1), (5, 2)])
def test_coding_noise_is_no_change_and_a_small_object_is(
    pixels_per_mille: float, n_candidates: int
) -> None:
    histograms = torch.zeros(40, 16)
    histograms[:, 0] = 1
    histograms[20:, 0] -= pixels_per_mille / 1000
    histograms[20:, 1] += pixels_per_mille / 1000
    assert len(_propose(histograms)) == n_candidates


def test_one_static_shot_gives_few_candidates() -> None:
    assert len(_propose(_histograms((0, 200), noise=0.1))) <= 6


@pytest.mark.parametrize(("n", "k_min"), [(2, 2), (3, 5), (5, 5)])
def test_up_to_k_min_frames_stand_for_themselves(n: int, k_min: int) -> None:
    histograms = _histograms(*[(scene, 1) for scene in range(n)])
    candidates = _propose(histograms, ProposalConfig(k_min=k_min, k_max=8))
    assert candidates.rows.tolist() == candidates.labels.tolist() == list(range(n))


def test_one_frame_more_than_k_min_is_clustered() -> None:
    candidates = _propose(_histograms((0, 2), (1, 1)))
    assert candidates.labels.tolist() == [0, 0, 1]
    assert candidates.rows.tolist() == [0, 2]  # of two equally near frames the earlier


def test_time_alone_tells_equal_scenes_apart_by_gamma() -> None:
    there_and_back = _histograms((0, 20), (1, 20), (0, 20), noise=0)
    assert len(_propose(there_and_back, ProposalConfig(gamma_time=0, k_max=6))) == 2
    assert len(_propose(there_and_back, ProposalConfig(gamma_time=20, k_max=6))) == 3


def test_uneven_grids_are_placed_by_their_true_times() -> None:
    # Colour says nothing here; a pause in the times, not the row number, parts the frames.
    histograms = _histograms((0, 12), noise=0)
    histograms[0, :2] += torch.tensor([0.01, -0.01]) * histograms[0, :2].min()
    histograms = torch.cat((histograms, _histograms((1, 1))))
    pts = torch.tensor([0.0, 1, 2, 80, 81, 82, 83, 84, 85, 86, 87, 88, 100])
    candidates = propose_features(
        histograms, torch.arange(13), pts, ProposalConfig(gamma_time=20, k_max=3)
    )
    assert candidates.labels.tolist() == [0] * 3 + [1] * 9 + [2]


def test_proposals_are_reproducible_bit_for_bit() -> None:
    histograms = _histograms((0, 30), (1, 25), (0, 30), (2, 40), noise=0.3)
    first, again = _propose(histograms), _propose(histograms)
    assert torch.equal(first.rows, again.rows)
    assert torch.equal(first.labels, again.labels)
    assert first.k_silhouettes == again.k_silhouettes


def test_histograms_made_batch_by_batch_change_nothing() -> None:
    frames = _clip("bikes", every=12)
    parts = [hsv_histograms(part, bins=_BINS) for part in torch.split(frames.pixels, 4)]
    streamed = propose_features(torch.cat(parts), frames.indices, frames.pts_seconds)
    assert torch.equal(streamed.rows, propose(frames).rows)


def test_k_max_grows_with_the_grid_and_is_bounded() -> None:
    sizes = [default_k_max(n) for n in range(1, 5000)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 2
    assert sizes[-1] == 64
    assert default_k_max(172) >= 25  # 86 s at 2 frames a second hold 22 shots


@pytest.mark.parametrize(
    ("histograms", "pts", "message"),
    [
        (torch.zeros(0, 8), torch.zeros(0), "holds no frame"),
        (torch.ones(3, 8), torch.tensor([0.0, 2.0, 1.0]), "in time order"),
        (torch.ones(2, 8), torch.tensor([0.0, torch.nan]), "must be finite"),
    ],
)
def test_what_is_not_a_grid_is_refused(histograms: Tensor, pts: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        propose_features(histograms, torch.arange(len(histograms)), pts)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone"])
def test_a_gpu_gives_the_same_proposals(name: str) -> None:
    frames = _clip(name, every=5)
    there = propose(Frames(frames.pixels.cuda(), frames.indices, frames.pts_seconds))
    here = propose(frames)
    assert there.rows.tolist() == here.rows.tolist()
    assert there.labels.tolist() == here.labels.tolist()
    assert there.k_silhouettes == pytest.approx(here.k_silhouettes, abs=1e-4)
