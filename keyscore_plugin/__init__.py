"""KeyScore: give a Video-LLM the frames that matter.

Example:
    >>> from keyscore_plugin import get_sampler
    >>> from keyscore_plugin.video.samples import sample_video
    >>> get_sampler("uniform")(sample_video("bikes"), num_frames=4).indices
    [31, 93, 156, 218]
"""

from typing import TYPE_CHECKING

from keyscore_plugin._runtime.optional import load
from keyscore_plugin._runtime.version import VERSION as __version__

if TYPE_CHECKING:
    from keyscore_plugin.algorithm.scoring import score
    from keyscore_plugin.algorithm.selection import select
    from keyscore_plugin.algorithm.stacfp import propose
    from keyscore_plugin.config import SamplerConfig
    from keyscore_plugin.errors import KeyScoreError
    from keyscore_plugin.samplers.base import get_sampler, list_samplers
    from keyscore_plugin.samplers.keyscore import KeyScoreSampler
    from keyscore_plugin.types import Caption, Selection
    from keyscore_plugin.video.source import open_video

__all__ = [
    "Caption",
    "KeyScoreError",
    "KeyScoreSampler",
    "SamplerConfig",
    "Selection",
    "__version__",
    "get_sampler",
    "list_samplers",
    "open_video",
    "propose",
    "score",
    "select",
]

# Imported when they are first used (PEP 562), because most of them need torch.
_PLACES = {
    "Caption": "keyscore_plugin.types:Caption",
    "KeyScoreError": "keyscore_plugin.errors:KeyScoreError",
    "KeyScoreSampler": "keyscore_plugin.samplers.keyscore:KeyScoreSampler",
    "SamplerConfig": "keyscore_plugin.config:SamplerConfig",
    "Selection": "keyscore_plugin.types:Selection",
    "get_sampler": "keyscore_plugin.samplers.base:get_sampler",
    "list_samplers": "keyscore_plugin.samplers.base:list_samplers",
    "open_video": "keyscore_plugin.video.source:open_video",
    "propose": "keyscore_plugin.algorithm.stacfp:propose",
    "score": "keyscore_plugin.algorithm.scoring:score",
    "select": "keyscore_plugin.algorithm.selection:select",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = load("name", name, _PLACES)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
