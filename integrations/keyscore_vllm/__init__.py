"""KeyScore for vLLM: ``sampler="keyscore"`` in a server, and chosen frames for an offline ``LLM``.

    VLLM_MEDIA_CONNECTOR=keyscore vllm serve Qwen/Qwen3-VL-8B-Instruct \\
        --middleware keyscore_vllm.Middleware

Clients then say ``"sampler": "keyscore"`` in a chat request. Requests that do not, and servers
without that variable, take vLLM's own path.
"""

import os
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyscore_vllm.middleware import Middleware
    from keyscore_vllm.offline import frames

__all__ = ["Middleware", "frames", "register"]

CONNECTOR = "keyscore"  # what the operator sets VLLM_MEDIA_CONNECTOR to
_PLACES = {
    "Middleware": "keyscore_vllm.middleware:Middleware",
    "frames": "keyscore_vllm.offline:frames",
}


def register() -> None:
    """Register the media connector, and the Qwen2.5-VL that reads exact times.

    vLLM calls this in each process of every server of the environment, more than once: it does
    nothing unless ``VLLM_MEDIA_CONNECTOR`` is ``keyscore``, and no model is loaded here.
    """
    if os.environ.get("VLLM_MEDIA_CONNECTOR") != CONNECTOR:
        return
    from vllm import ModelRegistry
    from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY

    from keyscore_vllm.connector import KeyScoreConnector

    MEDIA_CONNECTOR_REGISTRY.register(CONNECTOR)(KeyScoreConnector)
    ModelRegistry.register_model(
        "Qwen2_5_VLForConditionalGeneration",
        "keyscore_vllm.qwen2_5_vl:TimedQwen2_5_VLForConditionalGeneration",
    )


def __getattr__(name: str) -> object:
    # vLLM imports this module in every process, most of which need neither torch nor the core.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(_PLACES[name])
