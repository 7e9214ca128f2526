"""PyAV, the default: decodes all we tried, with its own current FFmpeg."""

from collections.abc import Generator, Iterable
from contextlib import closing

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.video.decoders.base import ScannedSource
from keyscore_plugin.video.decoders.decoding import Speed
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.nearest import nearest
from keyscore_plugin.video.decoders.orientation import Pixels
from keyscore_plugin.video.decoders.reader import Decoded, Reader
from keyscore_plugin.video.decoders.rgb import RgbConverter

_MIN_SPARSE = 4  # ours: stand-ins only where grid points are further apart than this many frames


class PyAVSource(ScannedSource):
    """A video decoded by PyAV; see `keyscore_plugin.video.source.VideoSource`.

    ``read`` decodes from the keyframe before each frame, a group of pictures once.
    ``thumbnails`` scales while it converts and decodes only what it must, without the loop
    filter: one pass over the packets up to each grid point; reference frames alone where the grid
    is sparse enough; keyframes alone when the grid is made of them.

    Of a damaged video ``read`` gives every frame that decodes, and an error for one that does not;
    in ``thumbnails`` a clean neighbour stands in for a frame that may be smeared. `notes` says how
    many frames that were given may be.
    """

    decoder = "pyav"

    def __init__(self, path: str, stream: int | None = None) -> None:
        super().__init__(path, stream)
        self._reader = self._new_reader("exact")
        self._converter = RgbConverter(self._picture)
        self._smeared: set[int] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """What came to light so far; may grow while frames are decoded."""
        if not self._smeared:
            return super().notes
        first = min(self._smeared)
        return (
            *super().notes,
            f"{len(self._smeared)} frames that were decoded, the first of them frame {first}, may "
            "be smeared: the file is damaged there, or between them and their keyframe",
        )

    def _free(self) -> None:
        self._reader.close()

    def _read(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        pixels = torch.empty((len(rows), *size, 3), dtype=torch.uint8)
        missing = self._fill(pixels, rows, rows, self._reader.frames(rows))
        for keyframes_back in (1, len(self._table)):
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

    def _fill(self, pixels: Tensor, rows: Ints, missing: Ints, frames: Iterable[Decoded]) -> Ints:
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

    def _thumbnails(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        with closing(self._new_reader(self._speed(rows))) as reader:
            near = nearest(reader.frames(rows), rows, self._table.pts)
            # Scaled as they come, so that a batch holds no frame of full size.
            small = ((decoded.index, self._show(decoded, size)) for decoded in near)
            yield from self._batches(small, n_wanted=len(rows))

    def _show(self, decoded: Decoded, size: tuple[int, int]) -> Pixels:
        """The picture of a frame that is handed out."""
        if not decoded.is_clean:
            self._smeared.add(decoded.index)
        return self._convert(decoded.frame, size)

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

    def _new_reader(self, speed: Speed) -> Reader:
        return Reader(self.path, self._table, stream=self.stream, speed=speed)

    def _convert(self, frame: VideoFrame, size: tuple[int, int]) -> Pixels:
        """Upright RGB of the given (height, width)."""
        if (frame.width, frame.height) != (self._picture.width, self._picture.height):
            self._note("the size of its frames changes: all are scaled to the first's")
        return self._converter.convert(frame, size)
