"""What every decoder shares: the facts and true times of one scan, and the checks of a call."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from threading import Lock
from types import TracebackType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.video.decoders.container import DAMAGED_REMEDY
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.orientation import Pixels
from keyscore_plugin.video.decoders.scan import scan
from keyscore_plugin.video.frame_args import (
    checked_grid,
    checked_indices,
    checked_size,
    thumbnail_size,
)

BATCH_FRAMES = 32  # ours: thumbnails a batch, 3 MB at 128 x 228


class ScannedSource(ABC):
    """A video whose frame table comes from `scan`; a decoder adds the pixels.

    Args:
        path: A local video file.
        stream: Which of its video streams, counted from 0; None for the one FFmpeg takes.

    Attributes: see `keyscore_plugin.video.source.VideoSource`.
    """

    decoder: ClassVar[str]

    def __init__(self, path: str, stream: int | None = None) -> None:
        self.path = path
        facts = scan(path, stream)
        self._choice = facts.stream
        self.stream = facts.stream.number
        self._table = facts.table
        self._picture = facts.picture
        self._codec = facts.codec
        self._format = facts.format
        self._promised_frames = facts.promised_frames
        self._damage = facts.damage
        self._notes = list(facts.notes)
        self._closed = False
        # Threads that share a video take turns: no decoder is made for two, and most crash.
        self._one_thread = Lock()
        self._seconds = torch.from_numpy(facts.table.seconds)
        shown = facts.picture.orientation
        self.rotation, self.mirrored = shown.rotation, shown.mirrored
        self.height, self.width = shown.size(facts.picture.height, facts.picture.width)
        self.n_frames = len(facts.table)
        self.n_frames_counted = True
        self.start_pts_seconds = float(self._seconds[0])
        self.duration_seconds = float(facts.table.duration)
        self.average_fps = self.n_frames / facts.table.duration

    @property
    def notes(self) -> tuple[str, ...]:
        """What came to light so far; may grow while frames are decoded."""
        return tuple(self._notes)

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 presentation times of the given frames, or of all."""
        if indices is None:
            return self._seconds.clone()
        return self._seconds[torch.from_numpy(self._check(indices))]

    def keyframes(self) -> Tensor:
        """``(n,)`` int64 indices of the frames the codec can start from."""
        return torch.from_numpy(np.flatnonzero(self._table.keyframe))

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """Full-quality frames in the order asked for, duplicates included.

        Args:
            indices: Frame indices.
            size: ``(height, width)`` to scale to; None keeps the video's own.

        Raises:
            VideoError: One of the frames does not decode, or the video is closed.
            InputError: An index is beyond the video.
        """
        self._check_open()
        wanted = self._check(indices)
        rows, places = np.unique(wanted, return_inverse=True)
        height, width = (self.height, self.width) if size is None else checked_size(size)
        if not len(rows):
            pixels = torch.empty((0, height, width, 3), dtype=torch.uint8)
        else:
            with self._one_thread:
                self._check_open()  # another thread may have closed it meanwhile
                pixels = self._read(rows, (height, width))
        if not np.array_equal(places, np.arange(len(rows))):
            pixels = pixels[torch.from_numpy(places)]
        return self._frames(pixels, wanted)

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """Low-resolution frames near the grid points, streamed in one pass in small batches.

        Args:
            grid: Rising frame indices.
            short_side: Pixels of the shorter side; never upscaled.

        Raises:
            VideoError: No frame of the grid decodes, or the video is closed.
            InputError: The grid does not rise, or leaves the video.
        """
        self._check_open()
        rows: Ints = checked_grid(grid, n_frames=self.n_frames, path=self.path).numpy()
        size = thumbnail_size(short_side, height=self.height, width=self.width)
        if not len(rows):
            return iter(())
        return self._in_turn(self._thumbnails(rows, size))

    def close(self) -> None:
        """Free the decoder, when no other thread decodes. Closing twice is fine."""
        with self._one_thread:
            self._closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _free(self) -> None:
        """Let go of what decodes; nothing is decoded after that."""

    @abstractmethod
    def _read(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        """``(m, height, width, 3)`` uint8 upright pixels of unique rising frames."""

    @abstractmethod
    def _thumbnails(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        """Batches of upright frames near ``rows``, scaled to ``size`` (height, width)."""

    def _in_turn(self, batches: Generator[Frames, None, None]) -> Iterator[Frames]:
        """The batches, each made while no other thread decodes."""
        with closing(batches):
            while True:
                with self._one_thread:
                    self._check_open()
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch

    def _frames(self, pixels: Tensor, rows: Ints) -> Frames:
        indices = torch.from_numpy(rows)
        return Frames(pixels, indices, self._seconds[indices])

    def _batches(self, small: Iterator[tuple[int, Pixels]], *, n_wanted: int) -> Iterator[Frames]:
        """Gather small frames in batches; note how many of those wanted did not come."""
        n_found = 0
        self._check_open()
        while batch := list(islice(small, BATCH_FRAMES)):
            n_found += len(batch)
            pixels = torch.from_numpy(np.stack([image for _, image in batch]))
            yield self._frames(pixels, np.array([index for index, _ in batch], dtype=np.int64))
        if not n_found:
            raise VideoError(self.path, "no frame of the grid decodes", DAMAGED_REMEDY)
        if n_found < n_wanted:
            self._note(f"{n_wanted - n_found} of {n_wanted} grid points have no frame that decodes")

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _check_open(self) -> None:
        if self._closed:
            raise VideoError(self.path, "it was closed", "use it inside its `with` block")

    def _check(self, indices: Sequence[int] | Tensor) -> Ints:
        """The indices as an array, all inside the video."""
        rows = checked_indices(indices, n_frames=self.n_frames, path=self.path)
        array: Ints = rows.numpy()
        return array
