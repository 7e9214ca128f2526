"""The model families that are supported, and how each gets the times of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import Fold


@dataclass(frozen=True, slots=True)
class Positions:
    """Time in the position ids: position of patch k = floor(k * interval * rate).

    Attributes:
        name: Input that carries the interval of each video, or of each of its patches.
        rate: Positions per second if no model is known; every published checkpoint has it.
        rate_names: Path of attributes to the rate in a model's config; missing parts are skipped.
        needs_help: Whether transformers before 5.18 reads only whole seconds.
    """

    name: str
    rate: float
    rate_names: Sequence[str]
    needs_help: bool = False

    def rate_of(self, model: Any) -> float:
        """Positions per second of a model; if it is None, those of the published checkpoints."""
        value = model.config if model is not None else None
        for name in self.rate_names if model is not None else ():
            value = getattr(value, name, value)
        return self.rate if value is None else float(value)


# Where the inputs of a model hold the time of a frame.
Times = Positions | Literal["prompt", "nowhere"]

# Class of the processor -> its times. Each is tested with a tiny model of the family.
FAMILIES: dict[str, Times] = {
    "Glm46VProcessor": "prompt",
    "Glm4vProcessor": "prompt",
    "InternVLProcessor": "nowhere",
    "LlavaNextVideoProcessor": "nowhere",
    "LlavaOnevisionProcessor": "nowhere",
    "Qwen2VLProcessor": "nowhere",
    "Qwen2_5OmniProcessor": Positions(
        "video_second_per_grid", 25.0, ["thinker_config", "position_id_per_seconds"]
    ),
    "Qwen2_5_VLProcessor": Positions(
        "second_per_grid_ts", 2.0, ["vision_config", "tokens_per_second"], needs_help=True
    ),
    "Qwen3VLProcessor": "prompt",
    "SmolVLMProcessor": "prompt",
    "VideoLlama3Processor": "prompt",
    "VideoLlavaProcessor": "nowhere",
}

_DEFAULT_FPS = 2.0  # the rate the Qwen and GLM families were trained at


def times_of(processor: Any) -> Times:
    """How the family of this processor gets times.

    Raises:
        InputError: The family is unknown, or the processor takes no videos.
    """
    for cls in type(processor).__mro__:
        if cls.__name__ in FAMILIES and getattr(processor, "video_processor", None) is not None:
            return FAMILIES[cls.__name__]
    raise InputError(
        f"{type(processor).__name__} is of no family whose frames can be chosen; "
        f"the processors that can be enabled are: {', '.join(sorted(FAMILIES))}"
    )


def processor_fold(processor: Any) -> Fold:
    """How the model folds frames into visual tokens, as its processor says."""
    stock = processor.video_processor
    return Fold(
        frames_per_patch=getattr(stock, "temporal_patch_size", None) or 1,
        spacing_seconds=1 / (getattr(stock, "fps", None) or _DEFAULT_FPS),
    )
