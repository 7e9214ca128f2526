"""The grid of a video: decoded ahead in a thread, re-batched, and kept."""

import io
import math
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from keyscore_plugin.algorithm.stacfp import hsv_histograms
from keyscore_plugin.errors import InputError
from keyscore_plugin.index.video_index import KeptLook
from keyscore_plugin.types import Frames

T = TypeVar("T")

_MEMORY_BYTES = 16 * 2**20  # ours: thumbnails that are no more than this stay in memory


def prefetch(items: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """Pass items on in order, while a thread makes up to ``depth`` of the next ones.

    This pays off if making an item releases the interpreter's lock, as decoders do. An error of
    ``items`` is raised in place of its item. Closing this early waits for the item that is being
    made, and for no other.

    Args:
        items: Iterator of the items; only the thread touches it until this is exhausted or closed.
        depth: Items made ahead at most; it bounds memory.

    Example:
        >>> list(prefetch(iter("abc"), depth=2))
        ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="keyscore-prefetch") as thread:
        # Each future holds one item, or none after the last.
        waiting: deque[Future[list[T]]] = deque()
        try:
            waiting.extend(thread.submit(_next, items) for _ in range(depth))
            while item := waiting.popleft().result():
                waiting.append(thread.submit(_next, items))
                yield item[0]
        finally:
            for future in waiting:
                future.cancel()


def _next(items: Iterator[T]) -> list[T]:
    """Return a list of the next item; an empty list after the last."""
    for item in items:
        return [item]
    return []


def rebatch(batches: Iterable[Frames], size: int) -> Iterator[Frames]:
    """The same frames in chunks of ``size``; the last one may be shorter."""
    held: list[Frames] = []
    room = size
    for batch in batches:
        rest = batch
        while len(rest):
            held.append(rest[:room])
            rest = rest[room:]
            room -= len(held[-1])
            if room == 0:
                yield join_frames(held)
                held, room = [], size
    if held:
        yield join_frames(held)


def join_frames(parts: list[Frames]) -> Frames:
    """Join frames of one video, one part after the other; at least one part."""
    if len(parts) == 1:  # without a copy
        return parts[0]
    return Frames(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.indices for part in parts]),
        torch.cat([part.pts_seconds for part in parts]),
    )


class FrameBuffer:
    """The indices and times of frames that come in batches, in time order.

    Arrays are filled in place. Small tensors that are kept between large ones that are freed would
    keep the allocator from returning memory.

    Args:
        n_most: The number of frames that come at most.

    Attributes:
        kept: Look at these frames that the index holds or will hold; None without an index.
    """

    kept: KeptLook | None = None

    def __init__(self, n_most: int) -> None:
        self._n_most = n_most
        self._n_rows = 0
        self._indices = torch.empty(n_most, dtype=torch.int64)
        self._pts_seconds = torch.empty(n_most, dtype=torch.float64)

    def append(self, batch: Frames) -> None:
        """Add frames that follow the ones before."""
        rows = slice(self._n_rows, self._n_rows + len(batch))
        self._indices[rows] = batch.indices
        self._pts_seconds[rows] = batch.pts_seconds
        self._keep(batch.pixels, rows)
        self._n_rows = rows.stop

    def keeping(self, batches: Iterable[Frames]) -> Iterator[Frames]:
        """Pass batches on, and add each one first."""
        for batch in batches:
            self.append(batch)
            yield batch

    def __len__(self) -> int:
        return self._n_rows

    @property
    def indices(self) -> Tensor:
        """``(n,)`` int64 frame indices."""
        return self._indices[: self._n_rows]

    @property
    def pts_seconds(self) -> Tensor:
        """``(n,)`` float64 times."""
        return self._pts_seconds[: self._n_rows]

    def _keep(self, pixels: Tensor, rows: slice) -> None:
        """Keep what the subclass needs of ``(m, h, w, 3)`` pixels."""


class KeptFrames(FrameBuffer):
    """The indices and times of frames that the index holds.

    Args:
        kept: The look at them.
    """

    def __init__(self, kept: KeptLook) -> None:
        super().__init__(0)
        self.kept = kept
        self._n_rows = len(kept.look)
        self._indices, self._pts_seconds = kept.look.indices, kept.look.pts_seconds


class HistogramBuffer(FrameBuffer):
    """The histograms of frames whose pixels are not needed again (Algorithm 1, line 3).

    Args:
        n_most: The number of frames that come at most.
        bins: Bins of hue, saturation and value.
    """

    def __init__(self, n_most: int, bins: tuple[int, int, int]) -> None:
        super().__init__(n_most)
        self._bins = bins
        self._histograms = torch.empty(0, math.prod(bins))

    @property
    def histograms(self) -> Tensor:
        """``(n, n_bins)`` float32 HSV histograms, on the device of the pixels."""
        return self._histograms[: len(self)]

    def _keep(self, pixels: Tensor, rows: slice) -> None:
        histograms = hsv_histograms(pixels, bins=self._bins)
        if rows.start == 0:
            self._histograms = histograms.new_empty(self._n_most, histograms.shape[1])
        self._histograms[rows] = histograms


class ThumbnailStore(FrameBuffer):
    """Thumbnails that can be read again by row.

    Any frame of a grid may turn out to be worth the encoder's time, and few do. Pixels that do not
    fit in 16 MiB go to an unnamed file in the system's temporary folder (``TMPDIR``), so nothing is
    left behind however the process ends; it is closed with this object. The file is read and
    written, not mapped: mapped pages would count as memory of the process. Pixels that come on a
    GPU stay there: 2,048 frames of 260 pixels of height take 0.7 GB.

    Args:
        n_most: The number of frames that come at most.
    """

    def __init__(self, n_most: int) -> None:
        super().__init__(n_most)
        self._shape: tuple[int, ...] = (0, 0, 3)
        self._file: io.BytesIO | io.FileIO = io.BytesIO()
        self._elsewhere: Tensor | None = None  # than on the CPU

    def __getitem__(self, rows: Tensor) -> Frames:
        """The frames of ``(m,)`` rows, in that order; only these are read into memory."""
        if self._elsewhere is not None:
            found = self._elsewhere[rows.to(self._elsewhere.device)]
            return Frames(found, self.indices[rows], self.pts_seconds[rows])
        pixels = torch.empty((len(rows), *self._shape), dtype=torch.uint8)
        for place, row in zip(pixels.numpy(), rows.tolist(), strict=True):
            self._file.seek(row * place.nbytes)
            self._file.readinto(place.data.cast("B"))
        return Frames(pixels, self.indices[rows], self.pts_seconds[rows])

    def _keep(self, pixels: Tensor, rows: slice) -> None:
        if pixels.device.type == "cpu":
            self._write(pixels, rows)
            return
        if self._elsewhere is None:
            self._elsewhere = pixels.new_empty((self._n_most, *pixels.shape[1:]))
        self._elsewhere[rows] = pixels

    def _write(self, pixels: Tensor, rows: slice) -> None:
        left = pixels.contiguous().numpy().data.cast("B")
        try:
            if rows.start == 0:
                self._begin(tuple(pixels.shape[1:]))
            self._file.seek(0, io.SEEK_END)
            while left:  # a write may take fewer bytes than it is given
                left = left[self._file.write(left) :]
        except OSError as error:
            raise InputError(
                f"cannot keep {self._n_most} thumbnails "
                f"in {tempfile.tempdir or 'a temporary folder'}: {error.strerror or error}; "
                f"free {self._n_bytes / 1e6:.0f} MB there, or set TMPDIR to another folder"
            ) from error

    def _begin(self, shape: tuple[int, ...]) -> None:
        """Open the file if the frames that may come are too much for memory."""
        self._shape = shape
        if self._n_bytes > _MEMORY_BYTES:
            self._file = _nameless_file()
            weakref.finalize(self, self._file.close)

    @property
    def _n_bytes(self) -> int:
        return self._n_most * math.prod(self._shape)


class KeptThumbnails(KeptFrames, ThumbnailStore):
    """Frames that the index holds; their pixels, which it does not, are decoded if they are asked.

    Args:
        kept: The look at them.
        decode: Function that decodes the same thumbnails again.
    """

    def __init__(self, kept: KeptLook, decode: Callable[[], ThumbnailStore]) -> None:
        super().__init__(kept)
        self._decode = decode
        self._decoded: ThumbnailStore | None = None

    def __getitem__(self, rows: Tensor) -> Frames:
        """The frames of ``(m,)`` rows, in that order; the first call decodes the whole grid."""
        if self._decoded is None:
            self._decoded = self._decode()
        return self._decoded[rows]


def _nameless_file() -> io.FileIO:
    """An open file in the temporary folder; unbuffered, so that errors come at once."""
    return tempfile.TemporaryFile(buffering=0)
