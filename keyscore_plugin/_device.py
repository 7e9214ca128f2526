"""Where a model runs: the word the caller gave, turned into a device that is there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from keyscore_plugin.errors import InputError


def resolve_device(device: str) -> torch.device:
    """The device a word stands for.

    Args:
        device: ``"auto"`` (the GPU when there is one, else the CPU), ``"cpu"``, ``"cuda"``,
            ``"cuda:1"`` ... or ``"mps"``.

    Raises:
        InputError: There is no such device, in general or on this machine.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda", "mps"):
        raise InputError(
            f"unknown device {device!r}; the devices are: auto, cpu, cuda, cuda:N, mps"
        )
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": torch.mps.device_count()}
    n_devices = counts[wanted.type]
    if (wanted.index or 0) >= n_devices:
        raise InputError(
            f"device {device!r} was asked for, but torch {torch.__version__} sees {n_devices} "
            f"{wanted.type} devices here; use device='auto' or device='cpu'"
        )
    return wanted


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Convolutions of float32 in float32, and alike every time, on a GPU too.

    There torch allows them 10 bits (TF32), which moves a score by more than 1e-4.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):
        yield
