"""Where a model runs: the word the caller gave, turned into a device that is there."""

import torch

from keyscore_plugin.errors import InputError, shown


def resolve_device(device: str) -> torch.device:
    """The device a word stands for; a GPU by its number.

    Without one, a GPU is the current one of whichever thread asks, so that two threads could put
    one model and its pixels on two.

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
    # Not `wanted.index`: torch keeps the number in a byte and takes cuda:256 for cuda:0.
    if int(str(device).partition(":")[2] or 0) >= n_devices:
        raise InputError(
            f"device {shown(device)} was asked for, but torch {torch.__version__} sees {n_devices} "
            f"{wanted.type} devices here; use device='auto' or device='cpu'"
        )
    return numbered(wanted)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the memory of a device has ended: torch's own error, or of a library with torch."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error)


def numbered(device: torch.device) -> torch.device:
    """A GPU without a number as the current one: the first, until the program has used any."""
    if device.type != "cuda" or device.index is not None:
        return device
    # Asking which is current would make torch take hold of a GPU, after which no process may fork.
    current = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
    return torch.device("cuda", current)
