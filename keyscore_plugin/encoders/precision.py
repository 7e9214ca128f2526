"""How encoders of any model compute: the precision, frames a pass, and what comes out."""

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin.encoders.batching import Batching
from keyscore_plugin.errors import ModelError, shown

_BATCH = {"cpu": 8, "mps": 16}  # ours: frames a forward pass; on CUDA the memory says how many


def suited_dtype(device: torch.device) -> torch.dtype:
    """Half precision on a GPU, float32 on a CPU."""
    return torch.float32 if device.type == "cpu" else torch.float16


def suited_batching(device: torch.device) -> Batching:
    """Batches of the size that suits a device."""
    return Batching.of(device, n_frames=_BATCH.get(device.type, 1))


def unit_vectors(features: Tensor, *, encoder: str) -> Tensor:
    """``(n, d)`` features as float32 of unit length, made so in float32.

    Raises:
        ModelError: One is not finite: half precision ends at 65,504.
    """
    if not features.isfinite().all():
        raise ModelError(
            f"{shown(encoder)} gives numbers that are not finite in {features.dtype}; give "
            "device='cpu', where it runs in float32"
        )
    return F.normalize(features.float(), dim=-1)
