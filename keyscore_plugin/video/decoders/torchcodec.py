"""torchcodec: PyTorch's own decoder, on top of the system's FFmpeg."""

import json
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from keyscore_plugin._runtime.device import is_out_of_memory
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.video.decoders.base import ScannedSource
from keyscore_plugin.video.decoders.container import check_path
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.threads import n_threads_of_any_kind

_CHUNK = 8  # ours: frames of full size held at once
# Formats whose header names all streams. In others one may come to light as the file is read: sound
# that begins late in a transport stream, say. The scan of torchcodec (0.13 and before) writes past
# the end of its list of streams there, and the process crashes later, anywhere, or at its exit.
_STREAMS_IN_HEADER = {"asf", "avi", "gif", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mxf", "nut"}


class TorchCodecSource(ScannedSource):
    """A video decoded by torchcodec; see `keyscore_plugin.video.source.VideoSource`.

    Frames and times are those of the container's packets. torchcodec says which time each frame
    has that it hands out; where that is another one, it is an error.
    """

    decoder = "torchcodec"
    device = "cpu"  # where it decodes

    def __init__(self, path: str, stream: int | None = None) -> None:
        self._decoders = require("torchcodec.decoders", extra="torchcodec")
        super().__init__(path, stream)
        if cause := self._picture.refused_by(self.decoder):
            raise self._refusal(cause)
        if self._damage is not None:
            raise self._refusal(f"{self._damage}, and torchcodec does not say what damage changed")
        if not self._table.packets.are_pts:
            raise self._refusal(
                "its packets do not say when frames are shown, and torchcodec goes by what they say"
            )
        if not self._table.keys_as_told:
            raise self._refusal(
                "its container calls wrong frames keyframes, and torchcodec starts there"
            )
        self._open_decoder: Any = self._open()
        counted = len(self._open_decoder)
        # Where it did not scan the file, its number is what the header's duration and rate make.
        if self._format in _STREAMS_IN_HEADER and counted != self.n_frames:
            raise self._refusal(
                f"torchcodec counts {counted} frames where the container shows {self.n_frames}"
            )

    def _free(self) -> None:
        self._open_decoder = None

    def _read(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        return torch.cat([self._batch(part, size).cpu() for part in _parts(rows)])

    def _thumbnails(self, rows: Ints, size: tuple[int, int]) -> Generator[Frames, None, None]:
        for part in _parts(rows):
            yield self._frames(self._batch(part, size), part)

    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        self._check_open()
        try:
            batch = self._open_decoder.get_frames_at(rows.tolist())
        except (RuntimeError, ValueError, IndexError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise  # no fault of the video
            raise self._refusal("torchcodec does not decode all frames asked for") from error
        late = (batch.pts_seconds.cpu() - self._seconds[torch.from_numpy(rows)]).abs()
        wrong = (late > float(self._table.time_base)).nonzero()[:, 0]
        if len(wrong):
            raise self._refusal(f"torchcodec hands out another frame for {int(rows[wrong[0]])}")
        return _resize(batch.data, size)

    def _open(self) -> Any:
        try:
            return self._decoders.VideoDecoder(
                str(check_path(self.path)),
                stream_index=self._choice.index,
                dimension_order="NHWC",
                num_ffmpeg_threads=n_threads_of_any_kind(self._codec),
                device=self.device,
                custom_frame_mappings=self._mappings(),
            )
        except (RuntimeError, ValueError) as error:
            raise self._refusal(self._why_not_opened(error)) from error

    def _mappings(self) -> str | None:
        """The frame table as torchcodec takes it, where it must not scan the file itself."""
        if self._format in _STREAMS_IN_HEADER:
            return None
        durations = np.diff(self._table.pts, append=self._table.end)
        columns = (self._table.pts, durations, self._table.keyframe)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        frames = [{"pts": pts, "duration": ticks, "key_frame": key} for pts, ticks, key in rows]
        return json.dumps({"frames": frames})

    def _why_not_opened(self, error: Exception) -> str:
        return f"torchcodec does not open this {self._codec} video"

    def _refusal(self, cause: str) -> VideoError:
        return VideoError(self.path, cause, "use decoder='pyav'")


def _parts(rows: Ints) -> list[Ints]:
    return [rows[k : k + _CHUNK] for k in range(0, len(rows), _CHUNK)]


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """``(n, height, width, 3)`` uint8 at another size.

    Not torchcodec's own transform: that one imports torchvision, which need not be there.
    """
    if pixels.shape[1:3] == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2)
    if pixels.device.type == "cpu":
        scaled = functional.interpolate(planes, size=size, mode="bilinear", antialias=True)
    else:  # torch scales bytes on the CPU alone
        scaled = functional.interpolate(planes.float(), size=size, mode="bilinear", antialias=True)
        scaled = scaled.round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous()
