"""Texts that are embedded at every start, recalled from the disk: they take seconds of a CPU."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from keyscore_plugin._runtime.files import read_sealed, user_cache, write_sealed
from keyscore_plugin._runtime.weights_id import offline_identity
from keyscore_plugin.encoders.conse import minilm

_NAME = "vectors"


def embed_once(texts: Sequence[str], device: torch.device) -> Tensor:
    """``(n, 384)`` unit vectors as `MiniLM.embed` makes them, which the next process finds.

    Kept under all that decides them to the last digit. Where the folder cannot be written, or does
    not hold them whole, they are made anew. A GPU makes them in a moment: nothing is kept for it.
    """
    key = _key(texts)
    if device.type != "cpu" or key is None:
        return minilm.load_minilm(device).embed(texts)
    kept: bytes | None = None
    path = None
    with suppress(OSError, RuntimeError):  # pathlib knows no home for some users of containers
        path = user_cache() / "texts" / key
        kept = read_sealed(path, key)
    if kept is not None:
        return load_safetensors(kept)[_NAME]
    vectors = minilm.load_minilm(device).embed(texts)
    if path is not None:
        with suppress(OSError):
            write_sealed(path, key, save_safetensors({_NAME: vectors}))
    return vectors


def _key(texts: Sequence[str]) -> str | None:
    """What the vectors depend on; None where the version of the weights is not known."""
    weights = offline_identity()
    if weights is None:
        return None
    code = hashlib.sha256(Path(minilm.__file__).read_bytes()).hexdigest()
    machine = [torch.__version__, torch.backends.cpu.get_cpu_capability()]
    parts = json.dumps([list(texts), weights, code, machine])
    return hashlib.sha256(parts.encode()).hexdigest()
