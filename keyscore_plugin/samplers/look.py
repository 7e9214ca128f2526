"""The look at a video: its grid as thumbnails, decoded ahead of what is made of them."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from keyscore_plugin import progress
from keyscore_plugin.config import GridConfig
from keyscore_plugin.samplers.ahead import ahead
from keyscore_plugin.samplers.call import StageClock
from keyscore_plugin.stacfp import hsv_histograms
from keyscore_plugin.types import Frames
from keyscore_plugin.video import VideoSource, grid_indices

_BATCHES_AHEAD = 2  # ours: one is being decoded while one lies ready


def look(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    short_side: int,
    clock: StageClock,
    on_batch: Callable[[Frames], None] = lambda batch: None,
) -> Frames:
    """Decode the grid as thumbnails (Algorithm 1, line 1).

    Args:
        source: An open video; it is decoded in a thread, and nothing else may use it meanwhile.
        config: Which frames, how many, how large.
        at_least: Frames needed, whatever the grid says.
        short_side: Pixels of the shorter side.
        clock: Counts the waiting for the decoder.
        on_batch: Called with each batch, in time order, while the next one is decoded.

    Returns:
        ``(n_grid, h, w, 3)`` thumbnails, in time order.

    Raises:
        VideoError: No frame of the grid decodes.
    """
    grid = _grid(source, config, at_least=at_least, clock=clock)
    indices: list[Tensor] = []
    pts_seconds: list[Tensor] = []
    n_rows = 0
    with closing(_stream(source, grid, short_side=short_side, clock=clock)) as batches:
        first = next(batches)
        # Filled in place: a list of batches and their concatenation would take twice this.
        pixels = first.pixels.new_empty((len(grid), *first.pixels.shape[1:]))
        for batch in chain([first], batches):
            pixels[n_rows : n_rows + len(batch)] = batch.pixels
            n_rows += len(batch)
            indices.append(batch.indices)
            pts_seconds.append(batch.pts_seconds)
            on_batch(batch)
    return Frames(pixels[:n_rows], torch.cat(indices), torch.cat(pts_seconds))


def look_at_colours(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    short_side: int,
    bins: tuple[int, int, int],
    clock: StageClock,
) -> tuple[Frames, Tensor]:
    """`look`, and count the colours of each batch while the next one is decoded.

    Returns:
        ``(n_grid, h, w, 3)`` thumbnails, and their ``(n_grid, n_bins)`` HSV histograms
        (Algorithm 1, lines 1-3).
    """
    histograms: list[Tensor] = []

    def count(batch: Frames) -> None:
        with clock.stage("propose"):
            histograms.append(hsv_histograms(batch.pixels, bins=bins))

    frames = look(
        source, config, at_least=at_least, short_side=short_side, clock=clock, on_batch=count
    )
    return frames, torch.cat(histograms)


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """What is kept of a grid whose pixels nobody needs again: its memory does not show.

    Attributes:
        histograms: ``(n, n_bins)`` float32, Algorithm 1, line 3.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64.
    """

    histograms: Tensor
    indices: Tensor
    pts_seconds: Tensor

    def __len__(self) -> int:
        return len(self.histograms)


def colours_alone(
    source: VideoSource,
    config: GridConfig,
    *,
    at_least: int,
    bins: tuple[int, int, int],
    clock: StageClock,
) -> Colours:
    """`look_at_colours` of a grid whose pixels are dropped as soon as they are counted."""
    grid = _grid(source, config, at_least=at_least, clock=clock)
    kept: list[Colours] = []
    with closing(_stream(source, grid, short_side=config.short_side, clock=clock)) as batches:
        for batch in batches:
            with clock.stage("propose"):
                histograms = hsv_histograms(batch.pixels, bins=bins)
            kept.append(Colours(histograms, batch.indices, batch.pts_seconds))
    return Colours(
        torch.cat([part.histograms for part in kept]),
        torch.cat([part.indices for part in kept]),
        torch.cat([part.pts_seconds for part in kept]),
    )


def _grid(source: VideoSource, config: GridConfig, *, at_least: int, clock: StageClock) -> Tensor:
    with clock.stage("decode"):
        return grid_indices(source, config, at_least=at_least)


def _stream(
    source: VideoSource, grid: Tensor, *, short_side: int, clock: StageClock
) -> Generator[Frames, None, None]:
    """The grid in batches, decoded ahead in a thread that ends when this is closed."""
    with closing(
        ahead(source.thumbnails(grid, short_side=short_side), depth=_BATCHES_AHEAD)
    ) as batches:
        yield from progress.track("decode", clock.waiting("decode", batches), total=len(grid))
