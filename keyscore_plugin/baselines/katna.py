"""Katna: sharp frames from clusters of frames at peaks of change (keplerlab/katna 0.9.2)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.optional import require
from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.kmeans import kmeans
from keyscore_plugin.baselines.settings import PublishedSampler, require_range
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.grid import join_frames, rebatch
from keyscore_plugin.samplers.pad_selection import pad_evenly
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import Frames, GridInfo
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.source import VideoSource

_BLOCK_FRAMES = 64  # LUV takes many times the memory of pixels
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what OpenCV calls gray
_GREY_LEVELS = 256
_OPENCV_LUV = (255 / 100, 255 / 354, 255 / 262)  # scale of the channels, stored in 0..255


@dataclass(frozen=True, slots=True)
class KatnaSettings:
    """Settings of `katna`; the defaults are those of the released code unless marked.

    Attributes:
        chunk_frames: Number of frames that are in memory and smoothed together.
        window_frames: Length of the Hanning window of the smoothing.
        least_brightness: Least mean value of a frame, in percent.
        most_brightness: Largest mean value of a frame, in percent.
        least_entropy: Least mean local entropy of a frame, in bits.
        most_entropy: Largest mean local entropy of a frame, in bits.
        brightness_step: Percent by which the limits give way while too few frames pass.
        entropy_step: Bits by which the limits give way while too few frames pass.
        entropy_radius: Radius in pixels of the disk in which the entropy is measured.
        n_init: Restarts of k-means; scikit-learn's usual ten.
        seed: Seed of k-means.
        every_frame: True decodes every frame. Ours: False decodes the grid of `GridConfig`, which
            is many times cheaper and no longer Katna.
        sharpest_of_cluster: Ours: True is the repaired method. As released (False) the sharpness of
            the first frames of the whole list stands for that of a cluster's frames.
    """

    chunk_frames: int = 2500
    window_frames: int = 20
    least_brightness: float = 10.0
    most_brightness: float = 90.0
    least_entropy: float = 1.0
    most_entropy: float = 10.0
    brightness_step: float = 2.0
    entropy_step: float = 0.5
    entropy_radius: int = 5
    n_init: int = 10
    seed: int = 0
    every_frame: bool = True
    sharpest_of_cluster: bool = False

    def __post_init__(self) -> None:
        for name in ("least_brightness", "most_brightness", "least_entropy", "most_entropy"):
            require_range(self, name)
        require_range(self, "chunk_frames", low=3)
        require_range(self, "window_frames", low=3)
        require_range(self, "brightness_step", low=1e-3)
        require_range(self, "entropy_step", low=1e-3)
        require_range(self, "n_init", low=1)


def smoothed(changes: Tensor, *, window_frames: int) -> Tensor:
    """``(n,)`` changes, smoothed with a Hanning window over mirrored ends."""
    window = torch.hann_window(window_frames, periodic=False, dtype=torch.float64)
    before, after = (window_frames - 1) // 2, window_frames // 2
    n = len(changes)
    places = torch.arange(-before, n + after) % (2 * n)
    mirrored = changes.double()[torch.minimum(places, 2 * n - 1 - places)]
    smooth = torch.nn.functional.conv1d(mirrored[None, None], (window / window.sum())[None, None])
    return smooth[0, 0]


def peaks_of_change(changes: Tensor, *, window_frames: int) -> Tensor:
    """Rows of the frames just before each peak of the smoothed change.

    Args:
        changes: ``(n - 1,)`` change of each frame to the next.
        window_frames: Length of the smoothing window.

    Returns:
        ``(m,)`` rows of the n frames: i - 1 for a strict local maximum at i, as released.
    """
    if len(changes) < 3:  # no frame has two neighbours
        return torch.empty(0, dtype=torch.int64)
    smooth = smoothed(changes, window_frames=window_frames)
    inner = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] > smooth[2:])
    return inner.nonzero().squeeze(1)


def well_exposed(
    brightness: Tensor, entropy: Tensor, *, num_frames: int, settings: KatnaSettings
) -> Tensor:
    """Rows that are neither dark, blown out nor empty; the limits give way until k remain.

    Args:
        brightness: ``(n,)`` mean values in percent.
        entropy: ``(n,)`` mean entropies in bits.
        num_frames: The budget k.
        settings: The limits.

    Returns:
        ``(m,)`` rising rows, m >= min(k, n).
    """
    dark, light = settings.least_brightness, settings.most_brightness
    empty, full = settings.least_entropy, settings.most_entropy
    while True:
        passes = (brightness >= dark) & (brightness <= light)
        passes &= (entropy >= empty) & (entropy <= full)
        if int(passes.sum()) >= min(num_frames, len(brightness)):
            return passes.nonzero().squeeze(1)
        dark, light = dark - settings.brightness_step, light + settings.brightness_step
        empty, full = empty - settings.entropy_step, full + settings.entropy_step


def sharp_frames(labels: Tensor, sharpness: Tensor, *, sharpest_of_cluster: bool) -> Tensor:
    """One frame of each cluster.

    As released, a cluster of m frames gives its frame at the place where the sharpness of frames
    0..m-1 of the whole list is largest: a slip in an index. Repaired, it gives its sharpest frame.

    Args:
        labels: ``(n,)`` cluster of each frame.
        sharpness: ``(n,)`` sharpness of each frame.
        sharpest_of_cluster: Whether the slip is repaired.

    Returns:
        ``(n_clusters,)`` rising rows.

    Example:
        >>> labels, sharp = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 2.0, 9.0, 3.0])
        >>> sharp_frames(labels, sharp, sharpest_of_cluster=False)
        tensor([1, 3])
        >>> sharp_frames(labels, sharp, sharpest_of_cluster=True)
        tensor([1, 2])
    """
    rows = []
    for cluster in labels.bincount().nonzero().squeeze(1).tolist():
        members = (labels == cluster).nonzero().squeeze(1)
        judged = sharpness[members] if sharpest_of_cluster else sharpness[: len(members)]
        rows.append(members[judged.argmax()])
    return torch.stack(rows).sort().values


def gray(pixels: Tensor) -> Tensor:
    """``(n, h, w)`` uint8 gray of ``(n, h, w, 3)`` uint8 RGB."""
    weights = torch.tensor(_LUMA, device=pixels.device)
    with exact_arithmetic(pixels.device):
        return (pixels.float() @ weights).round().clamp(0, _GREY_LEVELS - 1).to(torch.uint8)


def luv_changes(pixels: Tensor) -> Tensor:
    """Sum over a frame of the change of L*u*v*, scaled as OpenCV stores it, to the next frame.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 RGB.

    Returns:
        ``(n - 1,)`` float64.
    """
    rgb2luv = require("skimage.color", extra="baselines").rgb2luv
    changes = []
    for start in range(0, max(1, len(pixels) - 1), _BLOCK_FRAMES):
        block = pixels[start : start + _BLOCK_FRAMES + 1].numpy()
        luv = rgb2luv(block.astype(np.float32) / 255) * np.array(_OPENCV_LUV, np.float32)
        changes.append(np.abs(np.diff(luv, axis=0)).sum((1, 2, 3), dtype=np.float64))
    return torch.from_numpy(np.concatenate(changes))


def brightness(pixels: Tensor) -> Tensor:
    """``(n,)`` mean HSV value of ``(n, h, w, 3)`` uint8 RGB, in percent."""
    return 100 * (pixels.amax(-1).float() / 255).mean((1, 2))


def entropy(grays: Tensor, *, radius: int) -> Tensor:
    """``(n,)`` mean over a frame of the entropy of its gray levels in a disk, in bits.

    Args:
        grays: ``(n, h, w)`` uint8.
        radius: Radius of the disk in pixels; pixels outside the frame do not count.
    """
    rank = require("skimage.filters.rank", extra="baselines")
    disk = require("skimage.morphology", extra="baselines").disk(radius)
    return torch.tensor([float(rank.entropy(image, disk).mean()) for image in grays.numpy()])


def sharpness(grays: Tensor) -> Tensor:
    """``(n,)`` float64 variance of the Laplacian of ``(n, h, w)`` gray frames, edges mirrored."""
    laplace = require("scipy.ndimage", extra="baselines").laplace
    frames = grays.numpy().astype(np.float64)
    variances = [float(laplace(frame, mode="mirror").var()) for frame in frames]
    return torch.tensor(variances, dtype=torch.float64)


def gray_histograms(grays: Tensor) -> Tensor:
    """``(n, 256)`` float32 counts of the gray levels of ``(n, h, w)`` frames."""
    return torch.stack(
        [torch.bincount(image.reshape(-1), minlength=_GREY_LEVELS) for image in grays]
    ).float()


def katna(pixels: Tensor, *, num_frames: int, settings: KatnaSettings) -> Tensor:
    """Katna's choice among the frames at peaks of change.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 RGB.
        num_frames: The budget k.
        settings: The settings of the method.

    Returns:
        ``(m,)`` rising rows; m < k if there are fewer frames, or fewer different ones.
    """
    if not len(pixels):
        return torch.empty(0, dtype=torch.int64)
    grays = gray(pixels)
    bits = entropy(grays, radius=settings.entropy_radius)
    passed = well_exposed(brightness(pixels), bits, num_frames=num_frames, settings=settings)
    k = min(num_frames, len(passed))
    points = gray_histograms(grays[passed])
    clusters = kmeans(points, ks=[k], n_init=settings.n_init, seed=settings.seed)[k]
    sharp = sharpness(grays[passed])
    rows = sharp_frames(clusters.labels, sharp, sharpest_of_cluster=settings.sharpest_of_cluster)
    return passed[rows]


class KatnaSampler(PublishedSampler[KatnaSettings]):
    """Katna 0.9.2 as released, the SCFP row of the paper's tables. Reads no text.

    It is slow by design: it decodes every frame (`KatnaSettings.every_frame`). It works on
    thumbnails of `GridConfig.short_side`; the released code takes full frames. If it finds fewer
    frames than the budget, others are added evenly in time and a note counts them.
    """

    name = "katna"
    packages = ("scipy", "skimage")
    defaults = KatnaSettings()

    def _choose(self, run: Run) -> Choice:
        settings, source = self.settings, run.source
        with stage("decode"):  # the peaks are found while decoding: only they are kept
            if settings.every_frame:
                looked_at = torch.arange(len(source.pts_seconds()))
            else:
                looked_at = grid_indices(source, self.config.grid, at_least=run.request.at_least)
            frames = self._peaks(source, looked_at)
        with stage("select"):
            rows = katna(frames.pixels, num_frames=run.request.at_least, settings=settings)
            at_peaks = frames.indices[rows]
            times = source.pts_seconds()
            indices = pad_evenly(at_peaks, times, run.request.at_least)
        kind = "all" if settings.every_frame else self.config.grid.kind
        n_added = len(indices) - len(at_peaks)
        note = f"{n_added} of {len(indices)} frames were added evenly: Katna found no more"
        return Choice(
            indices=indices,
            pts_seconds=times[indices],
            looked_at=GridInfo(kind, len(looked_at)),
            notes=(note,) if n_added else (),
        )

    def _peaks(self, source: VideoSource, looked_at: Tensor) -> Frames:
        """The frames at peaks of change, found chunk by chunk."""
        settings = self.settings
        batches = source.thumbnails(looked_at, short_side=self.config.grid.short_side)
        peaks = []
        batches = progress.track("decode", batches, total=len(looked_at))
        on_cpu = (batch.to("cpu") for batch in batches)
        for chunk in rebatch(on_cpu, settings.chunk_frames):
            changes = luv_changes(chunk.pixels)
            peaks.append(chunk[peaks_of_change(changes, window_frames=settings.window_frames)])
        return join_frames(peaks)


class KatnaFixedSampler(KatnaSampler):
    """Katna with the sharpest frame of each cluster, as it was meant."""

    name = "katna-fixed"
    defaults = KatnaSettings(sharpest_of_cluster=True)
