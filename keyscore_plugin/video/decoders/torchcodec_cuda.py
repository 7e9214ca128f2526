"""torchcodec on a GPU: frames are decoded there, and thumbnails stay there.

Written without a GPU at hand: what a machine without one can show is tested; the frames themselves
are compared where there is one (tests/contract/test_decoders.py, test_torchcodec_cuda.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from keyscore_plugin._runtime.device import is_out_of_memory, numbered
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.video.decoders.frame_index import Ints
from keyscore_plugin.video.decoders.torchcodec import TorchCodecSource


class TorchCodecCudaSource(TorchCodecSource):
    """A video decoded by NVDEC; see `keyscore_plugin.video.source.VideoSource`.

    Pixels of `thumbnails` lie on the GPU, where colours are counted and frames embedded; those of
    `read`, which a host asks for, on the CPU. A codec that the GPU does not know is decoded by
    torchcodec on the CPU; `notes` then says so. It decodes on the GPU that is the current one where
    it is opened, in whichever thread.

    Raises:
        MissingDependencyError: There is no GPU, or no torchcodec.
        VideoError: torchcodec does not open it on a GPU, or the video is turned.
    """

    decoder = "torchcodec-cuda"

    def __init__(self, path: str, stream: int | None = None) -> None:
        require_gpu()
        self.device = str(numbered(torch.device("cuda")))
        super().__init__(path, stream)
        if self.rotation:
            raise self._refusal(f"it is turned by {self.rotation} degrees, which no test has shown")

    def _free(self) -> None:
        """Free the decoder, however full the GPU is."""
        with torch.cuda.device(self.device):
            try:
                _show_to_driver(self.device)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            finally:
                super()._free()

    def _batch(self, rows: Ints, size: tuple[int, int]) -> Tensor:
        with self._gpu_of_thread():
            pixels = super()._batch(rows, size)
        if fallback := self._open_decoder.cpu_fallback:
            self._note(f"torchcodec decoded on the CPU: {' '.join(str(fallback).split())}")
        return pixels

    @contextmanager
    def _gpu_of_thread(self) -> Iterator[None]:
        """Make the GPU current in this thread, to its driver too."""
        with torch.cuda.device(self.device):
            _show_to_driver(self.device)
            yield

    def _why_not_opened(self, error: Exception) -> str:
        # What a torchcodec says that was built without CUDA: "Unsupported device: cuda".
        return f"{super()._why_not_opened(error)} on a GPU ({' '.join(str(error).split())})"


def _show_to_driver(device: str) -> None:
    """Make a GPU current to its driver too, to which NVDEC belongs.

    The driver knows no GPU in a fresh thread until a kernel has run. torchcodec sees to that where
    it opens a video alone, and frames are decoded elsewhere.
    """
    torch.zeros(1, device=device)


def require_gpu() -> None:
    """See that there are a GPU and a torchcodec.

    Raises:
        MissingDependencyError: There are not.
    """
    require("torchcodec.decoders", extra="torchcodec")
    if not torch.cuda.is_available():
        raise MissingDependencyError(
            f"decoder 'torchcodec-cuda' needs a GPU, and torch {torch.__version__} sees none; "
            "use decoder='torchcodec', which decodes on the CPU"
        )
