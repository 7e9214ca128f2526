"""The common part of all decoders: facts and true times of a video, from one scan of its file."""

from abc import abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames, VideoFacts
from keyscore_plugin.video.base import CheckedVideo
from keyscore_plugin.video.decoders.container import DAMAGED_REMEDY
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.hdr import Pixels
from keyscore_plugin.video.decoders.scan import Scan, scan

BATCH_FRAMES = 32  # ours: thumbnails a batch, 3 MB at 128 x 228

_known: ContextVar[tuple[str, Scan] | None] = ContextVar("keyscore_scan", default=None)


@contextmanager
def opened_as(path: str, found: Scan) -> Iterator[None]:
    """Open a file inside the block by an earlier scan of it.

    Args:
        path: Path of the file, whose content must be that of the scan. Other files are scanned, and
            so is this one if a number of a stream is given.
        found: Result of the scan.
    """
    token = _known.set((path, found))
    try:
        yield
    finally:
        _known.reset(token)


class ScannedSource(CheckedVideo):
    """A video whose facts and frame index come from `scan`; a decoder adds the pixels.

    Args:
        path: Path of a local video file.
        stream: Number of one of its video streams, counted from 0; None for the one FFmpeg takes.

    Attributes:
        asked_stream: The stream that was asked for.
    """

    name: ClassVar[str]  # of the decoder

    def __init__(self, path: str, stream: int | None = None) -> None:
        known = _known.get()
        is_known = known is not None and known[0] == path and stream is None
        self._scan = found = known[1] if known and is_known else scan(path, stream)
        self.asked_stream = stream
        self._index, self._picture = found.index, found.picture
        seconds = torch.from_numpy(found.index.seconds)
        upright = found.picture.orientation
        height, width = upright.size(found.picture.height, found.picture.width)
        facts = VideoFacts(
            path=path,
            decoder=self.name,
            stream=found.stream.number,
            start_pts_seconds=float(seconds[0]),
            duration_seconds=float(found.index.duration),
            average_fps=len(found.index) / found.index.duration,
            n_frames=len(found.index),
            width=width,
            height=height,
            rotation=upright.rotation,
            mirrored=upright.mirrored,
        )
        super().__init__(facts, seconds, found.notes)

    @property
    def scanned(self) -> Scan:
        """What the scan of the file found."""
        return self._scan

    @override
    def keyframes(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self._index.keyframe))

    @override
    def _read(self, rows: Tensor, size: tuple[int, int]) -> Tensor:
        rising, places = np.unique(rows.numpy(), return_inverse=True)
        pixels = self._decode(rising, size)
        if np.array_equal(places, np.arange(len(rising))):
            return pixels
        return pixels[torch.from_numpy(places)]

    @override
    def _thumbnails(self, rows: Tensor, size: tuple[int, int]) -> Iterator[Frames]:
        return self._in_turn(self._decode_small(rows.numpy(), size))

    @abstractmethod
    def _decode(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        """``(m, height, width, 3)`` uint8 upright pixels of unique rising frames."""

    @abstractmethod
    def _decode_small(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
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
        """Gather small frames in batches; add a note where fewer came than were wanted."""
        n_found = 0
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


class ExternalSource(ScannedSource):
    """A video decoded in chunks by a library that is refused where its frames would be wrong."""

    chunk_frames: ClassVar[int]

    @override
    def _decode(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        return torch.cat([self._batch(part, size).cpu() for part in self._chunks(rows)])

    @override
    def _decode_small(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        for part in self._chunks(rows):
            yield self._frames(self._batch(part, size), part)

    def _chunks(self, rows: Ints) -> list[Ints]:
        starts = range(0, len(rows), self.chunk_frames)
        return [rows[start : start + self.chunk_frames] for start in starts]

    @abstractmethod
    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        """``(m, height, width, 3)`` uint8 upright pixels of a chunk of rising frames."""

    def _refusal(self, cause: str) -> VideoError:
        return VideoError(self.path, cause, "use decoder='pyav'")
