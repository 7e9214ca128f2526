"""float32 with all of its bits, whatever the program around has allowed."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch


class _Shared:
    """What is entered once for all threads: the settings of torch belong to the process.

    The first thread to come in saves them, and the last one to leave puts them back. If each did
    so for itself, one would take the settings of another for the program's own.
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
    """Convolutions and matrix products of float32 in float32, and alike every time, on a GPU too.

    A host's autocast, on the CPU as on a GPU, is put aside in this thread, where alone it counts:
    its 8 or 11 bits choose other frames, and half precision is the encoders' own choice.

    On a GPU torch allows convolutions 10 bits (TF32), and some hosts allow them matrix products
    too: that moves a score by more than 1e-4, and a distance by more than what counts as a tie.
    Safe in threads. What else the program computes on a GPU meanwhile is exact too, and slower;
    what it sets meanwhile is lost.

    Args:
        device: Where the work is done.
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
    """No autocast for a type of device, if torch knows one for it."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


@contextmanager
def _exact_settings() -> Iterator[None]:
    """Set what decides precision, and put it back as it was."""
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
    """From torch 2.9 on, whose older flags raise an error once a program has used these.

    An operation that was never set follows what is set for all, and shall do so afterwards: it is
    not touched. What is set for all may itself follow what is set for every backend.
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
    """Before torch 2.9."""
    cudnn = torch.backends.cudnn
    convolutions, products = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.allow_tf32 = convolutions
        torch.set_float32_matmul_precision(products)
