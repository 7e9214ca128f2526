"""The device on which a model runs, found by the name that the caller gave."""

import torch

from keyscore_plugin.errors import InputError, shown


def resolve_device(device: str) -> torch.device:
    """Find a device by its name; a GPU is returned with its number.

    A GPU without a number means the current one of the calling thread, so two threads could put a
    model and its pixels on different GPUs.

    Args:
        device: Name of a device: ``"auto"`` (the GPU if there is one, else the CPU), ``"cpu"``,
            ``"cuda"``, ``"cuda:1"`` ... or ``"mps"``.

    Raises:
        InputError: The name is unknown, or this machine does not have the device.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return numbered(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError):
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda", "mps"):
        raise InputError(
            f"unknown device {shown(device)}; the devices are: auto, cpu, cuda, cuda:N, mps"
        )
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": torch.mps.device_count()}
    n_devices = counts[wanted.type]
    # `wanted.index` is not used: torch keeps the number in a byte and reads cuda:256 as cuda:0.
    if int(str(device).partition(":")[2] or 0) >= n_devices:
        raise InputError(
            f"device {shown(device)} was asked for, but torch {torch.__version__} sees {n_devices} "
            f"{wanted.type} devices here; use device='auto' or device='cpu'"
        )
    return numbered(wanted)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device ran out of memory, by an error of torch or of a library that uses it."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error)


def numbered(device: torch.device) -> torch.device:
    """Give a GPU without a number that of the current one; the first, if none was used yet."""
    if device.type != "cuda" or device.index is not None:
        return device
    # `current_device` would initialise CUDA, after which the process can no longer be forked.
    current = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    return torch.device("cuda", current)
