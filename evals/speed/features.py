"""Frames and histograms of long videos, made of moving crops of short real clips."""

from functools import cache

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from keyscore_plugin import ProposalConfig, sample_video
from keyscore_plugin.algorithm.stacfp import hsv_histograms
from keyscore_plugin.video.samples import SAMPLES

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]

_HEIGHT = 120  # pixels of the frames that crops are taken from
_CROP = (60, 90)
_MEAN_SHOT = 10  # grid frames: 5 s at 2 fps
_RETURNING = 1 / 3  # share of shots that come back to an earlier scene
_STRIDE = 5  # source frames between two grid frames


def long_histograms(n: int, *, seed: int) -> Tensor:
    """``(n, n_bins)`` HSV histograms of `long_film`."""
    return hsv_histograms(long_film(n, seed=seed), bins=ProposalConfig().bins)


def long_film(n: int, *, seed: int) -> Tensor:
    """``(n, h, w, 3)`` uint8 grid frames of a film cut from the sample clips.

    A shot is a moving crop of one clip, tinted in a random colour; some scenes come back.
    """
    rng = np.random.default_rng(seed)
    clips = [_clip(name) for name in SAMPLES]
    scenes: list[tuple[int, Numbers, Numbers]] = []
    frames = np.empty((n, *_CROP, 3), dtype=np.uint8)
    row = 0
    while row < n:
        if not scenes or rng.random() >= _RETURNING:
            scenes.append((int(rng.integers(len(clips))), rng.random(2), rng.uniform(0.5, 1.2, 3)))
        source, place, light = scenes[int(rng.integers(len(scenes)))]
        clip, drift = clips[source], rng.normal(0, 0.01, 2)
        start = int(rng.integers(len(clip)))
        for step in range(min(n - row, 2 + int(rng.exponential(_MEAN_SHOT)))):
            room = np.array(clip.shape[1:3]) - _CROP
            y, x = (np.clip(place + step * drift, 0, 1) * room).astype(int)
            crop = clip[(start + step * _STRIDE) % len(clip), y : y + _CROP[0], x : x + _CROP[1]]
            frames[row] = np.clip(crop * light, 0, 255)
            row += 1
    return torch.from_numpy(frames)


@cache
def _clip(name: str) -> Pixels:
    """``(n, _HEIGHT, width, 3)`` uint8 frames of a sample clip."""
    with av.open(str(sample_video(name))) as container:
        frames = [
            frame.reformat(
                width=frame.width * _HEIGHT // frame.height, height=_HEIGHT, format="rgb24"
            ).to_ndarray()
            for frame in container.decode(video=0)
        ]
    return np.stack(frames).astype(np.uint8)
