"""The frames to look at: evenly spaced in time, or where the codec put its keyframes."""

import torch
from torch import Tensor

from keyscore_plugin.config import GridConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types.spacing import uniform_indices
from keyscore_plugin.video.base import VideoSource


def grid_indices(source: VideoSource, config: GridConfig, *, at_least: int) -> Tensor:
    """Choose the frames to look at (STACFP, Algorithm 1, line 1).

    Args:
        source: Video to look at.
        config: Kind of the grid: ``"fps"`` is evenly in time, ``sample_fps`` frames a second;
            ``"keyframes"`` is where the codec put its keyframes. Both are thinned evenly to
            ``max_frames``.
        at_least: Budget of frames. A grid of fewer points is filled up evenly, so that this many
            frames, or all there are, can be chosen from it.

    Returns:
        ``(n_grid,)`` int64 rising unique frame indices.

    Raises:
        InputError: The kind is ``"refine"``: that kind is two grids, and the second depends on the
            scores of the first.
    """
    if config.kind == "refine":
        raise InputError(
            "the grid 'refine' looks closer where frames score with a text, which this sampler "
            "does not find out while it looks; use the grid 'fps' or 'keyframes'"
        )
    times = source.pts_seconds()
    n_least = min(at_least, len(times))
    if config.kind == "fps":
        wanted = min(config.max_frames, round(source.duration_seconds * config.sample_fps))
        n_grid = max(wanted, n_least)
        return uniform_indices(times, n_grid, duration_seconds=source.duration_seconds)
    keys = source.keyframes()
    n_keys = max(config.max_frames, n_least)
    if len(keys) > n_keys:
        return keys[uniform_indices(torch.arange(len(keys)), n_keys)]
    if len(keys) >= n_least:
        return keys
    others = torch.ones(len(times), dtype=torch.bool).index_fill(0, keys, False).nonzero()[:, 0]
    extra = others[uniform_indices(times[others], n_least - len(keys))]
    return torch.cat([keys, extra]).sort().values
