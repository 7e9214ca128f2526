"""KeyScore: give a Video-LLM the frames that matter.

Example:
    >>> from keyscore_plugin import get_sampler
    >>> from keyscore_plugin.samples import sample_video
    >>> get_sampler("uniform")(sample_video("bikes"), num_frames=4).indices
    [31, 93, 156, 218]
"""

from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.samplers.base import get_sampler, list_samplers
from keyscore_plugin.samplers.keyscore import KeyScoreSampler
from keyscore_plugin.scoring import score
from keyscore_plugin.selection import select
from keyscore_plugin.stacfp import propose
from keyscore_plugin.types import Caption, Selection
from keyscore_plugin.video import open_video

__all__ = [
    "Caption",
    "KeyScoreError",
    "KeyScoreSampler",
    "SamplerConfig",
    "Selection",
    "get_sampler",
    "list_samplers",
    "open_video",
    "propose",
    "score",
    "select",
]
