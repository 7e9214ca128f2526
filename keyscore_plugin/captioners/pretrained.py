"""A Video-LLM from a folder or the hub, as the captioner."""

from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from keyscore_plugin._runtime.hub import first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.captioners.vlm import VlmCaptioner
from keyscore_plugin.errors import ModelError, shown


def load_vlm(model: str, device: torch.device, *, local_files_only: bool) -> VlmCaptioner:
    """Load a model and its processor with the Auto classes of transformers.

    In the precision of its weights on a GPU, in float32 on a CPU.

    Args:
        model: A folder or a hub model id.
        device: Where it runs.
        local_files_only: Do not ask the hub for anything.

    Raises:
        ModelError: It cannot be loaded, or reads no videos.
        MissingDependencyError: torchvision, which video processors need, is not installed.
    """
    require("torchvision", extra="transformers")
    import transformers

    models: Any = transformers.AutoModelForImageTextToText
    processors: Any = transformers.AutoProcessor
    dtype = torch.float32 if device.type == "cpu" else "auto"
    try:
        loaded = models.from_pretrained(model, dtype=dtype, local_files_only=local_files_only)
        network = loaded.eval().to(device)  # whose memory may not hold it
        processor = processors.from_pretrained(model, local_files_only=local_files_only)
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the captioner {shown(model)}: {first_line(error)}; give a Video-LLM of "
            "transformers with its processor, or use captioner='labels'"
        ) from error
    if getattr(processor, "video_processor", None) is None:
        raise ModelError(
            f"{shown(model)} is a {type(network).__name__} whose processor reads no videos; give a "
            "Video-LLM of transformers, or use captioner='labels'"
        )
    return VlmCaptioner(network, processor)
