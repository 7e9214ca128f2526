"""KeyScore in the generation calls of transformers: ``sampler="keyscore"``.

Example:
    from keyscore_transformers import generate

    generate(model, processor, messages, sampler="keyscore", num_frames=8, max_new_tokens=64)
"""

from keyscore_plugin.hosts import DownloadLimits
from keyscore_transformers.enable import enable
from keyscore_transformers.generate import generate

__all__ = ["DownloadLimits", "enable", "generate"]
