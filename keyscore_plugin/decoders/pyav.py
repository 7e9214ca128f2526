"""PyAV, the default: decodes all we tried, with its own current FFmpeg."""

from collections.abc import Generator

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from keyscore_plugin.decoders.base import ScannedSource
from keyscore_plugin.decoders.nearest import nearest
from keyscore_plugin.decoders.orientation import Pixels
from keyscore_plugin.decoders.rgb import RgbConverter
from keyscore_plugin.decoders.table import Ints, plan
from keyscore_plugin.decoders.walk import Speed, Walk
from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames

_MIN_SPARSE = 4  # ours: stand-ins only where grid points are further apart than this many frames


class PyAVSource(ScannedSource):
    """A video decoded by PyAV; see `keyscore_plugin.video.VideoSource`.

    ``read`` decodes from the keyframe before each frame, a group of pictures once.
    ``thumbnails`` scales while it converts and decodes only what it must, without the loop
    filter: one pass over the packets up to each grid point; reference frames alone where the grid
    is sparse enough; keyframes alone when the grid is made of them.
    """

    decoder = "pyav"

    def __init__(self, path: str, stream: int | None = None) -> None:
        super().__init__(path, stream)
        self._reader: Walk | None = None
        self._converter = RgbConverter(self._picture)

    def close(self) -> None:
        """Free the decoder. Closing twice is fine."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        super().close()

    def _read(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        pixels = torch.empty((len(rows), *size, 3), dtype=torch.uint8)
        if self._reader is None:
            self._reader = self._walk("exact")
        missing = self._fill(pixels, rows, size, rows, self._reader, keyframes_back=0)
        # Some keyframes do not start a clean picture (intra refresh, broken links): go back more.
        for keyframes_back in (1, len(self._table)):
            if not len(missing):
                break
            walk = self._walk("careful")
            missing = self._fill(pixels, rows, size, missing, walk, keyframes_back=keyframes_back)
            walk.close()
        if len(missing):
            raise VideoError(
                self.path,
                f"frame {int(missing[0])} does not decode",
                "the file is damaged there; leave that frame out or repair the file",
            )
        return pixels

    def _fill(
        self,
        pixels: Tensor,
        rows: Ints,
        size: tuple[int, int],
        missing: Ints,
        walk: Walk,
        *,
        keyframes_back: int,
    ) -> Ints:
        """Put the missing frames in their places of ``pixels``; return those still missing."""
        wanted = set(missing.tolist())
        for index, frame in walk.frames(plan(self._table, missing, keyframes_back=keyframes_back)):
            if index in wanted:
                place = int(np.searchsorted(rows, index))
                pixels[place] = torch.from_numpy(self._convert(frame, size))
                wanted.remove(index)
            if not wanted:
                break
        return np.array(sorted(wanted), dtype=np.int64)

    def _thumbnails(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        walk = self._walk(self._speed(rows))
        try:
            decoded = walk.frames(plan(self._table, rows))
            near = nearest(decoded, rows, self._table.pts)
            # Scaled as they come, so that a batch holds no frame of full size.
            small = ((index, self._convert(frame, size)) for index, frame in near)
            yield from self._batches(small, n_wanted=len(rows))
        finally:
            walk.close()

    def _speed(self, rows: Ints) -> Speed:
        """What the decoder may leave out for this grid."""
        if not self._table.seekable:
            return "rough"
        # Not for one alone: some decoders call no frame a keyframe, and would leave it out.
        if len(rows) > 1 and self._table.keyframe[rows].all():
            return "keyframes"
        # Two grid points may never have the same stand-in.
        sparse = np.diff(rows).min(initial=len(self._table)) > max(
            _MIN_SPARSE, self._table.anchor_gap
        )
        return "reference" if sparse else "rough"

    def _walk(self, speed: Speed) -> Walk:
        return Walk(self.path, self._table, stream=self.stream, speed=speed)

    def _convert(self, frame: VideoFrame, size: tuple[int, int]) -> Pixels:
        """Upright RGB of the given (height, width)."""
        if (frame.width, frame.height) != (self._picture.width, self._picture.height):
            self._note("the size of its frames changes: all are scaled to the first's")
        return self._converter.convert(frame, size)
