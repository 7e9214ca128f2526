"""float32 arithmetic in full precision, whatever the surrounding program has set."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch


class _Shared:
    """A counter of the threads that need exact settings, since torch has them per process.

    The first thread to enter saves the program's settings, and the last one to leave restores
    them. If each thread did so alone, one would save the settings of another as the program's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._settings = ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self._settings.enter_context(_exact_settings())
            self._n_inside += 1

    def leave(self) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._settings.close()


_SHARED = _Shared()


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Compute float32 convolutions and matrix products exactly and reproducibly in this block.

    Autocast, which a host may have enabled on the CPU or a GPU, is disabled in this thread: its 8
    or 11 bits lead to other frames. Only the encoders choose half precision.

    On a GPU, torch lets convolutions use 10 bits (TF32), and some hosts let matrix products use
    them too. That moves a score by more than 1e-4, and a distance by more than counts as a tie.
    Several threads may be in such a block. Until the last one leaves it, other work of the program
    on a GPU is exact and slower too, and precision settings that the program changes are lost.

    Args:
        device: Device on which the block computes.
    """
    with _without_autocast(device.type):
        if device.type == "cpu":
            yield
            return
        _SHARED.enter()
        try:
            yield
        finally:
            _SHARED.leave()


def _without_autocast(device_type: str) -> AbstractContextManager[None]:
    """Disable autocast for a type of device, if torch has it for that type."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


@contextmanager
def _exact_settings() -> Iterator[None]:
    """Change the settings that decide precision, and restore them after the block."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    convolutions = getattr(cudnn, "conv", None)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with _by_flags() if convolutions is None else _by_operation(convolutions):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


@contextmanager
def _by_operation(convolutions: Any) -> Iterator[None]:
    """Set full precision for torch 2.9 and newer, by the setting of each operation.

    The older flags raise an error once a program has used these settings. An operation without a
    setting follows the one for all operations; it is left so, to follow it again after the block.
    The setting for all operations may in turn follow the one for every backend.
    """
    every = torch.backends.cudnn
    for_all = every.fp32_precision
    every.fp32_precision = "ieee"
    own = [
        (operation, operation.fp32_precision)
        for operation in (convolutions, torch.backends.cuda.matmul)
        if operation.fp32_precision != "ieee"
    ]
    try:
        for operation, _ in own:
            operation.fp32_precision = "ieee"
        yield
    finally:
        for operation, precision in own:
            operation.fp32_precision = precision
        every.fp32_precision = "none"
        if every.fp32_precision != for_all:
            every.fp32_precision = for_all


@contextmanager
def _by_flags() -> Iterator[None]:
    """Set full precision for torch before 2.9, by its global flags."""
    cudnn = torch.backends.cudnn
    convolutions, products = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.allow_tf32 = convolutions
        torch.set_float32_matmul_precision(products)
