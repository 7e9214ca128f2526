"""Which frames of the grid are read for text, and the lines that are found there."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from keyscore_plugin._runtime.optional import package_version
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.timed_texts.written import SHORT_SIDE, merged, picture_reader
from keyscore_plugin.types import Frames

MOST_READ = 128  # ours: a frame takes about a second of one core
_BLOCK = 64  # thumbnails compared at once; it bounds memory
_TILES = 16  # ours: two frames are compared by the brightness of so many tiles a side
_LEVELS = 8.0  # ours, of 255: writing that comes or goes changes a tile by more


class Decode(Protocol):
    """A function that decodes frames as thumbnails, such as `GridReader.decode`."""

    def __call__(
        self, indices: Tensor, *, short_side: int, device: torch.device
    ) -> AbstractContextManager[Iterator[Frames]]:
        """Decode frames inside of a block.

        Args:
            indices: ``(n,)`` rising frame indices.
            short_side: Pixels of the shorter side.
            device: The device that the pixels go to.

        Returns:
            The context of batches of ``(m, h, w, 3)`` thumbnails, in time order.

        Raises:
            VideoError: No frame decodes.
        """


def read_by() -> str:
    """Name of what reads the picture, with all that decides its lines."""
    return f"rapidocr {package_version('rapidocr')} {SHORT_SIDE} {MOST_READ} {_TILES} {_LEVELS}"


def written_in(grid: ThumbnailStore, decode: Decode, start_pts_seconds: float) -> Lines:
    """Read what is written in the picture, in the frames of a grid that differ from the one before.

    A line lasts from the frame that it is read in to the last frame that looks the same, and on if
    the next frame that is read has it too.

    Args:
        grid: The ``n_grid`` frames that were looked at.
        decode: Function that decodes frames.
        start_pts_seconds: Pts of the video's first frame.

    Raises:
        MissingDependencyError: RapidOCR is not installed.
    """
    reader = picture_reader()
    rows, last = frames_to_read(grid)
    notes: tuple[str, ...] = ()
    if len(rows) > MOST_READ:
        notes = (f"text was read in {MOST_READ} of {len(rows)} frames that differ, evenly in time",)
        some = torch.linspace(0, len(rows) - 1, MOST_READ).round().long()
        rows, last = rows[some], last[some]
    wanted, ends = (grid.pts_seconds[places] - start_pts_seconds for places in (rows, last))

    def seen() -> Iterator[tuple[float, float, list[str]]]:
        cpu = torch.device("cpu")
        with decode(grid.indices[rows], short_side=SHORT_SIDE, device=cpu) as batches:
            for batch in batches:
                for pixels, pts in zip(batch.pixels, batch.pts_seconds.tolist(), strict=True):
                    start = pts - start_pts_seconds
                    place = int((wanted - start).abs().argmin())  # a neighbour may stand in
                    yield start, max(start, float(ends[place])), reader.read(pixels)

    return Lines(merged(seen()), notes)


def frames_to_read(grid: ThumbnailStore) -> tuple[Tensor, Tensor]:
    """The frames that look different from the last one of these.

    Args:
        grid: The ``n_grid`` frames that were looked at.

    Returns:
        ``(n,)`` rising rows of the grid, and for each the last row that looks like it.
    """
    tiles = torch.cat([_tiles(grid[rows]) for rows in torch.split(torch.arange(len(grid)), _BLOCK)])
    rows = [0]
    for row in range(1, len(tiles)):
        if bool(((tiles[row] - tiles[rows[-1]]).abs() > _LEVELS).any()):
            rows.append(row)
    first = torch.tensor(rows)
    return first, torch.cat([first[1:], first.new_tensor([len(tiles)])]) - 1


def _tiles(frames: Frames) -> Tensor:
    """``(n, n_tiles)`` mean brightness of the tiles of each frame, on the CPU."""
    brightness = frames.pixels.float().mean(-1)
    return adaptive_avg_pool2d(brightness, _TILES).flatten(1).cpu()
