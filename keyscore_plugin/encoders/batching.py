"""Batches of frames, as large as the memory of a device allows."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from keyscore_plugin._runtime.device import is_out_of_memory, numbered
from keyscore_plugin.errors import MemoryEndedError

# Ours: number of frames that samplers pass on at once, and so the largest batch. It is a multiple
# of the batch sizes on a CPU, so that no place of a batch stays empty.
BLOCK_FRAMES = 60
_PROBE = 8  # ours: frames of the forward pass that measures how much memory a frame needs
_SHARE = 0.5  # ours: share of the free memory to use; a Video-LLM may run on the same device


class Memory(Protocol):
    """The memory of a device, as `Batching` measures it."""

    def free_bytes(self) -> int:
        """Return the bytes that neither another program nor torch's allocator holds."""

    def give_back(self) -> None:
        """Return the memory that torch's allocator has cached to the device."""


class CudaMemory:
    """The memory of one GPU, measured by its driver.

    Args:
        device: A CUDA device. Without a number it is the GPU that is current now, also for calls
            from other threads.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = numbered(device)

    def free_bytes(self) -> int:
        """Return the free bytes of the GPU; memory that torch has cached does not count as free."""
        return int(torch.cuda.mem_get_info(self._device)[0])

    def give_back(self) -> None:
        """Empty torch's cache of GPU memory."""
        torch.cuda.empty_cache()


class Batching:
    """Passes frames through a network in batches; the first use decides their size.

    All batches have one size, the last one too, which is filled up: rounding depends on how many
    frames share a forward pass, and a frame must have the same bits whatever is embedded with it
    (the index keeps the vector of each). On a device with enough memory the size does not depend on
    how much of it is free.

    Args:
        n_frames: Number of frames in a batch, if the memory is not measured.
        memory: Memory of the device; None if it is not measured.

    Attributes:
        n_frames: Number of frames in the next batch.
    """

    def __init__(self, n_frames: int, memory: Memory | None) -> None:
        self.n_frames = n_frames
        self._memory = memory
        self._measured = memory is None

    @classmethod
    def of(cls, device: torch.device, *, n_frames: int) -> "Batching":
        """Return batches that follow the memory of a GPU; elsewhere they have ``n_frames``."""
        return cls(n_frames, CudaMemory(device) if device.type == "cuda" else None)

    def run(self, network: Callable[[Tensor], Tensor], frames: Tensor) -> Iterator[Tensor]:
        """Run the network on each batch, in order; halve the batches when memory runs out.

        Args:
            network: Function that takes some rows of ``frames`` and returns one row for each.
            frames: ``(n, ...)`` rows that the network takes.

        Yields:
            The network's output for each batch.

        Raises:
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        if not self._measured:
            self.n_frames = self._most_that_fit(network, frames[:_PROBE])
            self._measured = True
        n_done = 0
        while n_done < len(frames):
            batch = frames[n_done : n_done + self.n_frames]
            rows = _try(network, _filled(batch, self.n_frames))
            if rows is None:
                self._halve()
            else:
                n_done += len(batch)
                yield rows[: len(batch)]

    def _most_that_fit(self, network: Callable[[Tensor], Tensor], probe: Tensor) -> int:
        """Return the frames of a block, halved until they need at most `_SHARE` of the memory."""
        if self._memory is None:
            return self.n_frames
        # The first pass also allocates what is allocated only once: kernels and workspaces.
        if _try(network, probe) is None:
            return len(probe)  # `run` halves it if it fails again
        self._memory.give_back()
        before = self._memory.free_bytes()
        if _try(network, probe) is None:
            return len(probe)
        bytes_a_frame = max(1.0, (before - self._memory.free_bytes()) / len(probe))
        fit = max(1, int(_SHARE * before / bytes_a_frame))
        n_frames = BLOCK_FRAMES
        while n_frames > fit:
            n_frames = _half(n_frames)
        return n_frames

    def _halve(self) -> None:
        """Use half as many frames in the next batches."""
        if self.n_frames == 1:
            raise MemoryEndedError(
                "the device has too little free memory for the encoder's work on one frame; free "
                "some of it, give a smaller encoder, or use device='cpu'"
            )
        self.n_frames = _half(self.n_frames)
        if self._memory is not None:
            self._memory.give_back()


def _half(n_frames: int) -> int:
    """Half of the frames, rounded up."""
    return -(-n_frames // 2)


def _filled(batch: Tensor, n_frames: int) -> Tensor:
    """The batch with its last row repeated up to ``n_frames`` rows."""
    missing = n_frames - len(batch)
    if missing == 0:
        return batch
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])])


def _try(network: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor | None:
    """Return the network's output; None, with its memory freed, if it ran out of memory."""
    try:
        return network(frames)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
