"""Batches of frames as large as the memory of a device has room for."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from keyscore_plugin._runtime.device import is_out_of_memory, numbered
from keyscore_plugin.errors import MemoryEndedError

# Ours: frames that samplers hand over at once, and so the most of a batch. A multiple of what the
# encoders take in one pass on a CPU, since rounding depends on what shares a pass.
BLOCK_FRAMES = 64
# All ours.
_PROBE = 8  # frames of the pass that shows how much memory a frame takes
_SHARE = 0.5  # of the free memory, since a Video-LLM lives there too


class Memory(Protocol):
    """The memory of a device."""

    def free_bytes(self) -> int:
        """What nobody holds, neither another program nor torch for later."""

    def give_back(self) -> None:
        """Hand back what torch holds for later."""


class CudaMemory:
    """The memory of a GPU, as its driver counts it."""

    def __init__(self, device: torch.device) -> None:
        self._device = numbered(device)  # whichever thread asks

    def free_bytes(self) -> int:
        """See `Memory.free_bytes`."""
        return int(torch.cuda.mem_get_info(self._device)[0])

    def give_back(self) -> None:
        """See `Memory.give_back`."""
        torch.cuda.empty_cache()


class Batching:
    """Passes frames through a network in batches; their size is found out at the first use.

    Where there is room the size does not depend on how much: rounding depends on what shares a
    pass, and the same video shall give the same bits.

    Args:
        n_frames: Frames of a batch where memory is not measured.
        memory: Of the device; None where it is not measured.
    """

    def __init__(self, n_frames: int, memory: Memory | None) -> None:
        self.n_frames = n_frames
        self._memory = memory
        self._measured = memory is None

    @classmethod
    def of(cls, device: torch.device, *, n_frames: int) -> "Batching":
        """By the memory of a GPU; elsewhere ``n_frames``."""
        return cls(n_frames, CudaMemory(device) if device.type == "cuda" else None)

    def run(self, network: Callable[[Tensor], Tensor], frames: Tensor) -> Iterator[Tensor]:
        """The network's output for each batch, in order; half as many frames where memory ends.

        Args:
            network: Takes some of ``frames`` and answers with a row for each.
            frames: ``(n, ...)`` what the network takes.

        Raises:
            MemoryEndedError: The memory does not hold the work on a single frame.
        """
        if not self._measured:
            self.n_frames = self._most_that_fit(network, frames[:_PROBE])
            self._measured = True
        n_done = 0
        while n_done < len(frames):
            rows = _try(network, frames[n_done : n_done + self.n_frames])
            if rows is None:
                self._halve()
            else:
                n_done += len(rows)
                yield rows

    def _most_that_fit(self, network: Callable[[Tensor], Tensor], probe: Tensor) -> int:
        """The largest power of two of frames that takes no more than its share of the memory."""
        if self._memory is None:
            return self.n_frames
        # The first pass takes what is taken once: kernels, and workspaces of libraries.
        if _try(network, probe) is None:
            return len(probe)  # and halved when it fails again
        self._memory.give_back()
        before = self._memory.free_bytes()
        if _try(network, probe) is None:
            return len(probe)
        bytes_a_frame = max(1.0, (before - self._memory.free_bytes()) / len(probe))
        fit = min(BLOCK_FRAMES, int(_SHARE * before / bytes_a_frame))
        return 1 << max(0, fit.bit_length() - 1)

    def _halve(self) -> None:
        """Try fewer frames from now on."""
        if self.n_frames == 1:
            raise MemoryEndedError(
                "the memory of the device does not hold the encoder's work on one frame; free some "
                "of it, give a smaller encoder, or use device='cpu'"
            )
        self.n_frames = -(-self.n_frames // 2)
        if self._memory is not None:
            self._memory.give_back()


def _try(network: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor | None:
    """What the network says; None, with all that it held set free, if the memory has ended."""
    try:
        return network(frames)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
