"""PyAV, the default: decodes every format that we tried, with its own current FFmpeg."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.video.decoders.base import ScannedSource
from keyscore_plugin.video.decoders.decoding import Speed
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.frame_reader import DecodedFrame, FrameReader
from keyscore_plugin.video.decoders.hdr import Pixels
from keyscore_plugin.video.decoders.picture import RgbConverter

_MIN_SPARSE = 4  # ours: stand-ins only where grid points are further apart than this many frames


class PyAVSource(ScannedSource):
    """A video decoded by PyAV.

    `read` decodes from the keyframe before each frame, each group of pictures once.
    `thumbnails` scales while it converts, and decodes only what it must, without the loop filter:
    one pass over the packets up to each grid point; only reference frames where the grid is sparse
    enough; only keyframes where the grid is made of them.

    Of a damaged video, `read` returns every frame that decodes and raises for one that does not; in
    `thumbnails` a clean neighbour stands in for a frame that may be smeared. `notes` says how many
    of the frames that were returned may be smeared.
    """

    name = "pyav"

    def __init__(self, path: str, stream: int | None = None) -> None:
        super().__init__(path, stream)
        self._reader = self._new_reader("exact")
        self._converter = RgbConverter(self._picture)
        self._smeared: set[int] = set()

    @property
    @override
    def notes(self) -> tuple[str, ...]:
        if not self._smeared:
            return super().notes
        first = min(self._smeared)
        return (
            *super().notes,
            f"{len(self._smeared)} frames that were decoded, the first of them frame {first}, may "
            "be smeared: the file is damaged there, or between them and their keyframe",
        )

    @override
    def _free(self) -> None:
        self._reader.close()

    @override
    def _decode(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        pixels = torch.empty((len(rows), *size, 3), dtype=torch.uint8)
        missing = self._fill(pixels, rows, rows, self._reader.frames(rows))
        for keyframes_back in (1, len(self._index)):
            if not len(missing):
                break
            earlier = self._reader.frames_from_earlier(missing, keyframes_back=keyframes_back)
            missing = self._fill(pixels, rows, missing, earlier)
        if len(missing):
            raise VideoError(
                self.path,
                f"frame {int(missing[0])} does not decode",
                "the file is damaged there; leave that frame out or repair the file",
            )
        return pixels

    def _fill(
        self, pixels: Tensor, rows: Ints, missing: Ints, frames: Iterable[DecodedFrame]
    ) -> Ints:
        """Put the missing frames in their places of ``pixels``; return those still missing."""
        height, width = pixels.shape[1:3]
        wanted = set(missing.tolist())
        for decoded in frames:
            if decoded.index in wanted:
                place = int(np.searchsorted(rows, decoded.index))
                pixels[place] = torch.from_numpy(self._show(decoded, (height, width)))
                wanted.remove(decoded.index)
            if not wanted:
                break
        return np.array(sorted(wanted), dtype=np.int64)

    @override
    def _decode_small(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        with closing(self._new_reader(self._speed(rows))) as reader:
            near = nearest(reader.frames(rows), rows, self._index.pts)
            # Scaled as they come, so that a batch holds no frame of full size.
            small = ((decoded.index, self._show(decoded, size)) for decoded in near)
            yield from self._batches(small, n_wanted=len(rows))

    def _show(self, decoded: DecodedFrame, size: tuple[int, int]) -> Pixels:
        """Upright RGB of the given (height, width), of a frame that is returned to the caller."""
        if not decoded.is_clean:
            self._smeared.add(decoded.index)
        frame, first = decoded.frame, self._picture
        if (frame.width, frame.height) != (first.width, first.height):
            self._note("the size of its frames changes: all are scaled to the first's")
        return self._converter.convert(frame, size)

    def _speed(self, rows: Ints) -> Speed:
        """What the decoder may leave out for this grid."""
        if not self._index.seekable:
            return "rough"
        # A single row is read differently: some decoders mark no frame as a keyframe, and would
        # leave it out.
        if len(rows) > 1 and self._index.keyframe[rows].all():
            return "keyframes"
        # Two grid points may never have the same stand-in.
        sparse = np.diff(rows).min(initial=len(self._index)) > max(
            _MIN_SPARSE, self._index.anchor_gap
        )
        return "reference" if sparse else "rough"

    def _new_reader(self, speed: Speed) -> FrameReader:
        return FrameReader(self.path, self._index, stream=self.stream, speed=speed)


def nearest(frames: Iterable[DecodedFrame], grid: Ints, pts: Ints) -> Iterator[DecodedFrame]:
    """The nearest frame in time to each grid point, each frame once, as a stream.

    A frame stands in for a grid point only when it is no further than half-way to the next grid
    point; where nothing decodes, the grid point gets no frame. A frame that may be smeared is taken
    only where no clean one is that near. One frame is held back at a time.

    Args:
        frames: Frames that were decoded, rising.
        grid: ``(m,)`` rising frame indices that are wanted.
        pts: ``(n,)`` times of all frames of the video, in any unit.

    Yields:
        Frames, rising and unique.
    """
    times = pts[grid].astype(np.float64)
    reach = _reach(times)
    point = 0
    best: DecodedFrame | None = None
    for frame in frames:
        while point < len(grid):
            distance = float(pts[frame.index]) - times[point]
            if abs(distance) <= reach[point] and _is_better(frame, best, pts, times[point]):
                best = frame
            # Frames rise: once one is past the point, those after it are further away.
            bound = abs(pts[best.index] - times[point]) if best and best.is_clean else reach[point]
            if distance < bound:
                break
            given, best, point = best, None, point + 1
            if given is not None:
                yield given
            if given is frame:
                break
        if point == len(grid):
            return
    if best is not None:
        yield best


def _is_better(frame: DecodedFrame, best: DecodedFrame | None, pts: Ints, time: float) -> bool:
    """Whether a frame is a better stand-in at a time than an earlier one."""
    if best is None or frame.is_clean != best.is_clean:
        return best is None or frame.is_clean
    return bool(abs(pts[frame.index] - time) <= abs(time - pts[best.index]))


def _reach(times: npt.NDArray[np.float64]) -> list[float]:
    """Half the distance to the nearer neighbour on the grid; infinite for a single point."""
    if len(times) == 1:
        return [float("inf")]
    gaps = np.diff(times)
    left, right = np.append(gaps[:1], gaps), np.append(gaps, gaps[-1:])
    return [float(gap) / 2 for gap in np.minimum(left, right)]
