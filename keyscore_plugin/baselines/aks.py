"""AKS: halve the video until a part has a peak, then take the best of each part (CVPR 2025)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.baselines.settings import (
    PublishedSampler,
    padded_by_score,
    require_range,
    stretched,
)
from keyscore_plugin.samplers.pad_selection import pad_evenly
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.text import Picked, QueryGrid, TextSampler


@dataclass(frozen=True, slots=True)
class AksSettings:
    """Settings of `aks`; the defaults are those of the released code unless marked.

    Attributes:
        peak_gap: Threshold t1 on the mean of a part's best scores less the mean of all its scores;
            a part above it is kept whole.
        least_std: Threshold t2 on the standard deviation of such a part. The default never decides.
        max_depth: Largest depth D, the number of times that the video may be halved.
        fit_depth: Ours: True halves at most floor(log2 budget) times, so that every part gets a
            frame. As published (False) parts at depth 5 get floor(budget / 32) frames, which is
            none for a budget below 32.
    """

    peak_gap: float = 0.8
    least_std: float = -100.0
    max_depth: int = 5
    fit_depth: bool = True

    def __post_init__(self) -> None:
        require_range(self, "peak_gap")
        require_range(self, "least_std")
        require_range(self, "max_depth", low=0)


PUBLISHED = AksSettings(fit_depth=False)


def aks(scores: Tensor, *, num_frames: int, settings: AksSettings) -> Tensor:
    """Adaptive keyframe sampling (Tang et al., CVPR 2025) from its released algorithm.

    A part g of the video is kept when mean(top-M of g) - mean(g) > t1 and std(g) > t2, else
    halved; a kept part at depth d gives its floor(M / 2^d) best frames.

    Args:
        scores: ``(n,)`` finite scores; stretched to [0, 1] here, constant ones to 0 (published:
            NaN).
        num_frames: The budget M.
        settings: The thresholds.

    Returns:
        ``(m,)`` rising rows, m <= max(M, n). With `PUBLISHED` settings m is usually 0 for M < 32
        and 32 for 32 <= M < 64: nearly every part ends at depth 5.
    """
    if len(scores) < num_frames:
        return torch.arange(len(scores))
    values = stretched(scores)
    depth = settings.max_depth
    if settings.fit_depth:
        depth = min(depth, num_frames.bit_length() - 1)
    rows = [
        start + values[start:stop].argsort(descending=True, stable=True)[: num_frames >> at]
        for start, stop, at in _parts(values, num_frames, settings, depth, (0, len(values), 0))
    ]
    return torch.cat(rows).sort().values


def _parts(
    values: Tensor,
    num_frames: int,
    settings: AksSettings,
    max_depth: int,
    part: tuple[int, int, int],
) -> Iterator[tuple[int, int, int]]:
    """The kept parts under ``part``, each as (first row, row behind the last, depth)."""
    start, stop, depth = part
    if depth == max_depth or _has_peak(values[start:stop], num_frames, settings):
        yield part
        return
    middle = start + (stop - start) // 2
    for half in ((start, middle, depth + 1), (middle, stop, depth + 1)):
        yield from _parts(values, num_frames, settings, max_depth, half)


def _has_peak(values: Tensor, num_frames: int, settings: AksSettings) -> bool:
    if len(values) == 0:
        return False
    best = values.sort(descending=True).values[:num_frames]
    gap = float(best.mean() - values.mean())
    return gap > settings.peak_gap and float(values.std(correction=0)) > settings.least_std


class AksSampler(PublishedSampler[AksSettings], TextSampler):
    """AKS at a depth that fits the budget.

    It differs from the paper in `AksSettings.fit_depth`, and it completes a budget that is not a
    power of two by score.
    """

    name = "aks"
    defaults = AksSettings()

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        rows = aks(grid.cosines, num_frames=request.at_least, settings=self.settings)
        reason = "AKS gives each part of the video the same whole number of frames"
        return padded_by_score(rows, grid.cosines, request.at_least, reason=reason)


class AksPaperSampler(PublishedSampler[AksSettings], TextSampler):
    """AKS as released: with its own settings, and with even frames if it finds too few.

    The algorithm alone returns 0 of 16 and of 24 frames and 32 of 48; the released model code then
    silently takes even frames instead. This sampler does the same, with a note.
    """

    name = "aks-paper"
    defaults = PUBLISHED

    def _pick(self, grid: QueryGrid, request: SelectionRequest) -> Picked:
        rows = aks(grid.cosines, num_frames=request.at_least, settings=self.settings)
        wanted = min(request.at_least, len(grid.cosines))
        if len(rows) == wanted:
            return Picked(rows)
        note = (
            f"AKS as released found {len(rows)} of {wanted} frames; like its evaluation code, "
            "even frames are taken in their place"
        )
        nothing = torch.empty(0, dtype=torch.int64)
        return Picked(pad_evenly(nothing, grid.pts_seconds, wanted), (note,))
