"""The look at a video: its grid as thumbnails, decoded ahead of what is made of them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin.config import GridConfig
from keyscore_plugin.samplers.grid import HistogramBuffer, ThumbnailStore, prefetch
from keyscore_plugin.samplers.request import Stopwatch
from keyscore_plugin.types import Frames
from keyscore_plugin.video.source import VideoSource, grid_indices

_CPU = torch.device("cpu")
_BATCHES_AHEAD = 2  # ours: one is being decoded while one lies ready


@contextmanager
def read_grid(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    short_side: int,
    clock: Stopwatch,
    device: torch.device = _CPU,
) -> Iterator[tuple[Iterator[Frames], int]]:
    """The grid of the settings (Algorithm 1, line 1), as `decoding` gives it.

    Args:
        source: An open video.
        config: Which frames, how many, how large.
        at_least: Frames needed, whatever the grid says.
        short_side: Pixels of the shorter side.
        clock: Counts the waiting for the decoder.
        device: As in `decoding`.
    """
    with clock.stage("decode"):
        grid = grid_indices(source, config, at_least=at_least)
    with decoding(source, grid, short_side=short_side, clock=clock, device=device) as batches:
        yield batches, len(grid)


@contextmanager
def decoding(
    source: VideoSource,
    grid: Tensor,
    *,
    short_side: int,
    clock: Stopwatch,
    device: torch.device = _CPU,
) -> Iterator[Iterator[Frames]]:
    """Decode frames as thumbnails, in a thread that ends with the block.

    Args:
        source: An open video; nothing else may use it inside the block.
        grid: ``(n,)`` rising frame indices.
        short_side: Pixels of the shorter side.
        clock: Counts the waiting for the decoder.
        device: Where the pixels go as they come, once; a GPU's decoder leaves them there.

    Yields:
        Batches of ``(m, h, w, 3)`` thumbnails, in time order, each dealt with while the next ones
        are decoded.

    Raises:
        VideoError: No frame of the grid decodes.
    """
    thumbnails = source.thumbnails(grid, short_side=short_side)
    with closing(prefetch(thumbnails, depth=_BATCHES_AHEAD)) as batches:
        waited_for = clock.waiting("decode", batches)
        tracked = progress.track("decode", waited_for, total=len(grid))
        yield (batch.to(device) for batch in tracked)


def look(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    short_side: int,
    clock: Stopwatch,
    device: torch.device = _CPU,
) -> ThumbnailStore:
    """The grid, to be read again by row; see `read_grid`."""
    with read_grid(
        source, config, at_least=at_least, short_side=short_side, clock=clock, device=device
    ) as (batches, n_most):
        seen = ThumbnailStore(n_most)
        for batch in batches:
            seen.append(batch)
    return seen


def look_at_colours(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    short_side: int,
    bins: tuple[int, int, int],
    clock: Stopwatch,
    device: torch.device = _CPU,
) -> tuple[ThumbnailStore, Tensor]:
    """`look`, and count the colours of each batch while the next one is decoded.

    Returns:
        ``n_grid`` thumbnails, and their ``(n_grid, n_bins)`` HSV histograms (Algorithm 1,
        lines 1-3), on the device.
    """
    with read_grid(
        source, config, at_least=at_least, short_side=short_side, clock=clock, device=device
    ) as (batches, n_most):
        seen, colours = ThumbnailStore(n_most), HistogramBuffer(n_most, bins)
        for batch in seen.keeping(batches):
            with clock.stage("propose"):
                colours.append(batch)
    return seen, colours.histograms


def colours_alone(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    bins: tuple[int, int, int],
    clock: Stopwatch,
    device: torch.device = _CPU,
) -> HistogramBuffer:
    """`look_at_colours` of a grid whose pixels are dropped as soon as they are counted."""
    with read_grid(
        source, config, at_least=at_least, short_side=config.short_side, clock=clock, device=device
    ) as (batches, n_most):
        colours = HistogramBuffer(n_most, bins)
        for batch in batches:
            with clock.stage("propose"):
                colours.append(batch)
    return colours
