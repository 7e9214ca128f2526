"""decord 0.6: an old FFmpeg (no AV1); quick, but it knows fewer files than PyAV and says so."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.video.decoders.base import ExternalSource
from keyscore_plugin.video.decoders.container import check_path
from keyscore_plugin.video.decoders.decoding import n_threads_of_any_kind
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.hdr import Pixels
from keyscore_plugin.video.decoders.packet_reader import start_cleanly

_ROW_PIXELS = 32  # its FFmpeg pads rows to a multiple of this
# Other formats (mpegts for one) it opens, and then returns the wrong frames.
_FORMATS = {"avi", "matroska", "mp4"}
_NO_FAULT = 1e-9  # share of frames that decord may silently replace by a neighbour
# Ours: a fortnight at 25 a second. decord allocates memory for all frames that the header claims,
# and where there is not enough, as for a clock that counts from 1970, it ends the process.
_MAX_CLAIMED = 2**25
_CLOCK_SECONDS = 2e-3  # decord keeps single-precision seconds


class DecordSource(ExternalSource):
    """A video decoded by decord.

    Frames and times are those of the container's packets: decord is refused wherever its own
    count or times differ, and for damaged files, where it may never return.
    """

    name = "decord"
    chunk_frames = 32  # ours: frames asked for at once, so that memory does not grow

    def __init__(self, path: str, stream: int | None = None) -> None:
        self._decord = require("decord", extra="decord")
        self._decord.logging.set_level(self._decord.logging.QUIET)
        # decord raises the second one where a frame would be replaced by its neighbour.
        self._failures = (
            self._decord.DECORDError,
            self._decord.DECORDLimitReachedError,
            RuntimeError,
        )
        super().__init__(path, stream)
        self._readers: dict[tuple[int, int], Any] = {}
        if cause := self._picture.refused_by(self.name):
            raise self._refusal(cause)
        if self._scan.stream.n_streams > 1:
            raise self._refusal("it holds several video streams, and decord cannot choose one")
        if self._scan.damage is not None:
            raise self._refusal(f"{self._scan.damage}, and decord may hang on a damaged file")
        if not _FORMATS & set(self._scan.format.split(",")):
            raise self._refusal(f"decord does not find its frames in {self._scan.format} files")
        if not self._index.packets.are_pts:
            raise self._refusal("its packets do not say when frames are shown, as decord expects")
        if self._scan.header_frames > _MAX_CLAIMED:
            raise self._refusal(
                f"its header promises {self._scan.header_frames:.3g} frames, and decord believes it"
            )
        self._check_times(self._reader(self._decoded_size((self.height, self.width))))

    @override
    def _free(self) -> None:
        self._readers.clear()

    @override
    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        decoded = self._decoded_size(size)
        try:
            pixels: Pixels = self._reader(decoded).get_batch(rows).asnumpy()
        except self._failures as error:
            raise self._refusal("decord does not decode all frames asked for") from error
        factor = decoded[1] // size[1]
        if factor == 1:
            return torch.from_numpy(pixels)
        shape = (len(rows), size[0], factor, size[1], factor, 3)
        return torch.from_numpy(pixels.reshape(shape).mean(axis=(2, 4)).round().astype(np.uint8))

    def _decoded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size decord scales to: this one, or a multiple where decord would misread rows."""
        factor = 1
        while _misreads(size[1] * factor):
            factor += 1
        return size[0] * factor, size[1] * factor

    def _reader(self, size: tuple[int, int]) -> Any:
        """A decord reader for upright frames of this (height, width); opened once."""
        if size not in self._readers:
            height, width = size
            try:
                self._readers[size] = self._decord.VideoReader(
                    str(check_path(self.path)),
                    width=width,
                    height=height,
                    num_threads=n_threads_of_any_kind(self._scan.codec),
                    fault_tol=_NO_FAULT,
                )
            except UnicodeEncodeError as error:
                raise self._refusal("decord reads no file name that is not UTF-8") from error
            except self._failures as error:
                raise self._refusal(
                    f"decord does not open this {self._scan.codec} video"
                ) from error
        return self._readers[size]

    def _check_times(self, reader: Any) -> None:
        if len(reader) != self.n_frames:
            raise self._refusal(
                f"decord counts {len(reader)} frames where the container shows {self.n_frames}"
            )
        if (
            self._index.has_leading_pictures
            or reader.get_key_indices() != self.keyframes().tolist()
        ):
            raise self._refusal("decord loses count where pictures lead a keyframe (open GOP)")
        later_keys = np.flatnonzero(self._index.keyframe)[1:]
        if len(later_keys) and not start_cleanly(
            self.path, self._index, later_keys[[0, -1]], stream=self.stream
        ):
            raise self._refusal("decord starts at keyframes, which are not clean pictures here")
        starts = reader.get_frame_timestamp(np.arange(self.n_frames))[:, 0]
        # In decord every video starts at zero.
        expected = (self._seconds - self._seconds[0]).numpy()
        tolerance = _CLOCK_SECONDS + np.spacing(expected.astype(np.float32)).astype(np.float64)
        if not (np.abs(starts - starts[0] - expected) <= tolerance).all():
            raise self._refusal("decord gives its frames other times than the container")


def _misreads(width: int) -> bool:
    """Whether decord mistakes a padded row of RGB for an unpadded row of more channels."""
    padded = -(-width // _ROW_PIXELS) * _ROW_PIXELS
    return padded != width and 3 * padded % width == 0
