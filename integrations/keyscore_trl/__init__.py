"""Training of Video-LLMs on videos with TRL: a collator, GRPO that sees, rewards of clips.

`VideoPrompts`, `VideoCollator` and `VideoGRPOTrainer` serve anybody who trains a Video-LLM on
video. The rest trains a selector of clips as K-frames does: ``python -m keyscore_trl.clips``.
`VideoGRPOTrainer` and the command need the extra ``train``.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyscore_trl.collator import VideoCollator
    from keyscore_trl.grpo import VideoGRPOTrainer
    from keyscore_trl.prompts import Prompts, ShownVideo, VideoPrompts
    from keyscore_trl.reading import ChosenReader, UniformReader
    from keyscore_trl.rewards import ClipReward, FrozenAnswerer, option_reward

__all__ = [
    "ChosenReader",
    "ClipReward",
    "FrozenAnswerer",
    "Prompts",
    "ShownVideo",
    "UniformReader",
    "VideoCollator",
    "VideoGRPOTrainer",
    "VideoPrompts",
    "option_reward",
]

# Imported when they are first used (PEP 562): only some of them need TRL.
_PLACES = {
    "ChosenReader": "keyscore_trl.reading:ChosenReader",
    "ClipReward": "keyscore_trl.rewards:ClipReward",
    "FrozenAnswerer": "keyscore_trl.rewards:FrozenAnswerer",
    "Prompts": "keyscore_trl.prompts:Prompts",
    "ShownVideo": "keyscore_trl.prompts:ShownVideo",
    "UniformReader": "keyscore_trl.reading:UniformReader",
    "VideoCollator": "keyscore_trl.collator:VideoCollator",
    "VideoGRPOTrainer": "keyscore_trl.grpo:VideoGRPOTrainer",
    "VideoPrompts": "keyscore_trl.prompts:VideoPrompts",
    "option_reward": "keyscore_trl.rewards:option_reward",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = resolve_name(_PLACES[name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
