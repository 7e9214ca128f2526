"""The common part of all videos: facts, true times and frames, and the checks of arguments."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from threading import Lock
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from typing_extensions import Self, override

from keyscore_plugin.errors import InputError, VideoError, shown
from keyscore_plugin.types import Frames, VideoFacts
from keyscore_plugin.types.numbers import is_real, is_whole, plain

_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)  # torch compares none of these


@runtime_checkable
class VideoSource(Protocol):
    """An open video: its facts, the true times of its frames, and the frames on demand.

    Frame i is the i-th in display order; its time is the container's presentation time (pts). A
    start other than zero is kept: nothing is subtracted from the container's clock. Players,
    annotations and hosts count from the first frame: ``pts_seconds - start_pts_seconds``.

    `open_video` returns one. To implement one, subclass this protocol, set ``facts`` in
    ``__init__`` and write `pts_seconds`, `keyframes`, `read`, `thumbnails` and `close`; every fact
    can then be read under its own name, and the video is closed by its ``with`` block.

    Attributes:
        facts: Facts of the video.
    """

    facts: VideoFacts

    @property
    def path(self) -> str:
        """Name of the video, as the caller gave it."""
        return self.facts.path

    @property
    def decoder(self) -> str:
        """Name of the decoder."""
        return self.facts.decoder

    @property
    def stream(self) -> int:
        """Number of the stream among the video streams of the file."""
        return self.facts.stream

    @property
    def start_pts_seconds(self) -> float:
        """Pts of the video's first frame; in a part of a video, that of the whole."""
        return self.facts.start_pts_seconds

    @property
    def duration_seconds(self) -> float:
        """Seconds from the first frame's start to the last frame's end."""
        return self.facts.duration_seconds

    @property
    def average_fps(self) -> Fraction:
        """Mean frame rate, n_frames / duration."""
        return self.facts.average_fps

    @property
    def n_frames(self) -> int:
        """Number of frames in the video."""
        return self.facts.n_frames

    @property
    def n_frames_counted(self) -> bool:
        """Whether the frames were counted, not estimated."""
        return self.facts.n_frames_counted

    @property
    def width(self) -> int:
        """Width of a frame in pixels, after rotation."""
        return self.facts.width

    @property
    def height(self) -> int:
        """Height of a frame in pixels, after rotation."""
        return self.facts.height

    @property
    def rotation(self) -> int:
        """Clockwise degrees that were applied to show the video upright."""
        return self.facts.rotation

    @property
    def mirrored(self) -> bool:
        """Whether left and right were swapped before the rotation."""
        return self.facts.mirrored

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts that a reader must know: a stream that ended early, frames that do not decode ...

        More notes may come while frames are decoded.
        """
        return ()

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """``(n,)`` float64 presentation times of the given frames, or of all.

        Raises:
            InputError: An index is not in the video.
        """

    def keyframes(self) -> Tensor:
        """``(n,)`` int64 indices of the codec's own keyframes, from which decoding can start."""

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """Read full-quality frames in the order asked for, duplicates included.

        Args:
            indices: Frame indices.
            size: ``(height, width)`` to scale to while decoding; None keeps the video's own.

        Returns:
            ``(n, h, w, 3)`` uint8 RGB pixels, upright, with their indices and times.

        Raises:
            VideoError: One of the frames does not decode (no neighbour stands in), or the video
                is closed.
            InputError: An index is not in the video.
        """

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """Stream low-resolution frames near the grid points, in one pass and in small batches.

        A frame next to a grid point may stand in for it when it is cheaper to decode; its own
        index and pts are what is reported.

        Args:
            grid: Rising frame indices.
            short_side: Pixels of the shorter side; frames are never upscaled.

        Yields:
            Batches of frames, unique and in time order.

        Raises:
            VideoError: Nothing on the grid decodes, or the video is closed. Where only some grid
                points do not decode, they are left out and `notes` says how many.
            InputError: The grid does not rise, or leaves the video.
        """

    def close(self) -> None:
        """Free the decoder. Closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class CheckedVideo(VideoSource):
    """A video that checks what is asked of it; a subclass adds the pixels.

    Threads that share a video take turns: no decoder is made for two, and most crash.

    Args:
        facts: Facts of the video.
        seconds: ``(n,)`` float64 times of its frames.
        notes: Facts that a reader must know.
    """

    def __init__(self, facts: VideoFacts, seconds: Tensor, notes: Iterable[str]) -> None:
        self.facts = facts
        self._seconds = seconds
        self._notes = list(notes)
        self._closed = False
        self._one_thread = Lock()

    @property
    @override
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    @override
    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        if indices is None:
            return self._seconds.clone()
        return self._seconds[checked_indices(indices, n_frames=self.n_frames, path=self.path)]

    @override
    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        self._check_open()
        rows = checked_indices(indices, n_frames=self.n_frames, path=self.path)
        height, width = (self.height, self.width) if size is None else _checked_size(size)
        pixels = torch.empty((0, height, width, 3), dtype=torch.uint8)
        if len(rows):
            with self._one_thread:
                self._check_open()  # another thread may have closed it meanwhile
                pixels = self._read(rows, (height, width))
        return Frames(pixels, rows, self._seconds[rows])

    @override
    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        self._check_open()
        rows = checked_indices(grid, n_frames=self.n_frames, path=self.path)
        if bool((rows.diff() <= 0).any()):
            raise InputError(
                "the grid must be rising frame indices without repetition; sort it, and leave out "
                "repeated ones"
            )
        size = _thumbnail_size(short_side, height=self.height, width=self.width)
        return self._thumbnails(rows, size) if len(rows) else iter(())

    @override
    def close(self) -> None:
        """Free the decoder once no other thread decodes. Closing twice is fine."""
        with self._one_thread:
            self._closed = True
            self._free()

    @abstractmethod
    def _read(self, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """``(m, height, width, 3)`` uint8 upright pixels of one frame or more, in any order."""

    @abstractmethod
    def _thumbnails(self, rows: Tensor, size: tuple[int, int]) -> Iterator[Frames]:
        """Batches of upright frames near rising ``rows``, scaled to ``size`` (height, width)."""

    def _free(self) -> None:
        """Free what decodes; nothing is decoded after that."""

    def _check_open(self) -> None:
        if self._closed:
            raise VideoError(self.path, "it was closed", "use it inside its `with` block")


class ForwardedVideo(VideoSource):
    """A video that forwards to another one; a subclass overrides what differs.

    Args:
        source: The other video; closing this one closes it.
    """

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        self.facts = source.facts

    @property
    @override
    def notes(self) -> tuple[str, ...]:
        return self._source.notes

    @override
    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        return self._source.pts_seconds(None if indices is None else self._rows(indices))

    @override
    def keyframes(self) -> Tensor:
        return self._source.keyframes()

    @override
    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        return self._source.read(self._rows(indices), size=size)

    @override
    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        return self._source.thumbnails(self._rows(grid), short_side=short_side)

    @override
    def close(self) -> None:
        self._source.close()

    def _rows(self, indices: Sequence[int] | Tensor) -> Tensor:
        """The indices, checked here: an error names this video, not the one it forwards to."""
        return checked_indices(indices, n_frames=self.n_frames, path=self.path)


def checked_indices(indices: Sequence[int] | Tensor, *, n_frames: int, path: str) -> Tensor:
    """``(n,)`` int64 on the CPU, all inside the video.

    Raises:
        InputError: The indices are not a list of whole numbers, or one is not in the video.
    """
    try:
        rows = _as_tensor(indices)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"frame indices must be one list of whole numbers, got {shown(indices)}"
        ) from error
    if rows.numel() and (rows.is_floating_point() or rows.dtype == torch.bool):
        raise InputError(
            f"frame indices must be whole numbers, got {rows.dtype}; a time is not an index: find "
            "the frame at it in pts_seconds()"
        )
    if rows.ndim != 1:
        raise InputError(
            f"frame indices must be one list such as [3], got shape {tuple(rows.shape)}"
        )
    wrong = rows[(rows < 0) | (rows >= n_frames)]
    if len(wrong):
        raise InputError(
            f"frame {int(wrong[0])} is not in {path}, which has frames 0 to {n_frames - 1}; give "
            "indices of these"
        )
    return rows.to("cpu", torch.int64)


def _as_tensor(indices: Sequence[int] | Tensor) -> Tensor:
    """The indices, of any library, as a tensor of a type that torch can compare."""
    if isinstance(indices, Sequence):
        indices = [plain(index) for index in indices]
    rows = torch.as_tensor(indices)
    return rows.to(torch.int64) if rows.dtype in _UNSIGNED else rows


def _thumbnail_size(short_side: int, *, height: int, width: int) -> tuple[int, int]:
    """(height, width) with the given short side, aspect ratio kept, never larger.

    Raises:
        InputError: The short side is not a number of pixels.
    """
    if not (is_real(short_side) and short_side >= 1):
        raise InputError(f"short_side must be at least 1 pixel, got {shown(short_side)}")
    scale = min(1.0, float(short_side) / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width), if they are two whole numbers of at least 1."""
    sides = [plain(side) for side in size] if isinstance(size, (tuple, list)) else []
    if len(sides) != 2 or not all(is_whole(side) and side >= 1 for side in sides):
        raise InputError(
            f"size must be (height, width) of at least 1 pixel each, got {shown(size)}"
        )
    return sides[0], sides[1]
