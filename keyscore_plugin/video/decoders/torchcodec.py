"""torchcodec: PyTorch's own decoder, on top of the system's FFmpeg; on the CPU or a GPU.

Tests on a machine without a GPU check the GPU part as far as they can; with a GPU they compare its
frames (tests/contract/test_decoders.py, test_torchcodec_cuda.py).
"""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from keyscore_plugin._runtime.device import is_out_of_memory, numbered
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.video.decoders.base import ExternalSource
from keyscore_plugin.video.decoders.container import check_path
from keyscore_plugin.video.decoders.decoding import n_threads_of_any_kind
from keyscore_plugin.video.decoders.frame_index import Ints

# Formats whose header names all streams. In others a stream may be found as the file is read: sound
# that begins late in a transport stream, say. The scan of torchcodec (0.13 and before) writes past
# the end of its list of streams there, and the process crashes later, anywhere, or at its exit.
_STREAMS_IN_HEADER = {"asf", "avi", "gif", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mxf", "nut"}


class TorchCodecSource(ExternalSource):
    """A video decoded by torchcodec.

    Frames and times are those of the container's packets. torchcodec reports the time of each frame
    that it returns; where that time is another one, it is an error.
    """

    name = "torchcodec"
    chunk_frames = 8  # ours: frames of full size held at once
    device = "cpu"  # where it decodes

    def __init__(self, path: str, stream: int | None = None) -> None:
        self._decoders = require("torchcodec.decoders", extra="torchcodec")
        super().__init__(path, stream)
        if cause := self._picture.refused_by(self.name):
            raise self._refusal(cause)
        if self._scan.damage is not None:
            raise self._refusal(
                f"{self._scan.damage}, and torchcodec does not say what damage changed"
            )
        if not self._index.packets.are_pts:
            raise self._refusal(
                "its packets do not say when frames are shown, and torchcodec goes by what they say"
            )
        if not self._index.keys_as_marked:
            raise self._refusal(
                "its container calls wrong frames keyframes, and torchcodec starts there"
            )
        self._open_decoder: Any = self._open()
        counted = len(self._open_decoder)
        # Where it did not scan the file, its number is what the header's duration and rate make.
        if self._scan.format in _STREAMS_IN_HEADER and counted != self.n_frames:
            raise self._refusal(
                f"torchcodec counts {counted} frames where the container shows {self.n_frames}"
            )

    @override
    def _free(self) -> None:
        self._open_decoder = None

    @override
    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        try:
            batch = self._open_decoder.get_frames_at(rows.tolist())
        except (RuntimeError, ValueError, IndexError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise  # not a fault of the video
            raise self._refusal("torchcodec does not decode all frames asked for") from error
        late = (batch.pts_seconds.cpu() - self._seconds[torch.from_numpy(rows)]).abs()
        wrong = (late > float(self._index.time_base)).nonzero()[:, 0]
        if len(wrong):
            raise self._refusal(f"torchcodec hands out another frame for {int(rows[wrong[0]])}")
        return _resize(batch.data, size)

    def _open(self) -> Any:
        try:
            return self._decoders.VideoDecoder(
                str(check_path(self.path)),
                stream_index=self._scan.stream.index,
                dimension_order="NHWC",
                num_ffmpeg_threads=n_threads_of_any_kind(self._scan.codec),
                device=self.device,
                custom_frame_mappings=self._mappings(),
            )
        except (RuntimeError, ValueError) as error:
            raise self._refusal(self._why_not_opened(error)) from error

    def _mappings(self) -> str | None:
        """The frame index as torchcodec takes it, where it must not scan the file itself."""
        if self._scan.format in _STREAMS_IN_HEADER:
            return None
        durations = np.diff(self._index.pts, append=self._index.end)
        columns = (self._index.pts, durations, self._index.keyframe)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        frames = [{"pts": pts, "duration": ticks, "key_frame": key} for pts, ticks, key in rows]
        return json.dumps({"frames": frames})

    def _why_not_opened(self, error: Exception) -> str:
        return f"torchcodec does not open this {self._scan.codec} video"


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """``(n, height, width, 3)`` uint8 at another size.

    Not torchcodec's own transform: that imports torchvision, which need not be installed.
    """
    if pixels.shape[1:3] == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2)
    if pixels.device.type == "cpu":
        scaled = functional.interpolate(planes, size=size, mode="bilinear", antialias=True)
    else:  # torch scales bytes on the CPU only
        scaled = functional.interpolate(planes.float(), size=size, mode="bilinear", antialias=True)
        scaled = scaled.round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous()


class TorchCodecCudaSource(TorchCodecSource):
    """A video decoded by NVDEC, on the GPU that is current where the video is opened.

    Pixels of `thumbnails` stay on the GPU, where colours are counted and frames embedded; those of
    `read`, which a host asks for, are on the CPU. A codec that the GPU does not know is decoded by
    torchcodec on the CPU; `notes` then says so. Any thread may read.

    Raises:
        MissingDependencyError: There is no GPU, or torchcodec is not installed.
        VideoError: torchcodec does not open the video on a GPU, or the video is rotated.
    """

    name = "torchcodec-cuda"

    def __init__(self, path: str, stream: int | None = None) -> None:
        require_gpu()
        self.device = str(numbered(torch.device("cuda")))
        super().__init__(path, stream)
        if self.rotation:
            raise self._refusal(f"it is turned by {self.rotation} degrees, which no test has shown")

    @override
    def _free(self) -> None:  # also where the GPU is full
        with torch.cuda.device(self.device):
            try:
                _show_to_driver(self.device)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            finally:
                super()._free()

    @override
    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        with torch.cuda.device(self.device):
            _show_to_driver(self.device)
            pixels = super()._batch(rows, size)
        if fallback := self._open_decoder.cpu_fallback:
            self._note(f"torchcodec decoded on the CPU: {' '.join(str(fallback).split())}")
        return pixels

    @override
    def _why_not_opened(self, error: Exception) -> str:
        # A torchcodec that was built without CUDA says "Unsupported device: cuda".
        return f"{super()._why_not_opened(error)} on a GPU ({' '.join(str(error).split())})"


def _show_to_driver(device: str) -> None:
    """Make a GPU current in its driver too, which NVDEC needs.

    In a new thread the driver has no current GPU until a kernel has run. torchcodec runs one only
    in the thread that opens a video, but frames may be decoded in others.
    """
    torch.zeros(1, device=device)


def require_gpu() -> None:
    """Check that there is a GPU, and that torchcodec is installed.

    Raises:
        MissingDependencyError: One of them is missing.
    """
    require("torchcodec.decoders", extra="torchcodec")
    if not torch.cuda.is_available():
        raise MissingDependencyError(
            f"decoder 'torchcodec-cuda' needs a GPU, and torch {torch.__version__} sees none; "
            "use decoder='torchcodec', which decodes on the CPU"
        )
